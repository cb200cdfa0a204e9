"""From `model.keras` to a folder of proven artefacts."""

import dataclasses
import tempfile
from pathlib import Path

import numpy as np

from keras_resnet import files, saving
from keras_resnet.classifier import Classifier
from keras_resnet.errors import UserError, choices
from keras_resnet.export import onnx, report, saved_model, tflite
from keras_resnet.export.serving import OUTPUTS, serving_function, with_output
from keras_resnet.export.verification import verify

ARTEFACTS = {"saved_model": "saved_model", "tflite": "model.tflite", "onnx": "model.onnx"}
LABELS_FILE = "labels.txt"


@dataclasses.dataclass(frozen=True)
class ExportConfig:
    """What to write, and how exactly it must agree with Keras.

    tolerance: the largest difference allowed between an artefact's output and Keras'; for logits, as a share of the largest.
    """

    model_path: Path
    output_dir: Path
    formats: tuple = tuple(ARTEFACTS)
    output: str = "probabilities"
    tolerance: float = 1e-4

    def __post_init__(self):
        unknown = [name for name in self.formats if name not in ARTEFACTS]
        if unknown or not self.formats:
            raise UserError(f"unknown format {', '.join(unknown)!r}; the formats are {choices(ARTEFACTS)}")
        if self.output not in OUTPUTS:
            raise UserError(f"unknown output {self.output!r}; it is one of {choices(OUTPUTS)}")
        if not self.tolerance > 0:
            raise UserError(f"tolerance is {self.tolerance}; it is above 0")


def read_classifier(path):
    """The labels and preprocessing that a `.keras` file of ours carries."""
    if not path.is_file():
        raise UserError(f"no file {path}")
    classifier = Classifier.read_from(path)
    if classifier is None:
        raise UserError(f"{path} is truncated, or it is not a model.keras that `keras-resnet train` wrote")
    return classifier


def export(config, images, labels):
    """Writes the artefacts of `config`, verifies each on `images` (uint8 (N, H, W, C)) with `labels` (N,), and reports.

    An artefact gets its final name when it has passed; one that has not is kept as `..._failed`. Returns the `Report`.
    """
    classifier = read_classifier(config.model_path)
    stock = saving.load_as_saved(config.model_path)
    check_output_dir(config.output_dir, classifier)
    reference = with_output(stock, config.output).predict(images.astype("float32"), batch_size=64, verbose=0)
    served = with_output(saving.to_fast(stock), config.output)
    tolerance = config.tolerance * (1 if config.output == "probabilities" else float(np.abs(reference).max()))
    config.output_dir.mkdir(parents=True, exist_ok=True)
    with (
        files.errors_named(config.output_dir),
        tempfile.TemporaryDirectory(prefix=".export-", dir=config.output_dir) as temporary,
    ):
        folder = Path(temporary)
        verifications, outputs = [], {}
        for name, path in write_artefacts(config, served, classifier, folder).items():
            verification, outputs[name] = verify(name, path, images, labels, reference, tolerance)
            verifications.append(verification)
        result = report.Report(config, classifier, verifications, images, labels, reference, outputs)
        result.write(folder)
        (folder / LABELS_FILE).write_text("".join(f"{label}\n" for label in classifier.labels), encoding="utf-8")
        publish(result, folder)
    return result


def publish(result, folder):
    """Renames what was made in `folder` to its final names, the record first: it tells the next export whose they are."""
    target = result.config.output_dir
    for file in (report.RECORD, report.PAGE, LABELS_FILE):
        files.replace(folder / file, target / file)
    for verification in result.verifications:
        path = folder / ARTEFACTS[verification.name]
        passed, failed = target / path.name, target / f"{path.stem}_failed{path.suffix}"
        stale, name = (failed, passed) if verification.passed else (passed, failed)
        files.replace(path, name)
        files.remove(stale)  # of an earlier export: what has the final name has passed the newest verification


def check_output_dir(folder, classifier):
    """Refuses a folder in which our names are taken by files that we did not write, or by the export of another model."""
    if folder.exists() and not folder.is_dir():
        raise UserError(f"{folder} is a file: choose another --output_dir")
    names = (*ARTEFACTS.values(), LABELS_FILE, report.PAGE, report.RECORD)
    taken = [name for name in names if (folder / name).exists()]
    if not taken:
        return
    record = report.read(folder)
    odd = [name for name in taken if (folder / name).is_dir() != (name == ARTEFACTS["saved_model"])]
    if record is None or odd:
        raise UserError(f"{folder} holds {choices(odd or taken)} of another origin: choose another --output_dir")
    if (record["model"], record["dataset"]) != (classifier.model, classifier.dataset):
        raise UserError(f"{folder} holds the export of {record['model']} on {record['dataset']}: choose another --output_dir")


def write_artefacts(config, model, classifier, folder):
    """Writes the formats into `folder`; returns their paths by name. TFLite is made from the SavedModel."""
    serve, formats = serving_function(model, config.output), config.formats
    paths = {name: folder / file for name, file in ARTEFACTS.items()}
    if "saved_model" in formats or "tflite" in formats:
        saved_model.write(serve, model, classifier, paths["saved_model"])
    if "tflite" in formats:
        tflite.write(paths["saved_model"], classifier, paths["tflite"])
    if "onnx" in formats:
        onnx.write(serve, classifier, paths["onnx"])
    return {name: paths[name] for name in formats}
