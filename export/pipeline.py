"""From a trained classifier to a folder of verified artifacts."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from keras_resnet.errors import UserError, comma_join

from .config import ExportConfig
from .formats.format import BATCH_SIZE
from .formats.labels import LABELS_FILE, labels_text
from .output_dir import check_output_dir, publish, temporary_folder
from .reporting import model_card, report
from .serving import select_output
from .source_model import SourceModel
from .verification.verify import verify
from .writer import ArtifactWriter, CalibrationSplit

MIN_CALIBRATION = 16  # images; a network calibrated on less is judged by chance


def export(
    config: ExportConfig,
    source: SourceModel,
    images: np.ndarray,
    labels: np.ndarray,
    calibration: CalibrationSplit | None = None,
    say: Callable[[str], None] = lambda line: None,
) -> report.Report:
    """Writes the artifacts of `config`, verifies each, and reports.

    An artifact gets its final name when it has passed; another is kept as `..._failed`.

    Args:
        config: What to write.
        source: The classifier.
        images: uint8 (N, H, W, C), to verify on.
        labels: Their true classes, (N,).
        calibration: Of the training split, where `config.calibrated` names artifacts.
        say: Is told the name of each artifact as it begins.

    Raises:
        UserError: For a folder that must not be written to, too few calibration images, or a model that cannot be exported.
    """
    check_calibration(config, calibration)
    check_output_dir(config.output_dir, source.classifier, config.targets)
    reference = keras_outputs(config, source, images)
    with temporary_folder(config.output_dir) as folder:
        writer, verifications, outputs = ArtifactWriter(config, source, calibration, folder), [], {}
        for name, target in config.targets.items():
            say(target.file)
            path = folder / target.file
            writer.write(name, path)
            tolerances = config.tolerances(target, source.model, reference)
            verification, outputs[name] = verify(name, path, images, labels, reference, tolerances)
            verifications.append(verification)
        result = report.Report(
            config, source.classifier, verifications, images, labels, reference, outputs, kept_float=writer.kept_float
        )
        write_papers(result, folder)
        publish(result, folder)
    return result


def check_calibration(config: ExportConfig, calibration: CalibrationSplit | None) -> None:
    """Raises a `UserError` where there are too few images for what is to be calibrated."""
    count = 0 if calibration is None else len(calibration)
    if config.calibrated and count < MIN_CALIBRATION:
        raise UserError(
            f"{comma_join(config.calibrated)} cannot be calibrated on {count} images; at least {MIN_CALIBRATION} are needed"
        )


def keras_outputs(config: ExportConfig, source: SourceModel, images: np.ndarray) -> np.ndarray:
    """Computes what Keras gives for the images, (N, classes): the reference of all verifications."""
    model: Any = select_output(source.model, config.output)
    reference = model.predict(images.astype("float32"), batch_size=BATCH_SIZE, verbose=0)
    if not np.isfinite(reference).all():
        raise UserError(f"{config.model_path} gives outputs for test images that are NaN or infinite")
    return reference


def write_papers(result: report.Report, folder: Path) -> None:
    """Writes the reports, the labels and the model card."""
    result.write(folder)
    (folder / LABELS_FILE).write_text(labels_text(result.classifier.labels), encoding="utf-8")
    (folder / model_card.FILE).write_text(model_card.model_card(result), encoding="utf-8")
