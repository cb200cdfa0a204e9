"""Is an artifact the same classifier? It is reloaded without Keras, in a process of its own, and compared."""

from collections.abc import Callable
from pathlib import Path

import numpy as np

from keras_resnet.errors import UserError
from keras_resnet.metrics import accuracy, accuracy_drop, predicted_labels

from ..formats.format import Outputs
from ..formats.inspection import Inspection
from ..isolation.process import ArtifactProcess
from .agreement import compare
from .result import Tolerances, VerificationResult


class ArtifactError(Exception):
    """An artifact that does not run."""


def verify(
    name: str,
    path: Path,
    images: np.ndarray,
    labels: np.ndarray,
    reference: Outputs,
    scores: Callable[[Outputs], np.ndarray],
    tolerances: Tolerances,
    error: str = "",
    variant: str = "",
) -> tuple[VerificationResult, Outputs]:
    """Compares an artifact with Keras.

    Args:
        name: The target's.
        path: The artifact.
        images: uint8 (N, H, W, C).
        labels: Their true classes, (N,).
        reference: What Keras gives for them, `{output: (N, ...)}`.
        scores: From outputs to the probabilities of the classes, (N, classes).
        tolerances: What is allowed.
        error: Why there is no artifact, where it could not be made.
        variant: Which of the artifact's variants to run; by default it is run as it is, and then in all of them.

    Returns:
        The result, and the artifact's outputs, NaN where it does not run.
    """
    inspection, milliseconds, variants = Inspection({}), float("nan"), []
    outputs: Outputs = {name: np.full(output.shape, np.nan, np.float32) for name, output in reference.items()}
    try:
        if not error:
            outputs, inspection, milliseconds, variants = run_in_subprocess(path, images, variant)
    except ArtifactError as broken:
        error = str(broken)
    differences = {name: np.abs(outputs[name].astype(np.float64) - expected) for name, expected in reference.items()}
    given, expected = scores(outputs), scores(reference)
    return VerificationResult(
        name=name,
        file=path.name,
        bytes=size(path),
        images=len(images),
        max_differences={name: float(difference.max()) for name, difference in differences.items()},
        mean_difference=float(next(iter(differences.values())).mean()),
        top1_agreement=accuracy(given, predicted_labels(expected)),
        agreement=compare(given, expected, tolerances.min_agreement, tolerances.output_step),
        accuracy=accuracy(given, labels),
        accuracy_drop=accuracy_drop(given, expected, labels),
        milliseconds=milliseconds,
        tolerances=tolerances,
        inspection=inspection,
        error=error,
        variants={
            other: verify(name, path, images, labels, reference, scores, tolerances, variant=other)[0] for other in variants
        },
    ), outputs


def run_in_subprocess(path: Path, images: np.ndarray, variant: str = "") -> tuple[Outputs, Inspection, float, list[str]]:
    """Runs the artifact at `path`, or a variant of it, in a process of its own without Keras.

    Returns:
        Its outputs, its operators, the median time for one image in milliseconds, and its variants; the last two only of an
        artifact that is run as it is.

    Raises:
        ArtifactError: If it does not run.
    """
    try:
        with ArtifactProcess(path, variant=variant) as process:
            outputs = process.predictor.run(images)
            if variant:
                return outputs, process.inspect(), float("nan"), []
            return outputs, process.inspect(), process.latency(images[:1]), process.variants()
    except UserError as error:
        raise ArtifactError(f"cannot be run without Keras: {str(error).removeprefix(f'{path} ')}") from error


def size(path: Path) -> int:
    """Returns the bytes of a file, or of all files in a folder."""
    return path.stat().st_size if path.is_file() else sum(p.stat().st_size for p in path.rglob("*") if p.is_file())
