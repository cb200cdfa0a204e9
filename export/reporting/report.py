"""What was exported and how well it agrees with Keras: `report.json`, which `html_report` and `model_card` show to people."""

import dataclasses
import math
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from keras_resnet.errors import UserError, comma_join
from keras_resnet.files import json_text, sha256_of, write_text
from keras_resnet.metadata import ClassifierMetadata
from keras_resnet.metrics import accuracy
from keras_resnet.records import from_record, read_json
from keras_resnet.remote import AnyPath
from keras_resnet.remote_copies import as_given

from ..clients.result import ClientResult
from ..config import ExportConfig
from ..formats import LIBRARIES
from ..sensitivity import Explanation
from ..verification.result import VerificationResult

RECORD = "report.json"
COLUMNS = (
    "artifact",
    "size",
    "latency",
    "accuracy",
    "accuracy drop",
    "agreement",
    "max difference",
    "in XNNPACK",
    "passed",
)
CLIENT_COLUMNS = ("client", "version", "artifact", "batch", "same prediction", "max difference", "result")


@dataclasses.dataclass(frozen=True)
class RecordedArtifact:
    """An artifact of an earlier export."""

    name: str


@dataclasses.dataclass(frozen=True)
class RecordedExport:
    """What the `report.json` of an earlier export says about whose files are in its folder, and what they were made from.

    unfinished: whether its upload has not ended; see `output_dir.publish`.
    """

    model: str
    dataset: str
    artifacts: tuple[RecordedArtifact, ...]
    versions: dict[str, str]
    labels: tuple[str, ...] | None = None
    selftest_images: int = 0
    source_path: str | None = None
    unfinished: bool = False


def read(folder: AnyPath) -> RecordedExport | None:
    """Reads the `report.json` of an earlier export in the folder; None if there is none, or it is of something else."""
    try:
        return from_record(read_json(folder / RECORD), RecordedExport, ignore_unknown=True)
    except UserError:
        return None


@dataclasses.dataclass(frozen=True)
class Report:
    """The results of one export.

    Attributes:
        config: What was to be exported.
        metadata: The classifier's.
        results: One for each artifact.
        images: uint8, (N, H, W, C): what the artifacts were verified on.
        labels: Their true classes, (N,).
        reference: Keras' scores of the classes for them, (N, classes).
        outputs: `{name: those of the artifact}`, NaN where it does not run.
        kept_float: `{name: operators}` that were not quantized, as the user named them or as measuring found them.
        explanations: `{name: where its quantization loses}`.
        selftest_images: How many of the images are in the self-test beside the artifacts; 0 where there is none.
        clients: What the clients of `config.verify_in` made of the artifacts that passed.
    """

    config: ExportConfig
    metadata: ClassifierMetadata
    results: list[VerificationResult]
    images: np.ndarray
    labels: np.ndarray
    reference: np.ndarray
    outputs: dict[str, np.ndarray]
    kept_float: dict[str, tuple[str, ...]] = dataclasses.field(default_factory=dict)
    explanations: dict[str, Explanation] = dataclasses.field(default_factory=dict)
    selftest_images: int = 0
    clients: list[ClientResult] = dataclasses.field(default_factory=list)

    @property
    def failed(self) -> list[VerificationResult]:
        return [result for result in self.results if not result.passed]

    @property
    def failed_in_clients(self) -> list[ClientResult]:
        return [result for result in self.clients if not result.passed]

    @property
    def accuracy(self) -> float:
        """The Keras model's."""
        return accuracy(self.reference, self.labels)

    @property
    def model_bytes(self) -> int:
        """The size of the Keras model's file."""
        return self.config.model_path.stat().st_size

    @property
    def outputs_by_name(self) -> dict[str, np.ndarray]:
        """What each model gives for the images, Keras' first."""
        return {"keras": self.reference, **self.outputs}

    def write(self, folder: Path) -> None:
        """Writes `report.json`."""
        write_text(folder / RECORD, f"{json_text(self.to_dict(), indent=2)}\n")

    def to_dict(self) -> dict[str, Any]:
        return {
            "model": self.metadata.model,
            "dataset": self.metadata.dataset,
            "labels": list(self.metadata.labels),
            "origin": dataclasses.asdict(self.metadata.origin) if self.metadata.origin else None,
            "source_path": as_given(str(self.config.model_path.resolve())),
            "sha256": sha256_of(self.config.model_path),
            "output": list(self.config.output),
            "fold": self.config.fold,
            "calibration": self.config.calibration,
            "images": len(self.images),
            "selftest_images": self.selftest_images,
            "versions": {name: version(name) for name in LIBRARIES},
            "keras": {"bytes": self.model_bytes, "accuracy": self.accuracy},
            "artifacts": [self._artifact_to_dict(result) for result in self.results],
            "clients": [{**dataclasses.asdict(result), "passed": result.passed} for result in self.clients],
        }

    def _artifact_to_dict(self, result: VerificationResult) -> dict[str, Any]:
        record = {
            **dataclasses.asdict(result),
            "max_difference": result.max_difference,
            "passed": result.passed,
            "failures": result.failures,
        }
        if result.name in self.kept_float:
            record["kept_float"] = self.kept_float[result.name]
        if result.name in self.explanations:
            record["quantization_noise"] = dataclasses.asdict(self.explanations[result.name])
        return record

    def verdict(self) -> str:
        """One line: that all agree, or which do not and how far."""
        if self.failed:
            return "; ".join(f"{result.name} {', '.join(result.failures)}" for result in self.failed)
        compared = [result.max_difference for result in self.results if math.isfinite(result.tolerances.max_difference)]
        worst = f" The float ones differ from Keras by at most {max(compared):.1e}." if compared else ""
        drop = max(result.accuracy_drop for result in self.results)
        which = f"All {len(self.results)} artifacts" if len(self.results) > 1 else "The artifact"
        return f"{which} passed.{worst} The largest drop in accuracy is {drop:.2f} points."

    @property
    def notes(self) -> list[str]:
        """What is to be known about how artifacts were run, one line each."""
        return [f"{result.name}: {result.inspection.note}" for result in self.results if result.inspection.note]

    def client_verdict(self) -> str:
        """One line: that all clients agree with the artifacts, or which do not on which; empty where none was asked."""
        wrong: dict[str, list[str]] = {}
        for result in self.failed_in_clients:
            wrong.setdefault(result.title, []).append(result.artifact)
        if wrong:
            return "; ".join(f"{title} fails with {comma_join(artifacts)}" for title, artifacts in wrong.items())
        return (
            f"The artifacts pass in {comma_join(titles)}." if (titles := dict.fromkeys(r.title for r in self.clients)) else ""
        )

    def rows(self) -> list[tuple[str, ...]]:
        """The table of `COLUMNS` as text, Keras first."""
        keras = ("keras", megabytes(self.model_bytes), "", f"{self.accuracy:.2%}", *[""] * 5)
        return [keras, *map(table_row, self.results)]


def table_row(result: VerificationResult) -> tuple[str, ...]:
    inspection = result.inspection
    return (
        result.name,
        megabytes(result.bytes),
        f"{result.milliseconds:.3g} ms" if math.isfinite(result.milliseconds) else "",
        f"{result.accuracy:.2%}",
        f"{result.accuracy_drop:+.2f}",
        str(result.agreement),
        differences(result),
        "" if inspection.delegated is None else f"{inspection.delegated:.1%} in {inspection.partitions}",
        "yes" if result.passed else "NO",
    )


def differences(result: VerificationResult) -> str:
    """The largest difference of the output, or of each of several."""
    if len(result.max_differences) == 1:
        return f"{result.max_difference:.1e}"
    return comma_join([f"{name} {difference:.1e}" for name, difference in result.max_differences.items()])


def client_row(result: ClientResult) -> tuple[str, ...]:
    """A row of `CLIENT_COLUMNS`."""
    return (
        result.title,
        versions_text(result),
        result.artifact,
        ", ".join(map(str, result.batch_sizes)),
        f"{result.agreement:.2%}" if math.isfinite(result.agreement) else "",
        f"{result.max_difference:.1e}" if math.isfinite(result.max_difference) else "",
        "; ".join(result.failures) or result.note or "yes",
    )


def versions_text(result: ClientResult) -> str:
    """The client's own version, then those of what it runs in with their names."""
    texts = [f"{name} {version}" for name, version in result.versions.items()]
    return ", ".join([text.partition(" ")[2] if index == 0 else text for index, text in enumerate(texts)])


def megabytes(size: int) -> str:
    return f"{size / 1e6:.2f} MB"
