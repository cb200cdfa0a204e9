"""From a trained classifier to a folder of verified artifacts."""

from collections.abc import Callable
from typing import Any

import keras
import numpy as np

from keras_resnet.errors import UserError, comma_join

from .config import ExportConfig
from .formats.format import BATCH_SIZE
from .formats.labels import LABELS_FILE, labels_text
from .output_dir import check_output_dir, publish, temporary_folder
from .reporting import html_report, model_card, report
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
    report_progress: Callable[[str], None] = lambda line: None,
) -> report.Report:
    """Writes the artifacts of `config`, verifies each, and reports.

    An artifact gets its final name when it has passed; another is kept as `..._failed`.

    Args:
        config: What to write.
        source: The classifier.
        images: uint8 (N, H, W, C), to verify on.
        labels: Their true classes, (N,).
        calibration: Of the training split, where `config.calibrated` names artifacts.
        report_progress: Is told the name of each artifact as it begins.

    Raises:
        UserError: For a folder that must not be written to, too few calibration images, or a model that cannot be exported.
    """
    check_calibration(config, calibration)
    model, metadata = source.model, source.metadata
    check_output_dir(config.output_dir, metadata, config.targets)
    reference = keras_outputs(config, model, images)
    with temporary_folder(config.output_dir) as folder:
        writer, results, outputs = ArtifactWriter(config, model, metadata, calibration, folder), [], {}
        for name, target in config.targets.items():
            report_progress(target.file)
            path = folder / target.file
            writer.write(name, path)
            tolerances = config.tolerances(target, model, reference)
            result, outputs[name] = verify(name, path, images, labels, reference, tolerances)
            results.append(result)
        summary = report.Report(config, metadata, results, images, labels, reference, outputs, kept_float=writer.kept_float)
        summary.write(folder)
        html_report.write_page(summary, folder)
        (folder / LABELS_FILE).write_text(labels_text(metadata.labels), encoding="utf-8")
        (folder / model_card.FILE).write_text(model_card.model_card(summary), encoding="utf-8")
        publish(results, folder, config.output_dir)
    return summary


def check_calibration(config: ExportConfig, calibration: CalibrationSplit | None) -> None:
    """Raises a `UserError` where there are too few images for what is to be calibrated."""
    count = 0 if calibration is None else len(calibration)
    if config.calibrated and count < MIN_CALIBRATION:
        raise UserError(
            f"{comma_join(config.calibrated)} cannot be calibrated on {count} images; at least {MIN_CALIBRATION} are needed"
        )


def keras_outputs(config: ExportConfig, model: keras.Model, images: np.ndarray) -> np.ndarray:
    """Computes what Keras gives for the images, (N, classes): the reference of all verifications."""
    selected: Any = select_output(model, config.output)
    reference = selected.predict(images.astype("float32"), batch_size=BATCH_SIZE, verbose=0)
    if not np.isfinite(reference).all():
        raise UserError(f"{config.model_path} gives outputs for test images that are NaN or infinite")
    return reference
