"""From a trained classifier to a folder of verified artifacts."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np

from keras_resnet import files
from keras_resnet.errors import UserError, comma_join, first_line, one_line
from keras_resnet.metadata import ClassifierMetadata

from .clients.result import ClientResult
from .clients.verify import check_channels, verify_in_clients
from .config import ExportConfig
from .formats.context import Samples
from .formats.format import BATCH_SIZE, ExportTarget, Outputs, evenly_spaced
from .formats.labels import LABELS_FILE, labels_text
from .output_dir import check_output_dir, publish, temporary_folder
from .outputs import scores_function, select_outputs
from .reporting import html_report, model_card, report
from .selftest.archive import write_selftest
from .source_model.loading import SourceModel
from .targets import FORMATS
from .verification.result import VerificationResult
from .verification.verify import verify
from .writer import ArtifactWriter, CalibrationSplit

FLOAT32_BYTES = 4
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

    An artifact gets its final name when it has passed; another is kept as `..._failed`. One that cannot be made does not cost
    the others: it has failed as well.

    Args:
        config: What to write.
        source: The classifier.
        images: uint8 (N, H, W, C), to verify on.
        labels: Their true classes, (N,).
        calibration: Of the training split, where `config.calibrated` names artifacts.
        report_progress: Is told the name of each artifact as it begins.

    Raises:
        UserError: For a folder that must not be written to, too few calibration images, or a model that cannot be exported to
            any of the formats.
    """
    check_calibration(config, calibration)
    check_size(config, source.model)
    check_channels(config.clients, source.metadata.preprocessing.shape[-1])
    model, metadata = source.model, source.metadata
    check_output_dir(config.output_dir, metadata, config.targets)
    labels_lines = labels_text(metadata.labels)
    reference, scores = keras_outputs(config, model, images), scores_function(model, config.output)
    with temporary_folder(config.output_dir) as folder:
        samples = choose_samples(images, labels, reference, config.sample_images)
        writer, results, found = ArtifactWriter(config, model, metadata, calibration, folder, scores, samples), [], {}
        failures: list[Exception] = []
        for name, target in config.targets.items():
            report_progress(target.file)
            path = folder / target.file
            if failure := try_to_write(writer, name, path):
                failures.append(failure)
            error, tolerances = describe(failure), config.tolerances(target, model, reference)
            result, found[name] = verify(name, path, images, labels, reference, scores, tolerances, error)
            results.append(result)
        if len(failures) == len(results):
            raise failures[0]
        passed = [(config.targets[result.name], result, found[result.name]) for result in results if result.passed]
        summary = report.Report(
            config,
            metadata,
            results,
            images,
            labels,
            scores(reference),
            {name: scores(outputs) for name, outputs in found.items()},
            kept_float=writer.kept_float,
            explanations=writer.explanations,
            selftest_images=write_selftest(folder, config.selftest_images, images, reference, passed, metadata),
            clients=try_in_clients(config, metadata, passed, folder, images, report_progress),
        )
        summary.write(folder)
        html_report.write_page(summary, folder)
        files.write_text(folder / LABELS_FILE, labels_lines)
        files.write_text(folder / model_card.FILE, model_card.model_card(summary))
        publish(results, folder, config.output_dir)
    return summary


def choose_samples(images: np.ndarray, labels: np.ndarray, outputs: Outputs, count: int) -> Samples | None:
    """Evenly spread ones of the images, or None for a count of 0."""
    if count == 0:
        return None
    chosen = evenly_spaced(len(images), count)
    return Samples(images[chosen], labels[chosen], {name: values[chosen] for name, values in outputs.items()})


def try_in_clients(
    config: ExportConfig,
    metadata: ClassifierMetadata,
    passed: Sequence[tuple[ExportTarget, VerificationResult, Outputs]],
    folder: Path,
    images: np.ndarray,
    report_progress: Callable[[str], None],
) -> list[ClientResult]:
    """Runs the artifacts that passed in the clients of `config.verify_in`, and compares with what they gave in verification."""
    artifacts = {target.name: (target, folder / target.file, result.tolerances) for target, result, _ in passed}
    references = {target.name: outputs for target, _, outputs in passed}
    layout, dtype = config.onnx_layout, config.input_dtype
    return list(verify_in_clients(config.clients, artifacts, metadata, layout, dtype, images, references, report_progress))


def try_to_write(writer: ArtifactWriter, name: str, path: Path) -> Exception | None:
    """Writes an artifact. Returns why it cannot be made, where that is so; nothing is left of it then."""
    try:
        writer.write(name, path)
    except OSError:  # the disk's fault, which the other artifacts would have to meet as well
        raise
    except Exception as failure:
        files.remove(path)
        return failure
    return None


def describe(failure: Exception | None) -> str:
    """An exception of a converter, as a line of the report; "" where there is none."""
    if failure is None or isinstance(failure, UserError):
        return f"cannot be made: {failure}" if failure else ""
    return f"cannot be made: {one_line(f'{type(failure).__name__}: {first_line(failure)}')}"


def check_calibration(config: ExportConfig, calibration: CalibrationSplit | None) -> None:
    """Raises a `UserError` where there are too few images for what is to be calibrated."""
    count = 0 if calibration is None else len(calibration)
    if config.calibrated and count < MIN_CALIBRATION:
        raise UserError(
            f"{comma_join(config.calibrated)} cannot be calibrated on {count} images; at least {MIN_CALIBRATION} are needed"
        )


def check_size(config: ExportConfig, model: keras.Model) -> None:
    """Raises a `UserError` for formats whose files cannot hold the weights. All of them hold float32 on the way to less."""
    size = FLOAT32_BYTES * model.count_params()
    too_small = [name for name in config.formats if size > FORMATS[name].max_weights]
    if too_small:
        names, most = comma_join(too_small), min(FORMATS[name].max_weights for name in too_small)
        raise UserError(
            f"{config.model_path} has {size:,} bytes of weights, and files of {names} hold {most:,.0f} at most: "
            "leave them out of --formats"
        )


def keras_outputs(config: ExportConfig, model: keras.Model, images: np.ndarray) -> Outputs:
    """Computes what Keras gives for the images: the reference of all verifications."""
    selected: Any = select_outputs(model, config.output)
    reference = selected.predict(images.astype("float32"), batch_size=BATCH_SIZE, verbose=0)
    if not all(np.isfinite(output).all() for output in reference.values()):
        raise UserError(f"{config.model_path} gives outputs for test images that are NaN or infinite")
    return reference
