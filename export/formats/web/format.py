"""A page for browsers: a folder, or one file, that classifies images where they are."""

from __future__ import annotations

import dataclasses
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from keras_resnet.errors import UserError, comma_join

from ..context import ConversionContext, ExportOptions
from ..format import ExportTarget, Format
from ..inspection import Inspection
from ..tflite.format import TFLITE
from . import application, litertjs
from .reading import Application

if TYPE_CHECKING:
    from keras_resnet.metadata import ClassifierMetadata

    from .runner import WebRunner

CHANNELS = (1, 3)  # of the images that a browser decodes


class WebFormat(Format[Path]):
    """Its content is the `.tflite` file that the page runs."""

    name = "web"
    title = "web page"
    suffix = ""
    libraries = ()
    # One folder: of the quantizations that are wanted it has the last of these.
    targets = (
        ExportTarget("web", "none", "web", max_difference=1e-4, embeds="tflite"),
        ExportTarget("web", "fp16", "web", max_difference=0.05, embeds="tflite_fp16"),
        ExportTarget("web", "int8", "web", calibrated=True, embeds="tflite_int8"),
    )

    calibrations = TFLITE.calibrations
    max_weights = TFLITE.max_weights

    def check_options(self, options: ExportOptions, quantizations: Sequence[str]) -> None:
        super().check_options(options, quantizations)
        if not quantizations:
            return
        if options.output != ("probabilities",):
            raise UserError(
                f"a web page shows probabilities, and --output is {comma_join(options.output)}: leave web out of --formats"
            )
        if options.web_runtime is not None:
            litertjs.find_runtime(Path(options.web_runtime))
        elif options.web_single_file:
            raise UserError(
                "--web_single_file puts LiteRT.js into the page: --web_runtime names a folder in which "
                f"`npm install {litertjs.requirement()}` was run"
            )

    def write(self, content: Path, path: Path, context: ConversionContext) -> None:
        from .model_outputs import describe_outputs

        options, metadata, model = context.options, context.metadata, content.read_bytes()
        outputs, channels = describe_outputs(model), metadata.preprocessing.channels
        if channels not in CHANNELS:
            raise UserError(f"a web page shows images of 1 or 3 channels, and the model takes {channels}")
        contents = {
            application.MODEL: model,
            application.DESCRIPTION: application.description_json(metadata, outputs).encode(),
            application.SAMPLES: application.samples_json(context.samples, metadata.labels).encode(),
        }
        runtime = None if options.web_runtime is None else litertjs.find_runtime(Path(options.web_runtime))
        if options.web_single_file:
            assert runtime is not None
            application.write_single_file(path, metadata, contents, runtime)
        else:
            application.write_folder(path, metadata, contents, runtime)

    def matches(self, path: Path) -> bool:
        return (path / application.PAGE).is_file()

    def read_metadata(self, path: Path) -> ClassifierMetadata | None:
        try:
            return Application(path).metadata
        except UserError as error:
            raise UserError(f"{path}: {error}") from error

    def open(self, path: Path) -> WebRunner:
        from .runner import WebRunner

        return WebRunner(path)

    def inspect(self, path: Path, runner: WebRunner) -> Inspection:
        """The model's operators, as LiteRT on this machine has them."""
        page = Application(path)
        content, note = page.model, runner.note
        if page.samples:
            note += f" Samples of the test split are published with it: {page.samples}."
        with tempfile.TemporaryDirectory(prefix="keras-resnet-", ignore_cleanup_errors=True) as folder:
            model = Path(folder) / application.MODEL
            model.write_bytes(content)
            return dataclasses.replace(TFLITE.inspect(model, TFLITE.load(content)), note=note)


WEB = WebFormat()
