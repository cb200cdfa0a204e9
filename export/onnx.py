"""ONNX, by tf2onnx."""

import warnings

import onnx

from keras_resnet.classifier import MEMBER

OPSET = 18  # the newest that tf2onnx knows


def write(serve, classifier, path):
    """Converts the serving function; the batch axis is free and the classifier's record is among the file's properties."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*np.object.*", category=FutureWarning)
        import tf2onnx

        proto, _ = tf2onnx.convert.from_function(serve, input_signature=serve.input_signature, opset=OPSET)
    for value in (*proto.graph.input, *proto.graph.output):
        value.type.tensor_type.shape.dim[0].dim_param = "batch"
    del proto.graph.value_info[:]  # they repeat tf2onnx's own names for the batch axis; readers infer the shapes
    onnx.helper.set_model_props(proto, {MEMBER: classifier.to_json()})
    onnx.checker.check_model(proto, full_check=True)
    onnx.save(proto, path)
