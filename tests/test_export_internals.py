"""Catches an upgrade of LiteRT, tf2onnx, ONNX Runtime or LiteRT Quantizer that changes the private API used by the export."""

import keras
import numpy as np
import onnx
import pytest
import tensorflow as tf
from ai_edge_litert.interpreter import Interpreter
from conftest import only
from litert_quantizer import qtyping, recipe
from litert_quantizer.algorithms.uniform_quantize import uniform_quantize_tensor
from litert_quantizer.quantizer import Quantizer

from keras_resnet import _litert_internals as litert
from keras_resnet._onnxruntime_internals import to_float16
from keras_resnet._quantizer_internals import LARGE, calibrate_min_max, large_kernels_in_parts
from keras_resnet._tf2onnx_internals import convert_function
from keras_resnet.environment import quiet_stderr
from keras_resnet.export.formats.onnx.runner import OnnxRunner
from keras_resnet.export.formats.tflite.conversion import convert
from keras_resnet.export.formats.tflite.format import TFLITE


def network(classes=4):
    """Two convolutions and a dense layer, on images of 6x6x2."""
    inputs = keras.Input((6, 6, 2))
    x = keras.layers.Conv2D(3, 3, activation="relu", name="first")(inputs)
    x = keras.layers.Conv2D(3, 3, name="second")(x)
    return keras.Model(inputs, keras.layers.Dense(classes, name="head")(keras.layers.Flatten()(x)))


def to_tflite(model, folder):
    """The bytes of a float `.tflite` file."""
    with quiet_stderr():
        model.export(str(folder), verbose=False)
        return convert(folder)


@pytest.fixture(scope="module")
def content(tmp_path_factory):
    return to_tflite(network(), tmp_path_factory.mktemp("internals") / "saved_model")


@pytest.fixture
def images(rng):
    return rng.uniform(0, 1, (5, 6, 6, 2)).astype(np.float32)


def opened(content):
    with quiet_stderr():
        interpreter = Interpreter(model_content=content)
        interpreter.allocate_tensors()
    return interpreter


def test_operator_names(content):
    names = litert.operator_names(litert.parse_model(content))
    assert names.count("CONV_2D") == 2
    assert names == litert.operator_names(litert.editable_model(content))


def test_operator_name(content):
    model = litert.editable_model(content)
    graph = model.subgraphs[0]
    assert [litert.operator_name(model, operator) for operator in graph.operators] == litert.operator_names(model)


def test_schema(content):
    """A custom operator is called as it calls itself."""
    model = litert.editable_model(content)
    custom = litert.schema.OperatorCodeT()
    custom.customCode = b"Ours"
    model.operatorCodes[model.subgraphs[0].operators[0].opcodeIndex] = custom
    assert "Ours" in litert.operator_names(model)


@pytest.mark.parametrize("read", [litert.editable_model, litert.parse_model])
def test_serialize_model(read, content, images):
    np.testing.assert_array_equal(
        only(TFLITE.run(litert.serialize_model(read(content)), images)), only(TFLITE.run(content, images))
    )


def test_editable_model(content, images):
    """What is changed in it is in the file: the kernel of the last layer, which has no bias."""
    model = litert.editable_model(content)
    graph = model.subgraphs[0]
    buffer = model.buffers[graph.tensors[graph.operators[-1].inputs[1]].buffer]
    buffer.data = np.frombuffer((2 * np.frombuffer(bytes(buffer.data), np.float32)).tobytes(), np.uint8)
    changed = only(TFLITE.run(litert.serialize_model(model), images))
    np.testing.assert_allclose(changed, 2 * only(TFLITE.run(content, images)), rtol=1e-5)


def test_parse_model(tmp_path):
    """Catches a model whose weights are lost when it is packed anew: litert-quantizer puts them there from 256 KiB up."""
    quantizer = Quantizer(to_tflite(network(classes=25000), tmp_path / "saved_model"))
    quantizer.load_quantization_recipe(recipe.dynamic_wi8_afp32())
    with quiet_stderr():
        quantized = bytes(quantizer.quantize(enable_progress_report=False).quantized_model)
    packed = litert.schema.ModelT.InitFromPackedBuf(quantized, 0).buffers
    sizes = {index: buffer.size for index, buffer in enumerate(packed) if buffer.offset > 1}
    assert sizes
    buffers = litert.parse_model(quantized).buffers
    assert {index: len(buffers[index].data) for index in sizes} == sizes
    assert not any(buffer.offset > 1 for buffer in buffers)


def test_operators_to_run(content):
    operators = litert.operators_to_run(opened(content))
    delegate = operators[-1]
    assert delegate["op_name"] == "DELEGATE"
    convolutions = [operator for operator in operators if operator["op_name"] == "CONV_2D"]
    assert len(convolutions) == 2
    assert convolutions[0]["outputs"][0] == convolutions[1]["inputs"][0]
    assert len({operator["index"] for operator in operators}) == len(operators)


def test_calibrate_min_max(content):
    """Catches a moving average over the batches, which is what the public `calibrate` computes."""
    quantizer = Quantizer(content)
    quantizer.load_quantization_recipe(recipe.static_wi8_ai8())
    (signature,) = opened(content).get_signature_list()
    (name,) = opened(content).get_signature_runner().get_input_details()
    batches = [{name: np.full((1, 6, 6, 2), value, np.float32)} for value in (-3, 5, 0)]
    with quiet_stderr(), pytest.warns(UserWarning, match="experimental_preserve_all_tensors"):
        ranges = calibrate_min_max(content, quantizer.get_quantization_recipe(), {signature: batches}, num_threads=1)
    assert (-3, 5) in {(entry["min"].item(), entry["max"].item()) for entry in ranges.values() if entry["min"].size == 1}


@pytest.mark.parametrize("channels", [1, 8])
def test_large_kernels_in_parts(channels):
    """Catches networks such as WideResNet50_2 that have no int8 file. Once LiteRT Quantizer does not fail, remove it."""
    kernel = np.linspace(-1, 1, 8 * 3 * 3 * 120_000, dtype=np.float32).reshape(8, 3, 3, 120_000)
    assert kernel.nbytes > LARGE
    scales = np.linspace(0.01, 0.02, channels, dtype=np.float32)
    axis = 0 if channels > 1 else None
    parameters = qtyping.UniformQuantParams(8, axis, scales.reshape(-1, 1, 1, 1), np.zeros((channels, 1, 1, 1), np.int32))
    with pytest.raises(ValueError, match="dimensions"):
        uniform_quantize_tensor.uniform_quantize(kernel, parameters)
    with large_kernels_in_parts():
        found = uniform_quantize_tensor.uniform_quantize(kernel, parameters)
    expected = np.round(kernel / scales.reshape(-1, 1, 1, 1)).clip(-127, 127)
    np.testing.assert_array_equal(found, expected)


def served(model):
    @tf.function(input_signature=[tf.TensorSpec((None, 6, 6, 2), tf.float32, name="pixels")])
    def serve(pixels):
        return {"logits": model(pixels, training=False)}

    return serve.get_concrete_function()


def test_convert_function(images):
    seen, model = [], network()
    function = served(model)

    def rewriter(graph, nodes):
        seen.extend(node.type for node in nodes)
        return nodes

    names = {"pixels:0": "pixels", function.outputs[0].name: "logits"}
    proto = convert_function(function, names, 15, [rewriter], "description")
    assert "Conv2D" in seen
    assert proto.graph.doc_string.startswith("description")
    assert [node.op_type for node in proto.graph.node].count("Conv") == 2
    runner = OnnxRunner(proto.SerializeToString())
    np.testing.assert_allclose(only(runner.run(images.transpose(0, 3, 1, 2))), model.predict(images, verbose=0), atol=1e-5)


def test_to_float16(images):
    function = served(network())
    proto = convert_function(function, {"pixels:0": "pixels", function.outputs[0].name: "logits"}, 15, [], "description")
    first, second = (node for node in proto.graph.node if node.op_type == "Conv")
    before = only(OnnxRunner(proto.SerializeToString()).run(images.transpose(0, 3, 1, 2)))
    half = to_float16(proto, [second.name])
    onnx.checker.check_model(half, full_check=True)
    kinds = {tensor.name: tensor.data_type for tensor in half.graph.initializer}
    types = {node.name: kinds[node.input[1]] for node in half.graph.node if node.op_type == "Conv"}
    assert types == {first.name: onnx.TensorProto.FLOAT16, second.name: onnx.TensorProto.FLOAT}
    after = only(OnnxRunner(half.SerializeToString()).run(images.transpose(0, 3, 1, 2)))
    assert after.dtype == np.float32
    np.testing.assert_allclose(after, before, atol=0.01)
