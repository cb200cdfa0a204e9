"""What was exported and how well it agrees, for a program (`report.json`) and for a person (`report.html`, see `page`)."""

import dataclasses
import hashlib
import json
import math
from importlib import metadata

import numpy as np

from . import html_report as page

RECORD, PAGE = "report.json", "report.html"
COLUMNS = (
    "artifact",
    "size",
    "one image",
    "accuracy",
    "drop",
    "same label as Keras",
    "largest difference",
    "in XNNPACK",
    "passed",
)
LIBRARIES = ("keras", "tensorflow", "ai-edge-litert", "litert-quantizer", "tf2onnx", "onnx", "onnxruntime")


def read(folder):
    """The record of an earlier export in the folder, or None."""
    try:
        record = json.loads((folder / RECORD).read_text(encoding="utf-8"))
        return record if {"model", "dataset", "artifacts", "versions"} <= set(record) else None
    except (OSError, ValueError, TypeError):
        return None


def digest(path):
    """Of a file's bytes, in hexadecimal: whether two exports are of the same weights."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@dataclasses.dataclass(frozen=True)
class Report:
    """The verifications of one export; `reference` and `outputs[name]` are (N, classes) for the `images` (N, H, W, C).

    kept_float: `{name: operators}` that were left out of a quantisation, as the user named them or as measuring found them.
    """

    config: object
    classifier: object
    verifications: list
    images: np.ndarray
    labels: np.ndarray
    reference: np.ndarray
    outputs: dict
    kept_float: dict = dataclasses.field(default_factory=dict)
    columns = COLUMNS

    @property
    def failed(self):
        return [verification for verification in self.verifications if not verification.passed]

    @property
    def accuracy(self):
        return float(np.mean(self.reference.argmax(axis=1) == self.labels))

    @property
    def source_bytes(self):
        return self.config.model_path.stat().st_size

    def write(self, folder):
        (folder / RECORD).write_text(json.dumps(self.to_dict(), indent=2) + "\n", encoding="utf-8")
        (folder / PAGE).write_text(page.render(self), encoding="utf-8")

    def to_dict(self):
        return {
            "model": self.classifier.model,
            "dataset": self.classifier.dataset,
            "labels": list(self.classifier.labels),
            "source": str(self.config.model_path.resolve()),
            "sha256": digest(self.config.model_path),
            "output": self.config.output,
            "fold": self.config.fold,
            "images": len(self.images),
            "versions": {name: metadata.version(name) for name in LIBRARIES},
            "keras": {"bytes": self.source_bytes, "accuracy": self.accuracy},
            "artifacts": [self._record_of(verification) for verification in self.verifications],
        }

    def _record_of(self, verification):
        record = {**dataclasses.asdict(verification), "passed": verification.passed, "failures": verification.failures}
        if verification.name in self.kept_float:
            record["kept_float"] = self.kept_float[verification.name]
        return for_json(record)

    def verdict(self):
        """One line: all agree, or which do not and how far."""
        if self.failed:
            return "; ".join(f"{v.name} {', '.join(v.failures)}" for v in self.failed)
        exact = [v.max_difference for v in self.verifications if math.isfinite(v.tolerances.max_difference)]
        worst = f" The float ones differ from Keras by {max(exact):.1e} at most." if exact else ""
        drop = max(v.accuracy_drop for v in self.verifications)
        who = f"All {len(self.verifications)} artifacts" if len(self.verifications) > 1 else "The artifact"
        return f"{who} passed.{worst} The largest loss of accuracy is {drop:.2f} points."

    def rows(self):
        """The table as text, Keras first."""
        return [("keras", megabytes(self.source_bytes), "", f"{self.accuracy:.2%}", *[""] * 5), *map(row, self.verifications)]


def row(v):
    delegated = "" if v.inspection.delegated is None else f"{v.inspection.delegated:.1%} in {v.inspection.partitions}"
    time = f"{v.milliseconds:.3g} ms" if math.isfinite(v.milliseconds) else ""
    figures = (f"{v.accuracy:.2%}", f"{v.accuracy_drop:+.2f}", f"{v.top1_agreement:.2%}", f"{v.max_difference:.1e}")
    return (v.name, megabytes(v.bytes), time, *figures, delegated, "yes" if v.passed else "NO")


def for_json(value):
    """With null for what is no finite number, which JSON does not have."""
    if isinstance(value, dict):
        return {key: for_json(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [for_json(inner) for inner in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def megabytes(bytes_):
    return f"{bytes_ / 1e6:.2f} MB"
