"""TFLite: for LiteRT and MediaPipe, on phones and in browsers."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from keras_resnet.errors import UserError

from ..context import ConversionContext, ExportOptions
from ..format import CALIBRATIONS, GRADCAM, INPUT_DTYPES, MAX_OFFSET, ExportTarget, Format
from ..inspection import Inspection, count

if TYPE_CHECKING:
    from .quantizer import TFLiteQuantizer
    from .runner import LiteRTRunner


class TFLiteFormat(Format[bytes]):
    name = "tflite"
    title = "TFLite"
    suffix = ".tflite"
    libraries = ("ai-edge-litert", "litert-quantizer")
    # fmt: off
    targets = (
        ExportTarget("tflite", "none",         "model.tflite", max_difference=1e-4),
        ExportTarget("tflite", "fp16",         "model_fp16.tflite", max_difference=0.05),
        ExportTarget("tflite", "int8_dynamic", "model_int8_dynamic.tflite"),
        ExportTarget("tflite", "int8_weight",  "model_int8_weight.tflite"),
        # A cast from uint8 at the edge of the float model would stay outside of the integers; the quantizer makes the edge.
        ExportTarget("tflite", "int8",         "model_int8.tflite", calibrated=True, pixel_dtype="float32"),
        ExportTarget("tflite", "int16x8",      "model_int16x8.tflite", calibrated=True),
    )
    # fmt: on
    calibrations = ("minmax", "mse")
    max_weights = MAX_OFFSET

    def check_options(self, options: ExportOptions, quantizations: Sequence[str]) -> None:
        super().check_options(options, quantizations)
        if GRADCAM in options.output and quantizations:
            raise UserError("TFLite files have no gradcam: leave it out of --output, or tflite out of --formats")

    def convert(self, context: ConversionContext, pixel_dtype: str) -> bytes:
        """By way of a SavedModel: the artifact, where there is one that takes such pixels."""
        from ..saved_model.archive import SERVING_DEFAULT, write_archive
        from .conversion import convert

        saved_model = context.artifacts.get("saved_model")
        if pixel_dtype != context.options.input_dtype or saved_model is None:
            saved_model = context.folder / f"{pixel_dtype}_saved_model"
            write_archive({SERVING_DEFAULT: context.serving_function(pixel_dtype)}, saved_model)
        return convert(saved_model)

    def quantizer(
        self,
        content: bytes,
        quantization: str,
        images: np.ndarray | None,
        calibration: str = CALIBRATIONS[0],
        input_dtype: str = INPUT_DTYPES[0],
    ) -> TFLiteQuantizer:
        from .quantizer import TFLiteQuantizer

        return TFLiteQuantizer(content, quantization, images, calibration, input_dtype)

    def write(self, content: bytes, path: Path, context: ConversionContext) -> None:
        from .metadata import with_metadata

        options = context.options
        texts = {"description": options.description, "license": options.license or context.metadata.license}
        path.write_bytes(with_metadata(content, context.metadata, outputs=options.output, **texts))

    def open(self, path: Path) -> LiteRTRunner:
        from .runner import LiteRTRunner

        return LiteRTRunner(model_path=str(path))

    def load(self, content: bytes) -> LiteRTRunner:
        from .runner import LiteRTRunner

        return LiteRTRunner(model_content=content)

    def inspect(self, path: Path, runner: LiteRTRunner) -> Inspection:
        from keras_resnet._litert_internals import operator_names, parse_model

        from .delegation import delegation

        found = delegation(path)
        operators = operator_names(parse_model(path.read_bytes()))
        return Inspection(count(operators), found.partitions, found.undelegated_ops)


TFLITE = TFLiteFormat()
