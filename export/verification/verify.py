"""Is an artefact the same classifier? It is reloaded without Keras, in a process of its own, and compared."""

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
class Gates:
    """What an artefact must keep. max_difference: of any output, see `Verification`. max_accuracy_drop: in points."""

    max_difference: float
    max_accuracy_drop: float


@dataclasses.dataclass(frozen=True)
class Verification:
    """An artefact against the Keras model on the same images.

    max_difference, mean_difference: absolute, over all outputs. top1_agreement: share of images with the same first label; two
    labels that tie may lower it. accuracy: share of images that the artefact gets right. accuracy_drop: points that it
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
    gates: Gates
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
        found = list(self.inspection.refusals())
        if not self.max_difference <= self.gates.max_difference:  # true for NaN
            found.append(f"differs by {self.max_difference:.1e}, {self.gates.max_difference:.1e} allowed")
        if not self.accuracy_drop <= self.gates.max_accuracy_drop + ROUNDING:
            found.append(f"loses {self.accuracy_drop:.2f} points of accuracy, {self.gates.max_accuracy_drop:g} allowed")
        return found


class ArtefactError(Exception):
    """An artefact that does not run."""


def verify(name, path, images, labels, reference, gates):
    """Compares the artefact at `path` with `reference` (N, classes), what Keras gives for `images`.

    Returns the `Verification` and the artefact's outputs.
    """
    error, facts = "", {"operators": {}, "milliseconds": float("nan")}
    try:
        outputs, facts = run_apart(path, images)
    except ArtefactError as broken:
        outputs, error = np.full(reference.shape, np.nan), str(broken)
    difference = np.abs(outputs.astype(np.float64) - reference)
    best = np.where(np.isnan(outputs).any(axis=1), -1, outputs.argmax(axis=1))  # no answer is no label
    accuracy, kerass = float(np.mean(best == labels)), float(np.mean(reference.argmax(axis=1) == labels))
    milliseconds = facts.pop("milliseconds")
    return Verification(
        name=name,
        file=path.name,
        bytes=size(path),
        images=len(images),
        max_difference=float(difference.max()),
        mean_difference=float(difference.mean()),
        top1_agreement=float(np.mean(best == reference.argmax(axis=1))),
        accuracy=accuracy,
        accuracy_drop=100 * (kerass - accuracy),
        milliseconds=milliseconds,
        gates=gates,
        inspection=Inspection(**facts),
        error=error,
    ), outputs


def run_apart(path, images):
    """The outputs of the artefact at `path`, and facts of it, from a process of its own without Keras; see `worker.py`."""
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
            raise ArtefactError(f"cannot be run without Keras: {lines[-1]}")
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
