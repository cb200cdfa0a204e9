"""ONNX: a file that says what it is."""

from importlib import metadata

import onnx

from keras_resnet.errors import UserError, comma_join
from keras_resnet.metadata import MEMBER

from .conversion import convert, transpose_pixels

LAYOUTS = ("nhwc", "nchw")
OPSETS = range(9, 22)  # below, a file's weights are among its inputs; above, ONNX Runtime 1.20 cannot read it
OPSET = 15  # the speed is that of all others from 13 to 21
DISTRIBUTION = "keras-resnet-zoo"


def check(layout, opset):
    """Refuses a layout or an opset that `model` does not know."""
    if layout not in LAYOUTS:
        raise UserError(f"unknown ONNX layout {layout!r}; it is one of {comma_join(LAYOUTS)}")
    if opset not in OPSETS:
        raise UserError(f"opset is {opset!r}; it is a whole number from {OPSETS[0]} to {OPSETS[-1]}")


def model(serve, classifier, *, layout="nhwc", opset=OPSET, description="", license=""):
    """Converts the serving function; the batch axis is free, and what the classifier knows is among the file's properties.

    layout: of the pixels that the file takes: "nhwc" for (N, H, W, C), by the one Transpose in it, or "nchw" for (N, C, H, W).
    description, license: for the properties; empty ones are left out.
    """
    check(layout, opset)
    proto = convert(serve, opset)
    if layout == "nhwc":
        transpose_pixels(proto.graph)
    del proto.opset_import[:]  # tf2onnx also names ai.onnx.ml, which old readers do not know and nothing needs
    proto.opset_import.append(onnx.helper.make_opsetid("", opset))
    proto.ir_version = onnx.helper.find_min_ir_version_for(proto.opset_import)
    for value in (*proto.graph.input, *proto.graph.output):
        value.type.tensor_type.shape.dim[0].dim_param = "batch"
    del proto.graph.value_info[:]  # they repeat tf2onnx's own names for the batch axis; readers infer the shapes
    proto.producer_name, proto.producer_version = DISTRIBUTION, metadata.version(DISTRIBUTION)
    proto.graph.name = classifier.model
    proto.doc_string = description
    onnx.helper.set_model_props(proto, properties(classifier, layout, description, license))
    onnx.checker.check_model(proto, full_check=True)
    return proto


def properties(classifier, layout, description, license):
    """What a person or a program finds in the file: text by name. Those of `Image` are ONNX's own vocabulary."""
    preprocessing = classifier.preprocessing
    found = {
        MEMBER: classifier.to_json(),
        "name": classifier.model,
        "description": description,
        "license": license,
        "version": metadata.version(DISTRIBUTION),
        "labels": "\n".join(classifier.labels),
        "layout": layout,
        "normalization": f"inside: (pixel / 255 - mean) / std, mean {preprocessing.mean}, std {preprocessing.std}",
        "Image.BitmapPixelFormat": "Gray8" if preprocessing.channels == 1 else "Rgb8",
        "Image.ColorSpaceGamma": "SRGB",
        "Image.NominalPixelRange": "NominalRange_0_255",
    }
    return {name: text for name, text in found.items() if text}
