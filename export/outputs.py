"""What artifacts compute from raw pixels: the outputs of `formats.format.OUTPUTS`, one or several."""

from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras import layers, ops

from keras_resnet._keras_internals import producer, producer_inputs
from keras_resnet.errors import UserError
from keras_resnet.metrics import softmax

from .fold.layers import is_identity
from .formats.format import BATCH_SIZE, INPUT, OUTPUTS, Outputs
from .source_model.output_layer import BOTH_CLASSES, is_reshape, is_scaling, skip_trailing


def select_outputs(model: keras.Model, names: Sequence[str]) -> keras.Model:
    """Returns a classifier with some of `OUTPUTS`, as a dictionary.

    Args:
        model: Ends in an activation layer, see `source_model.output_layer.with_output_layer`.
        names: "probabilities", (N, classes); "logits", what its activation reads, (N, classes); "features", what its last dense
            layer reads, (N, C), in a ResNet the average of the last feature maps; "gradcam", (N, h, w), see `gradcam`.

    Raises:
        UserError: For a network without a dense layer at its end, or whose Grad-CAM is not known in closed form.
    """
    assert set(names) <= set(OUTPUTS), names
    makers = {
        "probabilities": lambda: model.outputs[0],
        "logits": lambda: logits(model),
        "features": lambda: features(model),
        "gradcam": lambda: gradcam(model),
    }
    return keras.Model(model.inputs[0], {name: makers[name]() for name in names}, name=model.name)


def logits(model: keras.Model) -> keras.KerasTensor:
    return producer_inputs(model.outputs[0])[0]


def features(model: keras.Model) -> Any:
    """The embedding (N, C) that the dense layer at the end of a classifier, or a 1x1 convolution in its place, reads."""
    tensor = skip_trailing(producer_inputs(last_dense(model))[0], is_identity)
    if len(tensor.shape) == 2:
        return tensor
    if all(side == 1 for side in tensor.shape[1:-1]):
        return layers.Flatten(name="features_flatten")(tensor)
    raise UserError(f"{model.name} ends in {producer(last_dense(model)).name} on {tensor.shape}: it has no features (N, C)")


def last_dense(model: keras.Model) -> Any:
    """The output of the last layer with a kernel, before which nothing but reshapes and numbers come."""

    def passes(operation: Any) -> bool:
        return is_reshape(operation) or is_identity(operation) or is_scaling(operation) or operation.name == BOTH_CLASSES

    tensor = skip_trailing(logits(model), passes)
    if not isinstance(producer(tensor), (layers.Dense, layers.Conv2D)):
        raise UserError(f"{model.name} has no dense layer at its end, but {producer(tensor).name}: it has no features")
    return tensor


def gradcam(model: keras.Model) -> Any:
    """Where in the image the network sees its prediction: Grad-CAM (Selvaraju et al. 2017, arXiv:1610.02391, section 3).

    relu(sum_k alpha_k A_k), (N, h, w), of the last feature maps A, (N, h, w, C), for the predicted class. alpha_k is the mean
    gradient of that class's logit by A_k. After a global average pooling and one dense layer it is kernel / (h * w) for every
    image, so that the map takes no gradient, and any runtime computes it. One logit for two classes counts for the second, and
    its negative for the first.

    Raises:
        UserError: For a network with another head.
    """
    dense = last_dense(model)
    layer, end = producer(dense), logits(model)
    single = producer(end).name == BOTH_CLASSES
    direct = skip_trailing(producer_inputs(end)[0] if single else end, passes_on) is dense
    pooled = skip_trailing(producer_inputs(dense)[0], passes_on)
    pooling = producer(pooled)
    if not (direct and isinstance(pooling, layers.GlobalAveragePooling2D) and pooling.data_format == "channels_last"):
        raise UserError(
            f"{model.name} has another head than a global average pooling and one dense layer: "
            "there is no Grad-CAM in closed form; leave gradcam out of --output"
        )
    maps = producer_inputs(pooled)[0]
    kernel = np.asarray(layer.kernel).reshape(maps.shape[-1], -1).T
    kernel = np.concatenate([-kernel, kernel]) if single else kernel
    best: Any = ops.top_k(model.outputs[0], 1)  # values and indices, (N, 1); `ops.argmax` has operations that ONNX has not
    weights: Any = ops.take(kernel / np.prod(maps.shape[1:3]), best[1], axis=0)
    weighted: Any = ops.multiply(maps, ops.expand_dims(weights, 1))
    return ops.relu(ops.sum(weighted, axis=-1))


def passes_on(operation: Any) -> bool:
    """Whether its gradient is 1: what does nothing, and axes of size 1."""
    return is_identity(operation) or (is_reshape(operation) and not isinstance(operation, layers.GlobalAveragePooling2D))


def scores_function(model: keras.Model, names: Sequence[str]) -> Callable[[Outputs], np.ndarray]:
    """Returns the function from outputs to probabilities of the classes, (N, classes), by which artifacts are judged.

    Features alone are judged by what the network's own head makes of them.
    """
    if "probabilities" in names:
        return lambda outputs: outputs["probabilities"]
    if "logits" in names:
        return lambda outputs: softmax(outputs["logits"])
    head: Any = keras.Model(features(model), model.outputs[0])
    return lambda outputs: head.predict(outputs["features"], batch_size=BATCH_SIZE, verbose=0)


def serving_function(model: keras.Model, *names: str, dtype: str = "uint8") -> Any:
    """Returns a `tf.function` from pixels (N, H, W, C), 0 to 255, to {name: float32 (N, ...)}.

    Args:
        model: Takes raw pixels; its outputs are a dictionary, or one tensor, for which there is one name.
        *names: Of the outputs that are wanted.
        dtype: Of the pixels, "uint8" or "float32". Full int8 files are quantized from the latter: a cast at the edge would stay
            outside of the integers.
    """
    several = not isinstance(model, keras.Sequential) and isinstance(model.output, dict)
    outputs: Any = model.output if several else {names[0]: model.outputs[0]}
    wanted: Any = keras.Model(model.inputs[0], {name: outputs[name] for name in names}, name=model.name)
    signature = tf.TensorSpec((None, *model.input_shape[1:]), tf.as_dtype(dtype), name=INPUT)

    @tf.function(input_signature=[signature])
    def serve(pixels: tf.Tensor) -> dict[str, Any]:
        results = wanted(tf.cast(pixels, tf.float32), training=False)
        return {name: tf.cast(results[name], tf.float32) for name in names}

    return serve
