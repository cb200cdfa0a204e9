"""Is an artifact the same classifier? It is reloaded without Keras, in a process of its own, and compared."""

import dataclasses
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

from .inspection import Inspection

ROUNDING = 1e-9  # of a drop in points


@dataclasses.dataclass(frozen=True)
class Tolerances:
    """What an artifact must keep. max_difference: of any output, see `VerificationResult`. max_accuracy_drop: in points."""

    max_difference: float
    max_accuracy_drop: float


@dataclasses.dataclass(frozen=True)
class VerificationResult:
    """An artifact against the Keras model on the same images.

    max_difference, mean_difference: absolute, over all outputs. top1_agreement: share of images with the same first label; two
    labels that tie may lower it. accuracy: share of images that the artifact gets right. accuracy_drop: points that it
    loses against Keras. milliseconds: for one image, median, in the process that verified it. error: why it could not be run.
    """

    name: str
    file: str
    bytes: int
    images: int
    max_difference: float
    mean_difference: float
    top1_agreement: float
    accuracy: float
    accuracy_drop: float
    milliseconds: float
    tolerances: Tolerances
    inspection: Inspection
    error: str = ""

    @property
    def passed(self):
        return not self.failures

    @property
    def failures(self):
        """Why it does not get its final name: one line each."""
        if self.error:
            return [self.error]
        found = list(self.inspection.blocking_issues())
        if not self.max_difference <= self.tolerances.max_difference:  # true for NaN
            found.append(f"differs by {self.max_difference:.1e}, {self.tolerances.max_difference:.1e} allowed")
        if not self.accuracy_drop <= self.tolerances.max_accuracy_drop + ROUNDING:
            found.append(f"loses {self.accuracy_drop:.2f} points of accuracy, {self.tolerances.max_accuracy_drop:g} allowed")
        return found


class ArtifactError(Exception):
    """An artifact that does not run."""


def verify(name, path, images, labels, reference, tolerances):
    """Compares the artifact at `path` with `reference` (N, classes), what Keras gives for `images`.

    Returns the `VerificationResult` and the artifact's outputs.
    """
    error, facts = "", {"operators": {}, "milliseconds": float("nan")}
    try:
        outputs, facts = run_in_subprocess(path, images)
    except ArtifactError as broken:
        outputs, error = np.full(reference.shape, np.nan), str(broken)
    difference = np.abs(outputs.astype(np.float64) - reference)
    best = np.where(np.isnan(outputs).any(axis=1), -1, outputs.argmax(axis=1))  # no answer is no label
    accuracy, keras_accuracy = float(np.mean(best == labels)), float(np.mean(reference.argmax(axis=1) == labels))
    milliseconds = facts.pop("milliseconds")
    return VerificationResult(
        name=name,
        file=path.name,
        bytes=size(path),
        images=len(images),
        max_difference=float(difference.max()),
        mean_difference=float(difference.mean()),
        top1_agreement=float(np.mean(best == reference.argmax(axis=1))),
        accuracy=accuracy,
        accuracy_drop=100 * (keras_accuracy - accuracy),
        milliseconds=milliseconds,
        tolerances=tolerances,
        inspection=Inspection(**facts),
        error=error,
    ), outputs


def run_in_subprocess(path, images):
    """The outputs of the artifact at `path`, and facts of it, from a process of its own without Keras; see `worker.py`."""
    with tempfile.TemporaryDirectory() as folder:
        given, taken, facts = (Path(folder, name) for name in ("images.npy", "outputs.npy", "facts.json"))
        np.save(given, images)
        # -P: a source folder that we happen to stand in is not the installed package.
        command = [
            sys.executable,
            "-P",
            "-m",
            "keras_resnet.export.verification.worker",
            *map(str, (path, given, taken, facts)),
        ]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            lines = done.stderr.strip().splitlines() or [f"exit status {done.returncode}"]
            raise ArtifactError(f"cannot be run without Keras: {lines[-1]}")
        return np.load(taken), json.loads(facts.read_text(encoding="utf-8"))


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
