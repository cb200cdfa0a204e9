"""`keras-resnet export`: a classifier written as SavedModel, TFLite, ONNX and a web page, each verified."""

from __future__ import annotations

import contextlib
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from keras_resnet import environment
from keras_resnet.export import targets
from keras_resnet.export.clients.table import CLIENTS, GROUPS
from keras_resnet.export.config import ExportConfig
from keras_resnet.export.formats.format import CALIBRATIONS, INPUT_DTYPES, OUTPUTS, evenly_spaced
from keras_resnet.export.formats.onnx.options import LAYOUTS, OPSETS
from keras_resnet.export.formats.web import litertjs
from keras_resnet.export.output_dir import check_is_folder
from keras_resnet.metadata import ClassifierMetadata
from keras_resnet.remote import as_path, check_reachable

from .command import Command
from .data import (
    LABELS_TEXT,
    MODEL,
    artifact_path,
    check_dataset,
    class_names_of_dataset,
    define_test_data,
    open_dataset,
    read_labels_file,
)
from .flags import FlagHelp, Flags
from .output import print_lines, show_table, status_line

if TYPE_CHECKING:
    from keras_resnet.training.data.dataset import Dataset
    from keras_resnet.training.data.splits import ArraySplit, Split

BESIDE = ("config.json", "curves.png")  # a classifier that train wrote; the reports of an export read them
ARTIFACTS, WEB, VERIFICATION, FOREIGN = "Artifacts", "Web page", "Verification", "Models from elsewhere"
NORMALIZATIONS = ("none", "caffe", "tf", "torch")  # of a module that needs TensorFlow; a test compares them
CONFIG_HELP = {  # of the fields of `ExportConfig` that are flags, in the order of the help
    "formats": FlagHelp(ARTIFACTS, "The formats to write.", tuple(targets.FORMATS)),
    "quantize": FlagHelp(
        ARTIFACTS,
        "The number types to write each format in, as far as it has them. int8_dynamic and int8_weight quantize the weights "
        "only; int8 and int16x8 also the activations, which takes calibration images.",
        targets.QUANTIZATIONS,
        ",".join(targets.DEFAULT_QUANTIZATIONS),
    ),
    "input_dtype": FlagHelp(
        ARTIFACTS,
        "Type of the pixels that the artifacts take, 0 to 255; float32 is for runtimes that cannot cast.",
        INPUT_DTYPES,
    ),
    "output": FlagHelp(
        ARTIFACTS,
        "What the artifacts compute, one or several: features is the embedding before the last layer; gradcam, in SavedModel "
        "and ONNX, a map of the image's evidence for the prediction.",
        OUTPUTS,
    ),
    "fold": FlagHelp(
        ARTIFACTS, "Fold the normalization layers into the convolutions; the outputs stay the same up to rounding."
    ),
    "keep_float": FlagHelp(
        ARTIFACTS,
        "Operators that int8 and int16x8 keep in float, by name or part of it; auto measures which are most sensitive.",
    ),
    "calibration": FlagHelp(
        ARTIFACTS,
        "How int8 and int16x8 choose ranges: minmax takes all that the calibration images reach; percentile and entropy (ONNX) "
        "cut off activations, and mse (TFLite) weights, so that what is inside is finer.",
        CALIBRATIONS,
    ),
    "explain_quantization": FlagHelp(
        ARTIFACTS,
        "Report the signal-to-noise ratio of each operator of int8 and int16x8, and what keeping the worst in float brings.",
    ),
    "onnx_layout": FlagHelp(ARTIFACTS, "Order of the axes of the pixels that the ONNX file takes.", LAYOUTS),
    "opset": FlagHelp(ARTIFACTS, "Version of the ONNX operator set.", f"{OPSETS[0]} to {OPSETS[-1]}"),
    "description": FlagHelp(ARTIFACTS, "A sentence about the model, for the files and the model card."),
    "license": FlagHelp(
        ARTIFACTS, "License of the model, for the files and the model card.", default="that of its weights, where it is known"
    ),
    "web_runtime": FlagHelp(
        WEB,
        f"A folder in which `npm install {litertjs.requirement()}` was run; the page gets its LiteRT.js. Without it "
        "`npm install` in the page's folder brings it.",
        default="none",
        placeholder="FOLDER",
    ),
    "web_single_file": FlagHelp(
        WEB, "Write the page as one HTML file that carries LiteRT.js and the model, and opens from a disk."
    ),
    "sample_images": FlagHelp(
        WEB, "How many of the test images the page shows as samples. They are published with it.", "at least 0"
    ),
    "max_difference": FlagHelp(
        VERIFICATION,
        "Largest difference from Keras' output that passes: of a probability, or of others as a share of the largest. It "
        "applies to all artifacts; by default those in integers are judged by their accuracy and their predictions.",
        "above 0",
        "1e-4 in float32, more for networks of over 100 kernels; 0.05 in fp16",
    ),
    "max_accuracy_drop": FlagHelp(
        VERIFICATION, "Largest loss of accuracy against Keras that passes, in percentage points.", "0 to 100"
    ),
    "min_agreement": FlagHelp(
        VERIFICATION,
        "On how many percent of the images a quantized artifact must predict what Keras does, of those on which Keras' two "
        "best probabilities differ by at least 0.1; 0 does not ask.",
        "0 to 100",
    ),
    "selftest_images": FlagHelp(
        VERIFICATION,
        "How many images of the test split are written beside the artifacts, into selftest.npz, for keras-resnet verify; 0 "
        "writes no self-test.",
        "at least 0",
    ),
    "verify_in": FlagHelp(
        VERIFICATION,
        "Other runtimes and tools that the artifacts are tried in after verification; exit status 1 if one does not agree. "
        "opencv and web stand for those of their kind that are installed.",
        (*CLIENTS, *GROUPS),
    ),
    "clients_dir": FlagHelp(
        VERIFICATION, "Folder in which `make clients` has installed what --verify_in names.", placeholder="FOLDER"
    ),
}
CALIBRATION_VALIDATION = 0.1  # of the training split, which calibration leaves alone as training did


def define_flags(flags: Flags) -> None:
    model_path = (
        "The .keras file to export: one that train or import wrote, or any Keras classifier with --normalization; or the name "
        "of trained weights that `keras-resnet list` shows, such as ResNet20V2/digits."
    )
    flags.define("model_path", str, None, FlagHelp(MODEL, model_path, placeholder="FILE"))
    define_test_data(flags)
    define_artifact_flags(flags)
    define_foreign_model_flags(flags)


def define_artifact_flags(flags: Flags) -> None:
    output_dir = (
        "Folder for the artifacts and their report, or a URL such as gs://bucket/export. An earlier export of the same network "
        "in it is replaced."
    )
    flags.define("output_dir", str, None, FlagHelp(ARTIFACTS, output_dir, placeholder="FOLDER"))
    flags.define_fields(ExportConfig, CONFIG_HELP, CONFIG_HELP)
    calibration = "How many images of the training split the ranges of activations are taken from."
    flags.define("calibration_images", int, 256, FlagHelp(ARTIFACTS, calibration), at_least=1)
    images = "How many images of the test split, evenly spread, each artifact is verified on; 0 takes all."
    flags.define("verification_images", int, 1000, FlagHelp(VERIFICATION, images), at_least=0)


def define_foreign_model_flags(flags: Flags) -> None:
    normalization = FlagHelp(
        FOREIGN,
        "How a .keras file that this package did not write wants its pixels: a mode of keras.applications' preprocess_input, "
        "or none for 0 to 255.",
        NORMALIZATIONS,
        "what the file says",
    )
    flags.define("normalization", str, None, normalization)
    flags.define(
        "labels",
        str,
        None,
        FlagHelp(FOREIGN, f"{LABELS_TEXT}.", default="those in the file, or of --dataset", placeholder="FILE"),
    )
    size = "Height and width in pixels of the images, for a network that takes any."
    flags.define("image_size", int, None, FlagHelp(FOREIGN, size, default="the network's own"), at_least=1)


@contextlib.contextmanager
def exit_on_sigterm() -> Iterator[None]:
    """Inside, SIGTERM raises SystemExit, so that temporary files are removed."""
    before = signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


@exit_on_sigterm()
def export(flags: Flags, arguments: list[str]) -> int:
    """Writes a .keras file as SavedModel, TFLite, ONNX or a web page and verifies each; exit status 1 if one does not pass."""
    output_dir = as_path(flags.output_dir)
    config = ExportConfig(Path(artifact_path(flags, BESIDE)), output_dir, **flags.values(CONFIG_HELP))
    environment.configure(flags.verbosity, tensorflow=False)
    if isinstance(output_dir, Path):
        check_is_folder(output_dir)
    check_dataset(flags)
    class_names = read_labels_file(flags.labels) if flags.labels else None
    environment.configure(flags.verbosity)
    check_reachable(output_dir)
    from keras_resnet.export import pipeline
    from keras_resnet.export.reporting import html_report, report
    from keras_resnet.export.selftest import archive as selftest
    from keras_resnet.export.source_model.loading import load_source_model

    if not flags.labels and flags.normalization and flags.dataset:
        class_names = class_names_of_dataset(flags)  # of a model from elsewhere; None for those in the file
    source = load_source_model(config.model_path, flags.normalization, class_names, flags.dataset or "", flags.image_size)
    metadata = source.metadata
    dataset = open_dataset(flags, metadata)
    test = evenly_spread(dataset.test, flags.verification_images).prepared(metadata.preprocessing).readable()
    calibration = read_calibration(dataset, flags.calibration_images, metadata) if config.calibrated else None
    with status_line() as show:
        result = pipeline.export(config, source, test.images[:], test.labels, calibration, show)
    show_table(report.COLUMNS, result.rows())
    if result.clients:
        show_table(report.CLIENT_COLUMNS, map(report.client_row, result.clients))
    about = [selftest.images_line(result.selftest_images)] if result.selftest_images else []
    verdicts = filter(None, (result.verdict(), result.client_verdict()))
    print_lines(*verdicts, *result.notes, *about, f"report: {config.output_dir / html_report.PAGE}")
    return 1 if result.failed or result.failed_in_clients else 0


def read_calibration(dataset: Dataset, count: int, metadata: ClassifierMetadata) -> ArraySplit:
    """Images of the training split, not augmented, chosen by a fixed seed."""
    training, _ = dataset.train_and_validation(CALIBRATION_VALIDATION, seed=0)
    chosen = np.random.default_rng(0).permutation(len(training))[:count]
    return training.take(np.sort(chosen)).prepared(metadata.preprocessing).readable()


def evenly_spread(split: Split, most: int) -> Split:
    """`most` examples of a split, evenly spread, or all for 0."""
    if not 0 < most < len(split):
        return split
    return split.take(evenly_spaced(len(split), most))


COMMAND = Command(
    export,
    define_flags,
    required=("model_path", "output_dir"),
    example="keras-resnet export --model_path=runs/digits/model.keras --output_dir=runs/digits/export",
)
