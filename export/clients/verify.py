"""Tries verified artifacts in the clients that a user named."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from keras_resnet.errors import UserError
from keras_resnet.metadata import ClassifierMetadata

from ..formats.format import ExportTarget, evenly_spaced
from ..verification.result import Tolerances
from .installation import Installation
from .integers import output_scales
from .result import ClientResult, judge
from .run import ClientTask, run_client

IMAGES = 200  # of those that verification uses, evenly spread: a page takes some milliseconds for each


def check_channels(installations: Iterable[Installation], channels: int) -> None:
    """Raises a `UserError` for a client that does not take such images."""
    for client in (installation.client for installation in installations):
        if client.channels and channels not in client.channels:
            takes = " or ".join(map(str, client.channels))
            raise UserError(f"{client.name} takes images of {takes} channels, this network's have {channels}")


def verify_in_clients(
    installations: Sequence[Installation],
    artifacts: Mapping[str, tuple[ExportTarget, Path, Tolerances]],
    metadata: ClassifierMetadata,
    layout: str,
    dtype: str,
    images: np.ndarray,
    references: Mapping[str, Mapping[str, np.ndarray]],
    report_progress: Callable[[str], None] = lambda line: None,
) -> Iterator[ClientResult]:
    """Yields what each client makes of each artifact that it reads.

    Args:
        installations: The clients.
        artifacts: By name.
        metadata: The classifier's.
        layout: Of the pixels that ONNX files take, "nhwc" or "nchw".
        dtype: Of the pixels that the artifacts take.
        images: uint8 (N, H, W, C); at most `IMAGES` of them are used.
        references: Of each artifact, what it gives for the images in its own runtime, by the name of the output, (N, ...).
        report_progress: Is told the name of each client as it begins.
    """
    chosen = evenly_spaced(len(images), IMAGES)
    for installation in installations:
        client = installation.client
        report_progress(client.title)
        tasks = [
            ClientTask(
                name,
                path,
                target.format,
                layout if target.format == "onnx" else "nhwc",
                dtype,
                metadata.labels,
                output_scales(path, target.format),
            )
            for name, (target, path, _) in artifacts.items()
            if client.reads_target(target)
        ]
        for answer in run_client(installation, tasks, images[chosen]):
            target, _, tolerances = artifacts[answer.name]
            reference = {output: values[chosen] for output, values in references[answer.name].items()}
            yield judge(client, target, answer.versions, answer.batches, reference, tolerances)
