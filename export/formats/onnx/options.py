"""The options that only ONNX files have: the layout of the pixels, and the opset."""

from keras_resnet.errors import UserError, comma_join

LAYOUTS = ("nhwc", "nchw")
OPSETS = range(9, 22)  # below, a file's weights are among its inputs; above, ONNX Runtime 1.20 cannot read it
OPSET = 15  # the speed is that of all others from 13 to 21
INT8_OPSET = 13  # the first that has scales per channel


def check_layout_and_opset(layout: str, opset: int) -> None:
    """Raises a `UserError` for a layout or an opset that `make_model` does not know."""
    if layout not in LAYOUTS:
        raise UserError(f"unknown ONNX layout {layout!r}; it is one of {comma_join(LAYOUTS)}")
    if opset not in OPSETS:
        raise UserError(f"opset is {opset!r}; it is a whole number from {OPSETS[0]} to {OPSETS[-1]}")


def check_opset_of_int8(opset: int) -> None:
    """Raises a `UserError` for an opset without scales per channel."""
    if opset < INT8_OPSET:
        raise UserError(f"opset is {opset}; int8 in ONNX needs {INT8_OPSET} or above")
