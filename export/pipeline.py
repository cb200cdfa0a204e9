"""From a trained classifier to a folder of proven artifacts."""

import dataclasses
import os
import platform
import tempfile
from pathlib import Path

import numpy as np
import psutil

from keras_resnet import files
from keras_resnet.errors import UserError, comma_join

from . import targets as artifacts
from .formats.onnx import model as onnx
from .formats.onnx.quantizer import LEAST_OPSET
from .formats.tflite.metadata import LABELS_FILE, lines
from .reporting import model_card as card
from .reporting import report
from .serving import OUTPUTS, truncate_to_logits
from .verification.verify import Tolerances, verify
from .writer import Writer

SHALLOW = 100  # kernels; the roundings of a deeper network add up to more, in Keras as well
TEMPORARY = f".export-{platform.node()}-"  # and the process; of the host too, for others may write to the same disk
LEAST_CALIBRATION = 16  # images; a network calibrated on less is judged by chance


@dataclasses.dataclass(frozen=True)
class ExportConfig:
    """What to write, and how exactly it must agree with Keras.

    formats, quantize: what of `artifacts.TARGETS`; None means the usual ones. fold: whether normalisations are folded; see
    `export.fold`. keep_float: operators that stay float in full integer files, or ("auto",): those that measuring finds.
    max_difference: the largest between an artifact's output and Keras'; for logits, as a share of the largest. None: what the
    table says, in float32 in proportion more for networks of over 100 kernels. max_accuracy_drop: in points. onnx_layout,
    opset: see `onnx.model`. description, license: of the network, for the files' metadata and the card.
    """

    model_path: Path
    output_dir: Path
    formats: tuple = artifacts.FORMATS
    quantize: tuple | None = None
    output: str = "probabilities"
    fold: bool = True
    keep_float: tuple = ()
    max_difference: float | None = None
    max_accuracy_drop: float = 1.0
    onnx_layout: str = "nhwc"
    opset: int = onnx.OPSET
    description: str = ""
    license: str = ""

    def __post_init__(self):
        artifacts.select_targets(self.formats, self.quantize)
        onnx.check(self.onnx_layout, self.opset)
        if "int8" in (self.quantize or artifacts.DEFAULT_QUANTIZATIONS) and "onnx" in self.formats and self.opset < LEAST_OPSET:
            raise UserError(f"opset is {self.opset}; int8 in ONNX needs {LEAST_OPSET} or above")
        if self.output not in OUTPUTS:
            raise UserError(f"unknown output {self.output!r}; it is one of {comma_join(OUTPUTS)}")
        if self.max_difference is not None and not self.max_difference > 0:
            raise UserError(f"max_difference is {self.max_difference}; it is above 0")
        if not 0 <= self.max_accuracy_drop <= 100:
            raise UserError(f"max_accuracy_drop is {self.max_accuracy_drop}; it is in points, from 0 to 100")

    @property
    def kinds(self):
        return artifacts.select_targets(self.formats, self.quantize)

    @property
    def calibrated(self):
        """The artifacts that need calibration images, by name."""
        return [name for name, kind in self.kinds.items() if kind.quantization in artifacts.CALIBRATED]

    def tolerances(self, kind, model, reference):
        """What an artifact of `model` must keep; `reference`: what Keras gives."""
        kernels = sum(hasattr(layer, "kernel") for layer in model.layers)
        usual = kind.max_difference * (max(1, kernels / SHALLOW) if kind.quantization == "none" else 1)
        most = usual if self.max_difference is None else self.max_difference
        scale = 1 if self.output == "probabilities" else float(np.abs(reference).max())
        return Tolerances(most * scale, self.max_accuracy_drop)


def export(config, source, images, labels, calibration=None, say=lambda line: None):
    """Writes the artifacts of `config`, verifies each on `images` (uint8 (N, H, W, C)) with `labels` (N,), and reports.

    source: a `sources.SourceModel`. calibration: images and labels of the training part, where `config.calibrated` names artifacts.
    say: hears of each artifact. One gets its final name when it has passed; another is kept as `..._failed`. Returns the
    `Report`.
    """
    check_calibration(config, calibration)
    check_output_dir(config.output_dir, source.metadata, config.kinds)
    reference = truncate_to_logits(source.model, config.output).predict(images.astype("float32"), batch_size=64, verbose=0)
    if not np.isfinite(reference).all():
        raise UserError(f"{config.model_path} gives outputs that are no numbers for test images")
    with (
        files.attach_path(config.output_dir),
        files.created_directory(config.output_dir),
        tempfile.TemporaryDirectory(prefix=f"{TEMPORARY}{os.getpid()}-", dir=config.output_dir) as temporary,
    ):
        remove_stale_temp_dirs(config.output_dir)
        folder = Path(temporary)
        writer, verifications, outputs = Writer(config, source, calibration, folder), [], {}
        for name, kind in config.kinds.items():
            say(kind.file)
            path = folder / kind.file
            writer.write(name, path)
            tolerances = config.tolerances(kind, source.model, reference)
            verification, outputs[name] = verify(name, path, images, labels, reference, tolerances)
            verifications.append(verification)
        result = report.Report(
            config, source.metadata, verifications, images, labels, reference, outputs, kept_float=writer.kept_float
        )
        result.write(folder)
        (folder / LABELS_FILE).write_text(lines(source.metadata.labels), encoding="utf-8")
        (folder / card.FILE).write_text(card.model_card(result), encoding="utf-8")
        publish(result, folder)
    return result


def publish(result, folder):
    """Renames what was made in `folder` to its final names, the record first: it tells the next export whose they are."""
    target = result.config.output_dir
    for file in (report.RECORD, report.PAGE, LABELS_FILE, card.FILE):
        files.replace(folder / file, target / file)
    for verification in result.results:
        kind = artifacts.TARGETS[verification.name]
        passed, failed = target / kind.file, target / kind.failed_file
        stale, name = (failed, passed) if verification.passed else (passed, failed)
        files.replace(folder / kind.file, name)
        files.remove(stale)  # of an earlier export: what has the final name has passed the newest verification


def check_calibration(config, calibration):
    if config.calibrated and (calibration is None or len(calibration) < LEAST_CALIBRATION):
        raise UserError(
            f"{comma_join(config.calibrated)} cannot be calibrated on {0 if calibration is None else len(calibration)} images; "
            f"at least {LEAST_CALIBRATION} are needed"
        )


def check_output_dir(folder, classifier, kinds):
    """Refuses a folder in which our names are taken by files that we did not write, or by an export that would not be replaced.

    A folder holds one export, and its reports tell of all that is in it: what was there must be among the `kinds` to come.
    """
    if folder.exists() and not folder.is_dir():
        raise UserError(f"{folder} is a file: choose another --output_dir")
    table = artifacts.TARGETS
    names = [*(kind.file for kind in table.values()), *(kind.failed_file for kind in table.values()), LABELS_FILE, card.FILE]
    taken = [name for name in (*names, report.PAGE, report.RECORD) if (folder / name).exists()]
    if not taken:
        return
    record = report.read(folder)
    earlier = [entry["name"] for entry in record["artifacts"] if entry["name"] in table] if record else []
    ours = {name for kind in map(table.get, earlier) for name in (kind.file, kind.failed_file)}
    ours |= {LABELS_FILE, card.FILE, report.PAGE, report.RECORD} if record else set()
    odd = [name for name in taken if name not in ours or (folder / name).is_dir() != name.startswith("saved_model")]
    if odd:
        raise UserError(f"{folder} holds {comma_join(odd)} of another origin: choose another --output_dir")
    if (record["model"], record["dataset"]) != (classifier.model, classifier.dataset):
        raise UserError(f"{folder} holds the export of {record['model']} on {record['dataset']}: choose another --output_dir")
    if record.get("labels", list(classifier.labels)) != list(classifier.labels):
        raise UserError(f"{folder} holds the export of a network with other classes: choose another --output_dir")
    if left := [name for name in earlier if name not in kinds]:
        raise UserError(
            f"{folder} holds an export with {comma_join(left)}, which this one has not: choose another --output_dir"
        )


def remove_stale_temp_dirs(folder):
    """Temporary folders whose process, on this host, is no more."""
    for path in folder.glob(f"{TEMPORARY}*-*"):
        number = path.name.removeprefix(TEMPORARY).partition("-")[0]
        if number.isdigit() and not psutil.pid_exists(int(number)):
            files.remove(path)
