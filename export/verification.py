"""Is an artefact the same classifier? It is reloaded without Keras, in a process of its own, and compared."""

import dataclasses
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np


@dataclasses.dataclass(frozen=True)
class Verification:
    """An artefact against the Keras model on the same images.

    max_difference, mean_difference: absolute, over all outputs. tolerance: the largest that passes. top1_agreement: share of
    images with the same first label; two labels that tie within the tolerance may lower it. accuracy: share of images that
    the artefact gets right. error: why it could not be run.
    """

    name: str
    bytes: int
    images: int
    max_difference: float
    mean_difference: float
    top1_agreement: float
    accuracy: float
    tolerance: float
    error: str = ""

    @property
    def passed(self):
        return self.max_difference <= self.tolerance  # false for NaN


class ArtefactError(Exception):
    """An artefact that does not run."""


def verify(name, path, images, labels, reference, tolerance):
    """Compares the artefact at `path` with `reference` (N, classes), what Keras gives for `images`.

    Returns the `Verification` and the artefact's outputs.
    """
    error = ""
    try:
        outputs = run_apart(path, images)
    except ArtefactError as broken:
        outputs, error = np.full(reference.shape, np.nan), str(broken)
    difference = np.abs(outputs.astype(np.float64) - reference)
    best = np.where(np.isnan(outputs).any(axis=1), -1, outputs.argmax(axis=1))  # no answer is no label
    return Verification(
        name=name,
        bytes=size(path),
        images=len(images),
        max_difference=float(difference.max()),
        mean_difference=float(difference.mean()),
        top1_agreement=float(np.mean(best == reference.argmax(axis=1))),
        accuracy=float(np.mean(best == labels)),
        tolerance=tolerance,
        error=error,
    ), outputs


def run_apart(path, images):
    """The outputs of the artefact at `path` from a process of its own without Keras; see `worker.py`."""
    with tempfile.TemporaryDirectory() as folder:
        given, taken = Path(folder, "images.npy"), Path(folder, "outputs.npy")
        np.save(given, images)
        # -P: a source folder that we happen to stand in is not the installed package.
        command = [sys.executable, "-P", "-m", "keras_resnet.export.worker", str(path), str(given), str(taken)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise ArtefactError(f"cannot be run without Keras: {done.stderr.strip().splitlines()[-1]}")
        return np.load(taken)


def size(path):
    """Bytes of a file, or of all files in a folder."""
    return path.stat().st_size if path.is_file() else sum(p.stat().st_size for p in path.rglob("*") if p.is_file())


def scores(probabilities, labels):
    """Top-1 and, from six classes up, top-5 accuracy, mean cross-entropy and the number of images."""
    order = np.argsort(-probabilities, axis=1)
    hits = order == labels[:, np.newaxis]
    result = {"top1": float(hits[:, 0].mean())}
    if probabilities.shape[1] > 5:
        result["top5"] = float(hits[:, :5].any(axis=1).mean())
    picked = probabilities[np.arange(len(labels)), labels]
    return {**result, "loss": float(-np.log(np.maximum(picked, 1e-7)).mean()), "images": len(labels)}
