"""Catches `.tflite` files that some readers misread, that are right for one image only, or that XNNPACK takes in pieces."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from ai_edge_litert.interpreter import Interpreter
from conftest import only
from keras import layers

from keras_resnet import UserError
from keras_resnet._litert_internals import operator_names, parse_model, schema, serialize_model
from keras_resnet.environment import quiet_stderr
from keras_resnet.export.benchmarks.runtimes import TFLiteRuntime
from keras_resnet.export.formats.saved_model.archive import write_archive
from keras_resnet.export.formats.tflite.conversion import convert
from keras_resnet.export.formats.tflite.delegation import delegation
from keras_resnet.export.formats.tflite.format import TFLITE
from keras_resnet.export.formats.tflite.metadata import with_metadata
from keras_resnet.export.formats.tflite.quantizer import QUANTIZATIONS, TFLiteQuantizer
from keras_resnet.export.outputs import serving_function
from keras_resnet.metadata import ClassifierMetadata
from keras_resnet.preprocessing import Preprocessing

SHAPE, CLASSES = (8, 8, 3), 3
METADATA = ClassifierMetadata("net", "none", ("a", "b", "c"), Preprocessing(*SHAPE, (0.5,) * 3, (0.5,) * 3))
TOLERANCE = 0.08  # of probabilities, in integers
COMPUTED_SHAPES = {"SHAPE", "STRIDED_SLICE", "PACK", "GATHER", "REDUCE_PROD", "CONCATENATION"}


def run(content, images):
    """(N, classes), of images that go through as one batch."""
    return only(TFLITE.run(content, images))


def float_file(model, folder, dtype="float32", output="probabilities"):
    write_archive({"serving_default": serving_function(model, output, dtype=dtype)}, folder / f"{output}_{dtype}")
    return convert(folder / f"{output}_{dtype}")


def quantized(content, quantization, images, **options):
    return content if quantization == "none" else TFLiteQuantizer(content, quantization, images, **options).quantize()


def delegated(content, folder):
    (folder / "model.tflite").write_bytes(content)
    return delegation(folder / "model.tflite")


def classifier(body):
    """Pixels, a convolution, what `body` does to it, and a softmax."""
    pixels = keras.Input(SHAPE)
    y = layers.Conv2D(8, 3, activation="relu")(layers.Rescaling(1 / 255, -0.5)(pixels))
    return keras.Model(pixels, layers.Dense(CLASSES, activation="softmax")(body(y)))


def excite(y):
    """Squeeze-and-excite, as keras.applications' MobileNetV3 and EfficientNet have it."""
    squeezed = layers.Reshape((1, 1, y.shape[-1]))(layers.GlobalAveragePooling2D()(y))
    squeezed = layers.Conv2D(2, 1, activation="relu")(squeezed)
    return layers.Multiply()([y, layers.Conv2D(y.shape[-1], 1, activation="hard_sigmoid")(squeezed)])


def inverted_bottleneck(y):
    """A unit of MobileNetV3 or EfficientNet."""
    expanded = layers.DepthwiseConv2D(3, padding="same", activation="relu")(layers.Conv2D(16, 1, activation="relu")(y))
    return layers.GlobalAveragePooling2D()(layers.Add()([y, layers.Conv2D(8, 1)(excite(expanded))]))


def mixer(y):
    """A unit of MLP-Mixer: dense layers on three axes, which compute shapes from products of lengths."""
    tokens = layers.Reshape((36, 8))(y)
    mixed = layers.Permute((2, 1))(layers.Dense(36, activation="relu")(layers.Permute((2, 1))(tokens)))
    return layers.GlobalAveragePooling1D()(layers.Dense(8)(layers.Add()([tokens, mixed])))


def attention(y):
    tokens = layers.Reshape((36, 8))(y)
    return layers.Flatten()(layers.Add()([tokens, layers.MultiHeadAttention(2, 4)(tokens, tokens)]))


def repeated(y):
    """Leaves a reshape that served nothing but a shape."""
    return layers.Flatten()(layers.RepeatVector(2)(layers.GlobalMaxPooling2D()(y)))


def transposed(y):
    """A transposed convolution is told the shape of its output, which depends on the batch and cannot be a constant."""
    return layers.Flatten()(layers.Conv2DTranspose(2, 3, strides=2)(y))


def hard_swish(y):
    """What MobileNetV3 has for a ReLU."""
    y = layers.Activation("hard_swish")(layers.Conv2D(8, 1)(excite(y)))
    return layers.GlobalAveragePooling2D()(layers.Conv2D(8, 1)(y))


NETWORKS = {
    "flatten": layers.Flatten(),
    "inverted_bottleneck": inverted_bottleneck,
    "mixer": mixer,
    "attention": attention,
}


@pytest.fixture(scope="module")
def network(tmp_path_factory):
    """From one of the bodies above to a model, images, what Keras gives for them, and its float file; each is made once."""
    made = {}

    def make(body):
        if body not in made:
            keras.utils.set_random_seed(0)
            model, images = classifier(body), np.random.default_rng(0).integers(0, 256, (21, *SHAPE)).astype(np.uint8)
            content = float_file(model, tmp_path_factory.mktemp("network"))
            made[body] = model, images, model.predict(images.astype("float32"), verbose=0), content
        return made[body]

    return make


@pytest.mark.parametrize("body", [*NETWORKS.values(), repeated, transposed], ids=[*NETWORKS, "repeated", "transposed"])
def test_a_file_that_states_one_image_is_right_for_a_batch(body, network):
    """Catches a constant shape in which the batch was 1, and a `shape_signature`, which LiteRT.js takes at its word."""
    _, images, expected, content = network(body)
    assert all(tensor.shapeSignature is None for graph in parse_model(content).subgraphs for tensor in graph.tensors)
    for batches in ([1] * 3, [5], [5, 1, 15], [21]):
        runner, start = TFLITE.load(content), 0
        for size in batches:
            rows = slice(start, start + size)
            np.testing.assert_allclose(only(runner.run(images[rows])), expected[rows], atol=1e-5)
            start += size


@pytest.mark.parametrize("body", NETWORKS.values(), ids=NETWORKS)
def test_reshapes_do_not_split_the_network(body, network, tmp_path):
    content = network(body)[3]
    assert not COMPUTED_SHAPES.intersection(operator_names(parse_model(content)))
    found = delegated(content, tmp_path)
    assert (found.partitions, found.undelegated_ops) == (1, {})


def test_a_shape_that_the_batch_is_part_of_stays_computed(network):
    """Catches an output of a transposed convolution that is one image's in every batch, and a -1 where it means nothing."""
    names = operator_names(parse_model(network(transposed)[3]))
    assert {"SHAPE", "PACK", "TRANSPOSE_CONV"} <= set(names)


@pytest.mark.parametrize("quantization", QUANTIZATIONS)
@pytest.mark.parametrize("body", [NETWORKS["flatten"], inverted_bottleneck, repeated], ids=["flatten", "excite", "repeated"])
def test_networks_from_elsewhere_are_quantized_in_one_piece(body, quantization, network, tmp_path):
    """Catches tensors that nothing computes any more, which fail the calibration."""
    _, images, expected, content = network(body)
    content = quantized(content, quantization, images)
    runner = TFLITE.load(content)
    for size in (1, 5):
        np.testing.assert_allclose(only(runner.run(images[:size])), expected[:size], atol=TOLERANCE)
    if quantization not in ("int16x8", "int8_dynamic") and body is not repeated:  # whose kernels XNNPACK does not take all
        assert delegated(content, tmp_path).partitions == 1


def test_full_int8_keeps_a_hard_swish_in_the_one_piece_or_in_integers(network, tmp_path):
    """Catches one that XNNPACK does not take, in int8, and in a file of logits one that an accelerator does not, in float."""
    model, images, expected, content = network(hard_swish)
    content = quantized(content, "int8", images)
    assert delegated(content, tmp_path).undelegated_ops == {"QUANTIZE": 1}
    np.testing.assert_allclose(run(content, images), expected, atol=TOLERANCE)
    logits = keras.Model(model.input, layers.Dense(CLASSES)(model.layers[-2].output))
    content = quantized(float_file(logits, tmp_path, output="logits"), "int8", images)
    names = operator_names(parse_model(content))
    assert "HARD_SWISH" in names
    assert "DEQUANTIZE" not in names


@pytest.mark.parametrize("quantization", ["none", *QUANTIZATIONS])
def test_operators_have_their_codes_where_old_readers_look(quantization, network):
    """Catches a 0, which is ADD: OpenVINO, OpenCV and MNN read DEQUANTIZE, QUANTIZE and others so."""
    _, images, _, content = network(inverted_bottleneck)
    content = with_metadata(quantized(content, quantization, images), METADATA, description="", license="")
    codes = parse_model(content).operatorCodes
    assert len(codes) > 5
    assert [code.deprecatedBuiltinCode for code in codes] == [code.builtinCode for code in codes]
    assert sum(code.builtinCode == 0 for code in codes) == operator_names(parse_model(content)).count("ADD") == 1


def test_a_code_beyond_a_byte_points_to_the_other_field(network):
    model = parse_model(network(inverted_bottleneck)[3])
    model.operatorCodes[0].builtinCode, model.operatorCodes[0].deprecatedBuiltinCode = schema.BuiltinOperator.GELU, 0
    code = parse_model(serialize_model(model)).operatorCodes[0]
    assert (code.builtinCode, code.deprecatedBuiltinCode) == (150, 127)


def edges(content):
    with quiet_stderr():
        interpreter = Interpreter(model_content=content)
    (given,), (taken,) = interpreter.get_input_details(), interpreter.get_output_details()
    return given["dtype"], taken["dtype"]


def test_full_int8_of_float_pixels_is_the_same_and_all_in_xnnpack(network, tmp_path):
    _, images, _, content = network(inverted_bottleneck)
    usual = quantized(content, "int8", images)
    content = quantized(content, "int8", images, input_dtype="float32")
    assert (edges(usual), edges(content)) == ((np.uint8, np.uint8), (np.float32, np.uint8))
    np.testing.assert_array_equal(run(content, images), run(usual, images))
    found = delegated(content, tmp_path)
    assert (found.partitions, found.undelegated_ops) == (1, {})


def test_float_pixels_go_straight_into_a_layer_that_stays_float(network):
    """Catches a DEQUANTIZE of floats, which no runtime has."""
    _, images, expected, content = network(NETWORKS["flatten"])
    quantizer = TFLiteQuantizer(content, "int8", images, input_dtype="float32")
    content = quantizer.quantize(quantizer.operators[:2])
    assert operator_names(parse_model(content))[0] not in ("QUANTIZE", "DEQUANTIZE")
    np.testing.assert_allclose(run(content, images), expected, atol=TOLERANCE)


@pytest.mark.parametrize("body", [NETWORKS["flatten"], inverted_bottleneck], ids=["flatten", "excite"])
def test_int8_logits_are_integers_from_end_to_end(body, network, tmp_path):
    """Catches a float operator at the end, which Vela leaves to the CPU."""
    model, images, _, _ = network(body)
    logits = keras.Model(model.input, keras.layers.Dense(CLASSES)(model.layers[-2].output))
    content = quantized(float_file(logits, tmp_path, output="logits"), "int8", images)
    (graph,) = parse_model(content).subgraphs
    kinds = schema.TensorType
    computed = [graph.tensors[index] for operator in graph.operators for index in operator.outputs]
    assert {tensor.type for tensor in computed} == {kinds.INT8}
    assert graph.tensors[graph.inputs[0]].type == kinds.UINT8
    assert not {"DEQUANTIZE", "SOFTMAX", "CAST"}.intersection(operator_names(parse_model(content)))


def test_a_file_that_can_only_take_its_own_batch_is_not_measured_at_another(network, tmp_path):
    for name, body in (("any", NETWORKS["flatten"]), ("computed", transposed)):
        (tmp_path / f"{name}.tflite").write_bytes(network(body)[3])
    fixed = tf.function(lambda pixels: tf.reshape(pixels, (2, 192)), input_signature=[tf.TensorSpec((2, *SHAPE))])
    with quiet_stderr():
        content = tf.lite.TFLiteConverter.from_concrete_functions([fixed.get_concrete_function()]).convert()
    (tmp_path / "fixed.tflite").write_bytes(content)
    runtime = TFLiteRuntime(1)
    for name in ("any", "computed"):
        runtime.load(str(tmp_path / f"{name}.tflite"), 64)
        assert runtime.run().shape == (64, CLASSES)
    runtime.load(str(tmp_path / "fixed.tflite"), 2)
    with pytest.raises(UserError, match="takes a batch of 2, not of 64"):
        runtime.load(str(tmp_path / "fixed.tflite"), 64)
