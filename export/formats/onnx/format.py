"""ONNX: for ONNX Runtime, and for whatever else reads it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ..format import CALIBRATIONS, INPUT_DTYPES, ConversionContext, ExportOptions, ExportTarget, Format
from ..inspection import Inspection, count
from .options import check_layout_and_opset, check_opset_of_int8

if TYPE_CHECKING:
    import onnx

    from keras_resnet.metadata import ClassifierMetadata

    from .quantizer import OnnxQuantizer
    from .runner import OnnxRunner


class OnnxFormat(Format["onnx.ModelProto"]):
    name = "onnx"
    title = "ONNX"
    suffix = ".onnx"
    libraries = ("tf2onnx", "onnx", "onnxruntime")
    # fmt: off
    targets = (
        ExportTarget("onnx", "none", "model.onnx", max_difference=1e-4),
        ExportTarget("onnx", "fp16", "model_fp16.onnx", max_difference=0.05),
        ExportTarget("onnx", "int8", "model_int8.onnx", calibrated=True),
    )
    # fmt: on

    calibrations = ("minmax", "percentile", "entropy")

    def check_options(self, options: ExportOptions, quantizations: Sequence[str]) -> None:
        super().check_options(options, quantizations)
        check_layout_and_opset(options.onnx_layout, options.opset)
        if "int8" in quantizations:
            check_opset_of_int8(options.opset)

    def convert(self, context: ConversionContext, pixel_dtype: str) -> onnx.ModelProto:
        from .model import make_model

        options = context.options
        return make_model(
            context.serving_function(pixel_dtype),
            context.metadata,
            layout=options.onnx_layout,
            opset=options.opset,
            description=options.description,
            license=options.license,
        )

    def quantizer(
        self,
        content: onnx.ModelProto,
        quantization: str,
        images: np.ndarray | None,
        calibration: str = CALIBRATIONS[0],
        input_dtype: str = INPUT_DTYPES[0],
    ) -> OnnxQuantizer:
        from .quantizer import OnnxQuantizer

        return OnnxQuantizer(content, quantization, images, calibration)

    def write(self, content: onnx.ModelProto, path: Path, context: ConversionContext) -> None:
        import onnx

        onnx.save(content, path)

    def read_metadata(self, path: Path) -> ClassifierMetadata | None:
        import onnx

        from keras_resnet.metadata import MEMBER, ClassifierMetadata

        properties = {p.key: p.value for p in onnx.load(path, load_external_data=False).metadata_props}
        return ClassifierMetadata.from_file(path, properties[MEMBER]) if MEMBER in properties else None

    def open(self, path: Path) -> OnnxRunner:
        from .runner import OnnxRunner

        return OnnxRunner(str(path))

    def load(self, content: onnx.ModelProto) -> OnnxRunner:
        from .runner import OnnxRunner

        return OnnxRunner(content.SerializeToString())

    def inspect(self, path: Path, runner: OnnxRunner) -> Inspection:
        import onnx

        return Inspection(count(node.op_type for node in onnx.load(path, load_external_data=False).graph.node))


ONNX = OnnxFormat()
