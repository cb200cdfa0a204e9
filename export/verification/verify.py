"""Is an artifact the same classifier? It is reloaded without Keras, in a process of its own, and compared."""

import json
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from keras_resnet.environment import python_module
from keras_resnet.metrics import accuracy, accuracy_drop, predicted_labels

from ..formats.inspection import Inspection
from .result import Tolerances, VerificationResult


class ArtifactError(Exception):
    """An artifact that does not run."""


def verify(
    name: str, path: Path, images: np.ndarray, labels: np.ndarray, reference: np.ndarray, tolerances: Tolerances
) -> tuple[VerificationResult, np.ndarray]:
    """Compares an artifact with Keras.

    Args:
        name: The target's.
        path: The artifact.
        images: uint8 (N, H, W, C).
        labels: Their true classes, (N,).
        reference: What Keras gives for them, (N, classes).
        tolerances: What is allowed.

    Returns:
        The result, and the artifact's outputs, (N, classes), NaN where it does not run.
    """
    error, inspection, milliseconds = "", Inspection({}), float("nan")
    try:
        outputs, facts = run_in_subprocess(path, images)
        milliseconds = facts.pop("milliseconds")
        inspection = Inspection(**facts)
    except ArtifactError as broken:
        outputs, error = np.full(reference.shape, np.nan), str(broken)
    difference = np.abs(outputs.astype(np.float64) - reference)
    return VerificationResult(
        name=name,
        file=path.name,
        bytes=size(path),
        images=len(images),
        max_difference=float(difference.max()),
        mean_difference=float(difference.mean()),
        top1_agreement=accuracy(outputs, predicted_labels(reference)),
        accuracy=accuracy(outputs, labels),
        accuracy_drop=accuracy_drop(outputs, reference, labels),
        milliseconds=milliseconds,
        tolerances=tolerances,
        inspection=inspection,
        error=error,
    ), outputs


def run_in_subprocess(path: Path, images: np.ndarray) -> tuple[np.ndarray, dict[str, Any]]:
    """Runs the artifact at `path` in a process of its own without Keras; see `worker`.

    Returns:
        Its outputs, (N, classes), and the fields of its `Inspection` with `milliseconds`, the time for one image.

    Raises:
        ArtifactError: If it does not run.
    """
    with tempfile.TemporaryDirectory() as folder:
        images_file, outputs_file, facts_file = (Path(folder, name) for name in ("images.npy", "outputs.npy", "facts.json"))
        np.save(images_file, images)
        files = map(str, (path, images_file, outputs_file, facts_file))
        command = python_module("keras_resnet.export.verification.worker", *files)
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            lines = done.stderr.strip().splitlines() or [f"exit status {done.returncode}"]
            raise ArtifactError(f"cannot be run without Keras: {lines[-1]}")
        return np.load(outputs_file), json.loads(facts_file.read_text(encoding="utf-8"))


def size(path: Path) -> int:
    """Returns the bytes of a file, or of all files in a folder."""
    return path.stat().st_size if path.is_file() else sum(p.stat().st_size for p in path.rglob("*") if p.is_file())
