"""ONNX: for ONNX Runtime, and for whatever else reads it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ..context import ConversionContext, ExportOptions
from ..format import CALIBRATIONS, INPUT_DTYPES, MAX_OFFSET, ExportTarget, Format
from ..inspection import Inspection, count
from .options import check_layout_and_opset, check_opset_of_int8

if TYPE_CHECKING:
    import onnx

    from keras_resnet.metadata import ClassifierMetadata

    from .quantizer import OnnxQuantizer
    from .runner import OnnxRunner


X64_QUANT_PRECISION = "x64quantprecision"  # ONNX Runtime's name for sums that cannot saturate on x86 CPUs without VNNI


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
    max_weights = MAX_OFFSET

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
            license=options.license or context.metadata.license,
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

    def variants(self, path: Path) -> Sequence[str]:
        import onnx

        nodes = onnx.load(path, load_external_data=False).graph.node
        return [X64_QUANT_PRECISION] if any(node.op_type == "QuantizeLinear" for node in nodes) else []

    def open_variant(self, path: Path, variant: str) -> OnnxRunner:
        from .runner import OnnxRunner

        assert variant == X64_QUANT_PRECISION, variant
        return OnnxRunner(str(path), {f"session.{variant}": "1"})

    def load(self, content: onnx.ModelProto) -> OnnxRunner:
        from .runner import OnnxRunner

        return OnnxRunner(content.SerializeToString())

    def inspect(self, path: Path, runner: OnnxRunner) -> Inspection:
        import onnx

        from .saturation import saturating_kernels

        model = onnx.load(path, load_external_data=False)
        return Inspection(count(node.op_type for node in model.graph.node), saturating=tuple(saturating_kernels(model)))


ONNX = OnnxFormat()
