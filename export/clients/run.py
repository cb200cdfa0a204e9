"""Runs a client on artifacts, in a process of its own. `scripts/protocol.py` is the other end."""

import dataclasses
import json
import os
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from keras_resnet.environment import describe_exit
from keras_resnet.errors import one_line

from .installation import Installation
from .integers import Scale
from .result import BatchAnswer

SECONDS = 900  # for one artifact; a client that takes longer hangs


@dataclasses.dataclass(frozen=True)
class ClientTask:
    """An artifact for a client.

    Attributes:
        name: The target's.
        path: The file or folder.
        format: The name of its format.
        layout: Of the pixels that it takes, "nhwc" or "nchw".
        dtype: Of the pixels, for clients that do not say what they want.
        labels: The class names, for clients that answer by them.
        scales: Of outputs that are whole numbers, by name.
    """

    name: str
    path: Path
    format: str
    layout: str
    dtype: str
    labels: tuple[str, ...]
    scales: Mapping[str, Scale] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True)
class Answer:
    """What a client said about an artifact, by images per inference. versions: of the client."""

    name: str
    versions: dict[str, str]
    batches: Mapping[int, BatchAnswer]


def run_client(installation: Installation, tasks: Sequence[ClientTask], images: np.ndarray) -> Iterator[Answer]:
    """Runs a client on artifacts, in one process as long as it lives.

    Args:
        installation: The client.
        tasks: The artifacts.
        images: uint8 (N, H, W, C).

    Yields:
        An answer for each artifact, in order. One that ends the process has that for an error, and another process goes on.
    """
    sizes, remaining = installation.client.batch_sizes, list(tasks)
    versions: dict[str, str] = {}
    while remaining:
        with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
            write_request(Path(folder), remaining, images, sizes)
            ending = run_process(installation, Path(folder), len(remaining))
            answers = read_answers(Path(folder), remaining, len(images))
        for answer in answers:
            versions = answer.versions
            yield answer
        remaining = remaining[len(answers) :]
        if remaining:
            yield Answer(remaining[0].name, versions, {size: BatchAnswer(error=ending) for size in sizes})
            del remaining[0]


def write_request(folder: Path, tasks: Sequence[ClientTask], images: np.ndarray, sizes: Sequence[int]) -> None:
    """Writes what the script reads. The images are repeated to a multiple of every number of images per inference."""
    count = -(-len(images) // np.lcm.reduce(sizes)) * np.lcm.reduce(sizes)
    repeated = np.resize(images, (count, *images.shape[1:]))
    (folder / "images.bin").write_bytes(repeated.tobytes())
    artifacts = [{**dataclasses.asdict(task), "path": str(task.path.resolve()), "batch_sizes": list(sizes)} for task in tasks]
    (folder / "request.json").write_text(json.dumps({"shape": repeated.shape, "artifacts": artifacts}), encoding="utf-8")


def run_process(installation: Installation, folder: Path, artifacts: int) -> str:
    """Runs the script to its end, and returns how that was."""
    ignored = {"PYTHONSAFEPATH"} | ({"PYTHONPATH", "PYTHONHOME"} if installation.separate else set())
    environment = {name: value for name, value in os.environ.items() if name not in ignored}
    command, timeout = installation.command(folder), SECONDS * artifacts
    with open(folder / "printed.txt", "w+b") as printed:  # a pipe would be kept open by a browser that stays behind
        try:
            done = subprocess.run(
                command,
                env=environment,
                cwd=folder,
                stdin=subprocess.DEVNULL,
                stdout=printed,
                stderr=subprocess.STDOUT,
                timeout=timeout,
                check=False,
            )
        except subprocess.TimeoutExpired:
            return f"its process did not end within {timeout} s"
        except OSError as error:
            return f"its process could not be started: {error.strerror}"
        printed.seek(0)
        lines = printed.read().decode(errors="replace").strip().splitlines()
    return one_line(f"its process {describe_exit(done.returncode)}{f' ({lines[-1].strip()})' if lines else ''}")


def read_answers(folder: Path, tasks: Sequence[ClientTask], count: int) -> list[Answer]:
    """Reads what the script has answered so far, in the order of the tasks, for the first `count` images."""
    path = folder / "answers.jsonl"
    if not path.exists():
        return []
    answers = []
    for task, line in zip(tasks, path.read_text(encoding="utf-8").splitlines(keepends=True), strict=False):
        if not line.endswith("\n"):  # the process ended while it wrote
            break
        record = json.loads(line)
        batches = {int(size): read_batch(answer, task.scales, count) for size, answer in record["batches"].items()}
        answers.append(Answer(task.name, record["versions"], batches))
    return answers


def read_batch(answer: Mapping[str, Any], scales: Mapping[str, Scale], count: int) -> BatchAnswer:
    """Reads the answer for one number of images per inference. Outputs that are whole numbers get their scale."""
    outputs = {}
    for name, output in answer.get("outputs", {}).items():
        values = np.array(output["values"], np.float64).reshape(output["shape"])[:count]
        if output["integer"]:
            scale, zero = scales.get(name, (1.0, 0))
            values = (values - zero) * scale
        outputs[name] = values
    return BatchAnswer(outputs, answer.get("note", ""), one_line(answer.get("error", "")))
