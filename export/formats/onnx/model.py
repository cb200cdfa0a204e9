"""ONNX: a file that says what it is."""

from typing import Any

import onnx

import keras_resnet
from keras_resnet.metadata import MEMBER, ClassifierMetadata

from .conversion import convert, transpose_pixels
from .options import OPSET, check_layout_and_opset

DISTRIBUTION = "keras-resnet-zoo"


def make_model(
    serve: Any,
    metadata: ClassifierMetadata,
    *,
    layout: str = "nhwc",
    opset: int = OPSET,
    description: str = "",
    license: str = "",
) -> onnx.ModelProto:
    """Converts a serving function; the batch axis is free, and the metadata are among the file's properties.

    Args:
        serve: A `tf.function` of pixels (N, H, W, C), see `outputs.serving_function`.
        metadata: What the file says about the classifier.
        layout: Of the pixels that the file takes: "nhwc" for (N, H, W, C), by the one Transpose in it, or "nchw" for
            (N, C, H, W).
        opset: One of `options.OPSETS`.
        description: For the properties; left out where empty.
        license: Likewise.

    Raises:
        UserError: For an unknown layout or opset, and for a network that ONNX has no operators for.
    """
    check_layout_and_opset(layout, opset)
    proto = convert(serve, opset)
    if layout == "nhwc":
        transpose_pixels(proto.graph)
    del proto.opset_import[:]  # tf2onnx also names ai.onnx.ml, which old readers do not know and nothing needs
    proto.opset_import.append(onnx.helper.make_opsetid("", opset))
    proto.ir_version = onnx.helper.find_min_ir_version_for(list(proto.opset_import))
    for value in (*proto.graph.input, *proto.graph.output):
        value.type.tensor_type.shape.dim[0].dim_param = "batch"
    del proto.graph.value_info[:]  # they repeat tf2onnx's own names for the batch axis; readers infer the shapes
    proto.producer_name, proto.producer_version = DISTRIBUTION, keras_resnet.__version__
    proto.graph.name = metadata.model
    proto.doc_string = description
    onnx.helper.set_model_props(proto, properties(metadata, layout, description, license))
    onnx.checker.check_model(proto, full_check=True)
    return proto


def properties(metadata: ClassifierMetadata, layout: str, description: str, license: str) -> dict[str, str]:
    """Returns what a person or a program finds in the file: text by name. The `Image` ones are ONNX's own vocabulary."""
    preprocessing = metadata.preprocessing
    texts = {
        MEMBER: metadata.to_json(),
        "name": metadata.model,
        "description": description,
        "license": license,
        "version": keras_resnet.__version__,
        "labels": "\n".join(metadata.labels),
        "layout": layout,
        "normalization": f"inside: (pixel / 255 - mean) / std, mean {preprocessing.mean}, std {preprocessing.std}",
        "Image.BitmapPixelFormat": "Gray8" if preprocessing.channels == 1 else "Rgb8",
        "Image.ColorSpaceGamma": "SRGB",
        "Image.NominalPixelRange": "NominalRange_0_255",
    }
    return {name: text for name, text in texts.items() if text}
