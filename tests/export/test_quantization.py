"""Catches files that are quantized in name, lose more than they have to, or run outside of the runtimes' fast paths."""

import re
import types

import keras
import numpy as np
import onnx
import onnxruntime
import pytest
from ai_edge_litert.interpreter import Interpreter
from conftest import only, scramble

import keras_resnet
from keras_resnet import UserError
from keras_resnet._litert_internals import operators_to_run
from keras_resnet.environment import quiet_stderr
from keras_resnet.export.fold.folding import fold
from keras_resnet.export.formats.onnx import quantizer as onnx_quantizer
from keras_resnet.export.formats.onnx.model import make_model
from keras_resnet.export.formats.onnx.options import LAYOUTS
from keras_resnet.export.formats.onnx.quantizer import OnnxQuantizer
from keras_resnet.export.formats.saved_model.archive import SERVING_DEFAULT, write_archive
from keras_resnet.export.formats.select_operators import select_operators
from keras_resnet.export.formats.tflite import quantizer as tflite_quantizer
from keras_resnet.export.formats.tflite.conversion import convert
from keras_resnet.export.formats.tflite.delegation import delegation
from keras_resnet.export.formats.tflite.format import TFLITE
from keras_resnet.export.formats.tflite.quantizer import TFLiteQuantizer
from keras_resnet.export.outputs import serving_function
from keras_resnet.export.sensitivity import most_sensitive, sensitive_layers
from keras_resnet.metadata import ClassifierMetadata
from keras_resnet.preprocessing import Preprocessing

SHAPE, CLASSES = (8, 8, 3), 5
PREPROCESSING = Preprocessing(*SHAPE, (0.5, 0.4, 0.3), (0.2, 0.3, 0.4))
TOLERANCES = {"fp16": 2e-3, "int8_weight": 0.04, "int8_dynamic": 0.05, "int8": 0.1, "int16x8": 0.04}  # of probabilities


def to_tflite(model, folder, output="probabilities", dtype="float32"):
    """The bytes of a float `.tflite`."""
    path = folder / f"{output}_{dtype}"
    write_archive({SERVING_DEFAULT: serving_function(model, output, dtype=dtype)}, path)
    return convert(path)


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """A folded pre-activation network with option A and scrambled norms, its float files, and noise for it."""
    folder = tmp_path_factory.mktemp("small")
    keras.utils.set_random_seed(0)
    pixels = keras.Input(SHAPE)
    network = keras_resnet.ResNet20V2(input_tensor=PREPROCESSING.layer()(pixels), classes=CLASSES)
    model = fold(scramble(network))
    serve = serving_function(model, "probabilities")
    metadata = ClassifierMetadata("ResNet20V2", "none", tuple("abcde"), PREPROCESSING)
    images = np.random.default_rng(1).integers(0, 256, (48, *SHAPE)).astype(np.uint8)
    return types.SimpleNamespace(
        images=images,
        tflite=to_tflite(model, folder),
        tflite_uint8=to_tflite(model, folder, dtype="uint8"),
        onnx=make_model(serve, metadata),
        onnx_nchw=make_model(serve, metadata, layout="nchw"),
        reference=model.predict(images.astype("float32"), verbose=0),
    )


@pytest.fixture(scope="module")
def int8(small):
    """Calibrated once."""
    return TFLiteQuantizer(small.tflite, "int8", small.images)


def opened(content):
    with quiet_stderr():
        interpreter = Interpreter(model_content=content)
        interpreter.allocate_tensors()
    return interpreter


def kernels(content):
    """(dtype, number of scales, number of channels) of the convolutions' kernels, by the names of the convolutions' outputs."""
    interpreter = opened(content)
    tensors = {tensor["index"]: tensor for tensor in interpreter.get_tensor_details()}
    convolutions = [operator for operator in operators_to_run(interpreter) if operator["op_name"] == "CONV_2D"]
    rows = [(tensors[int(o["outputs"][0])]["name"], tensors[int(o["inputs"][1])]) for o in convolutions]
    return {name: (k["dtype"], len(k["quantization_parameters"]["scales"]), k["shape"][0]) for name, k in rows}


def run_onnx(proto, images):
    session = onnxruntime.InferenceSession(proto.SerializeToString(), providers=["CPUExecutionProvider"])
    return session.run(None, {"pixels": images})[0]


def assert_near(outputs, reference, tolerance):
    assert outputs.shape == reference.shape
    assert outputs.dtype == np.float32
    assert np.abs(outputs - reference).max() < tolerance
    assert np.abs(outputs - reference).max() > 0, "nothing was quantized"


@pytest.mark.parametrize("quantization", tflite_quantizer.QUANTIZATIONS)
def test_every_quantization_of_tflite_computes_the_same(quantization, small):
    given = small.tflite if quantization == "int8" else small.tflite_uint8
    content = TFLiteQuantizer(given, quantization, small.images).quantize()
    assert_near(only(TFLITE.run(content, small.images)), small.reference, TOLERANCES[quantization])
    assert len(content) < (0.55 if quantization == "fp16" else 0.35) * len(given)


@pytest.mark.parametrize("quantization", onnx_quantizer.QUANTIZATIONS)
@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_quantization_of_onnx_computes_the_same(quantization, layout, small):
    given, pixels = small.onnx, small.images
    if layout == "nchw":
        given, pixels = small.onnx_nchw, pixels.transpose(0, 3, 1, 2)
    proto = OnnxQuantizer(given, quantization, small.images).quantize()
    assert_near(run_onnx(proto, pixels), small.reference, TOLERANCES[quantization])
    assert proto.ByteSize() < (0.55 if quantization == "fp16" else 0.36) * given.ByteSize()
    assert proto.graph.input == given.graph.input, "uint8 pixels, in a batch of any size"
    assert proto.graph.output == given.graph.output
    assert (proto.metadata_props, proto.opset_import) == (given.metadata_props, given.opset_import)


def test_the_edges_of_full_int8_are_raw_pixels_and_256ths_of_probabilities(small, int8):
    """Catches a calibrated scale, by which an app would have to multiply its pixels."""
    interpreter = opened(int8.quantize())
    (given,), (taken,) = interpreter.get_input_details(), interpreter.get_output_details()
    assert (given["dtype"], given["quantization"]) == (np.uint8, (1, 0))
    assert (taken["dtype"], taken["quantization"]) == (np.uint8, (1 / 256, 0))
    dark = TFLiteQuantizer(small.tflite, "int8", small.images // 4).quantize()
    assert opened(dark).get_input_details()[0]["quantization"] == (1, 0)


@pytest.mark.parametrize("quantization", ["fp16", "int8_dynamic", "int8_weight", "int16x8"])
def test_the_edges_of_other_quantizations_stay_as_they_are(quantization, small):
    interpreter = opened(TFLiteQuantizer(small.tflite_uint8, quantization, small.images).quantize())
    assert interpreter.get_input_details()[0]["dtype"] == np.uint8
    assert interpreter.get_output_details()[0]["dtype"] == np.float32


def test_xnnpack_takes_all_of_full_int8_but_the_cast_of_the_pixels(int8, tmp_path):
    """Catches a stand-alone RELU or a SOFTMAX in int8, which split the network."""
    (tmp_path / "int8.tflite").write_bytes(int8.quantize())
    found = delegation(tmp_path / "int8.tflite")
    assert (found.partitions, found.undelegated_ops) == (1, {"QUANTIZE": 1})
    assert TFLITE.inspect(tmp_path / "int8.tflite", None).delegated == 1 - 1 / found.operators


def test_delegation_counts_what_xnnpack_does_not_take(small, tmp_path):
    """Catches a count that calls everything delegated: in int16 it takes nothing but the softmax."""
    (tmp_path / "int16x8.tflite").write_bytes(TFLiteQuantizer(small.tflite, "int16x8", small.images).quantize())
    found = delegation(tmp_path / "int16x8.tflite")
    assert found.partitions == 1
    assert sum(found.undelegated_ops.values()) == found.operators - 1
    assert found.undelegated_ops["CONV_2D"] == 21


@pytest.mark.parametrize("quantization", ["int8_dynamic", "int8_weight", "int8", "int16x8"])
def test_kernels_are_int8_with_a_scale_for_each_channel(quantization, small):
    found = kernels(TFLiteQuantizer(small.tflite, quantization, small.images).quantize())
    if quantization == "int8_weight":  # the operators take what is made of the int8 kernels
        tensors = opened(TFLiteQuantizer(small.tflite, quantization, small.images).quantize()).get_tensor_details()
        assert sum(t["dtype"] == np.int8 and len(t["shape"]) == 4 for t in tensors) == len(found) == 21
        return
    assert len(found) == 21
    assert all(dtype == np.int8 and scales == channels for dtype, scales, channels in found.values())


def test_onnx_kernels_are_int8_with_a_scale_for_each_channel_and_activations_uint8(small):
    proto = OnnxQuantizer(small.onnx, "int8", small.images).quantize()
    constants = {tensor.name: tensor for tensor in proto.graph.initializer}
    makers = {name: node for node in proto.graph.node for name in node.output}
    convolutions = [node for node in proto.graph.node if node.op_type == "Conv"]
    assert len(convolutions) == 21
    for node in convolutions:
        kernel, activation = (makers[name] for name in (node.input[1], node.input[0]))
        values, scales = constants[kernel.input[0]], constants[kernel.input[1]]
        assert (values.data_type, list(scales.dims)) == (onnx.TensorProto.INT8, [values.dims[0]])
        assert constants[activation.input[2]].data_type == onnx.TensorProto.UINT8


def test_what_is_kept_in_float_is_float_and_nothing_else(int8):
    found = kernels(int8.quantize(["stage2_unit1_conv1", "stem_conv"]))
    kept = {name for name, (dtype, *_) in found.items() if dtype == np.float32}
    assert len(kept) == 2
    assert all("stage2_unit1_conv1" in name or "stem_conv" in name for name in kept)
    (whole,) = (name for name in int8.operators if "stage2_unit1_conv1/" in name or "stage2_unit1_conv1_1/" in name)
    assert kernels(int8.quantize([whole]))[whole][0] == np.float32


def test_what_is_kept_in_float_keeps_the_network_in_one_piece(int8, tmp_path):
    (tmp_path / "int8.tflite").write_bytes(int8.quantize(["stage2_unit1"]))
    assert delegation(tmp_path / "int8.tflite").partitions == 1


@pytest.mark.parametrize("quantization", onnx_quantizer.QUANTIZATIONS)
def test_what_is_kept_in_float_is_float_in_onnx(quantization, small):
    quantizer = OnnxQuantizer(small.onnx, quantization, small.images)
    proto = quantizer.quantize(["stage2_unit1_conv1"])
    dtypes = {tensor.name: tensor.data_type for tensor in proto.graph.initializer}
    found = [dtypes.get(node.input[1]) for node in proto.graph.node if node.op_type == "Conv"]
    assert found.count(onnx.TensorProto.FLOAT) == 1
    assert found.index(onnx.TensorProto.FLOAT) in (8, 9), "after seven convolutions, and beside the shortcut's"
    assert_near(run_onnx(proto, small.images), small.reference, TOLERANCES[quantization])


def test_a_network_is_left_as_it_was(small):
    """Catches tools that change what they are given: the next one would be made from that."""
    before = small.onnx.SerializeToString()
    for quantization in onnx_quantizer.QUANTIZATIONS:
        OnnxQuantizer(small.onnx, quantization, small.images).quantize()
    assert small.onnx.SerializeToString() == before


def test_ranges_are_those_of_all_calibration_images(small, monkeypatch):
    """Catches the quantizer's moving average, for which the last images count most, and calibration on other images."""
    monkeypatch.setattr(tflite_quantizer, "PIXELS_AT_ONCE", 3 * 8 * 8)
    bright = np.concatenate([small.images[:40] // 8, small.images[40:41]])
    first, last = (TFLiteQuantizer(small.tflite, "int8", images).quantize() for images in (bright[::-1], bright))
    assert first == last
    assert first != TFLiteQuantizer(small.tflite, "int8", bright[:-1]).quantize()


@pytest.mark.parametrize("quantization", tflite_quantizer.STATIC)
def test_the_bias_of_a_kernel_of_zeros_is_kept(quantization, tmp_path):
    """Catches a scale of nearly 0, in which the bias overflows: padded channels under the fold, and dead ones."""
    pixels = keras.Input(SHAPE)
    convolution = keras.layers.Conv2D(2, 1, name="convolution")
    model = keras.Model(pixels, keras.layers.GlobalAveragePooling2D()(convolution(pixels)))
    convolution.set_weights([np.stack([np.zeros((1, 1, 3)), np.full((1, 1, 3), 0.01)], axis=-1), np.array([3.0, 0.0])])
    images = np.random.default_rng(2).integers(0, 256, (4, *SHAPE)).astype(np.uint8)
    content = TFLiteQuantizer(to_tflite(model, tmp_path, "logits"), quantization, images).quantize()
    np.testing.assert_allclose(only(TFLITE.run(content, images)), model.predict(images.astype("float32"), verbose=0), atol=0.05)


def test_logits_come_out_as_integers_without_a_cast(tmp_path):
    pixels = keras.Input(SHAPE)
    flat = keras.layers.GlobalAveragePooling2D()(keras.layers.Conv2D(4, 3)(pixels))
    model = keras.Model(pixels, keras.layers.Dense(3)(flat))
    images = np.random.default_rng(3).integers(0, 256, (8, *SHAPE)).astype(np.uint8)
    content = TFLiteQuantizer(to_tflite(model, tmp_path, "logits"), "int8", images).quantize()
    interpreter = opened(content)
    assert (interpreter.get_input_details()[0]["dtype"], interpreter.get_output_details()[0]["dtype"]) == (np.uint8, np.int8)
    assert [operator["op_name"] for operator in operators_to_run(interpreter)].count("QUANTIZE") == 1
    expected = model.predict(images.astype("float32"), verbose=0)
    assert np.abs(only(TFLITE.run(content, images)) - expected).max() < 0.03 * np.abs(expected).max()


def test_what_lite_rt_has_no_operator_for_is_said_in_one_line(tmp_path, capfd):
    inputs = keras.Input((8, 8, 3))
    flat = keras.layers.Activation(keras.ops.erfinv)(keras.layers.Flatten()(inputs))
    with pytest.raises(UserError, match=r"^LiteRT has no operator for Erfinv: this network cannot .* TFLite; leave .*$"):
        to_tflite(keras.Model(inputs, keras.layers.Dense(3)(flat)), tmp_path)
    assert capfd.readouterr() == ("", "")


def test_the_last_layer_of_a_network_to_logits_can_stay_in_float(tmp_path):
    """Its output has the signature's name."""
    pixels = keras.Input(SHAPE)
    flat = keras.layers.GlobalAveragePooling2D()(keras.layers.Conv2D(4, 3)(pixels))
    content = to_tflite(keras.Model(pixels, keras.layers.Dense(3, name="head_dense")(flat)), tmp_path, "logits")
    images = np.random.default_rng(0).integers(0, 256, (16, *SHAPE)).astype(np.uint8)
    for quantization in ("int8", "int16x8"):
        quantizer = TFLiteQuantizer(content, quantization, images)
        assert opened(quantizer.quantize(["head_dense"])).get_output_details()[0]["dtype"] == np.float32


def test_the_tenth_unit_stays_float_with_the_first():
    names = ["net/stage1_unit1_conv1/conv;", "net/stage1_unit10_conv1/conv;"]
    assert select_operators(names, ["stage1_unit1"]) == names[:1]
    assert select_operators(names, ["stage1"]) == names


def test_wrong_values_are_refused(small, int8):
    with pytest.raises(UserError, match="unknown quantization 'int4' for TFLite; it is one of fp16, int8_dynamic"):
        TFLiteQuantizer(small.tflite, "int4", small.images)
    with pytest.raises(UserError, match="unknown quantization 'int16x8' for ONNX; it is one of fp16, int8"):
        OnnxQuantizer(small.onnx, "int16x8", small.images)
    with pytest.raises(UserError, match="int8 needs images"):
        TFLiteQuantizer(small.tflite, "int8", small.images[:0])
    with pytest.raises(UserError, match="int8 needs images"):
        OnnxQuantizer(small.onnx, "int8", small.images[:0])
    with pytest.raises(UserError, match=r"no operator 'stage9' to keep in float; the operators are .*stem_relu"):
        int8.quantize(["stage9"])
    old = onnx.ModelProto()
    old.CopyFrom(small.onnx)
    old.opset_import[0].version = 12
    with pytest.raises(UserError, match="opset is 12; int8 in ONNX needs 13 or above"):
        OnnxQuantizer(old, "int8", small.images)


def test_a_network_that_overflows_is_refused(tmp_path):
    """Catches a file with infinite scales, at which LiteRT crashes."""
    pixels = keras.Input(SHAPE)
    y = pixels
    for _ in range(3):
        y = keras.layers.Conv2D(2, 1, kernel_initializer=keras.initializers.Constant(1e15))(y)
    model = keras.Model(pixels, keras.layers.GlobalAveragePooling2D()(y))
    images = np.full((2, *SHAPE), 255, np.uint8)
    with pytest.raises(UserError, match=r"int8 has no range for .*, which overflows on the calibration images"):
        TFLiteQuantizer(to_tflite(model, tmp_path, "logits"), "int8", images).quantize()


def test_a_layer_that_suffers_is_found(tmp_path):
    """One kernel has a weight of a thousand, on a channel that is always 0: the others of its scale become 0."""
    pixels = keras.Input(SHAPE)
    y = pixels
    for number in range(6):
        y = keras.layers.Conv2D(4, 3, activation="relu", name=f"conv{number}", bias_initializer="ones")(y)
        y = keras.layers.ZeroPadding2D(1)(y)
    model = keras.Model(pixels, keras.layers.Dense(CLASSES, name="logits")(keras.layers.GlobalAveragePooling2D()(y)))
    before, suffering = model.get_layer("conv2"), model.get_layer("conv3")
    kernel, bias = before.get_weights()
    kernel[..., 0], bias[0] = 0, 0
    before.set_weights([kernel, bias])
    kernel, bias = suffering.get_weights()
    kernel[:, :, 0] = 1000
    suffering.set_weights([kernel, bias])
    images = np.random.default_rng(4).integers(0, 256, (40, *SHAPE)).astype(np.uint8)
    images //= np.arange(1, 41, dtype=np.uint8).reshape(-1, 1, 1, 1)  # dark and bright, so that their classes differ
    content = to_tflite(model, tmp_path, "logits")
    reference = only(TFLITE.run(content, images))
    usual = np.median(reference, axis=0)
    quantizer = TFLiteQuantizer(content, "int8", images)

    def run(kept, count):
        return only(TFLITE.run(quantizer.quantize(kept), images[:count])) - usual

    found = sensitive_layers(quantizer.operators, run, reference - usual, (reference - usual).argmax(axis=1), max_operators=1)
    assert len(found) == 1
    assert "conv3" in found[0]


def planted(costs, pairs=()):
    """`error_with` for operators of these costs; of a pair, both have to be in float for it to cost nothing."""

    def error_with(kept):
        alone = sum(cost for name, cost in costs.items() if name not in kept)
        return alone + sum(cost for pair, cost in pairs if not set(pair) <= set(kept))

    return error_with


NAMES = [f"operator{i}" for i in range(50)]


@pytest.mark.parametrize("index", [0, 1, 24, 25, 48, 49])
def test_the_most_sensitive_operator_is_found_wherever_it_is(index):
    costs = dict.fromkeys(NAMES, 1) | {NAMES[index]: 100}
    assert most_sensitive(NAMES, planted(costs)) == [NAMES[index]]


@pytest.mark.parametrize("index", [0, 11, 23, 24, 25, 36, 48])
def test_neighbours_are_kept_together_where_neither_helps_alone(index):
    """Catches a halving that parts the operator that makes a tensor from the one that takes it."""
    pair = NAMES[index : index + 2]
    found = most_sensitive(NAMES, planted(dict.fromkeys(NAMES, 0.1), [(pair, 100)]))
    assert set(pair) <= set(found)
    assert len(found) <= 4


def test_the_search_is_short_and_ends():
    """Catches a quantization for each operator: networks have thousands."""
    calls = []
    names = [f"operator{i}" for i in range(3000)]
    reference, labels = np.eye(2)[[0] * 10], np.zeros(10, int)

    def run(kept, count):
        calls.append(kept)
        return 1 - np.eye(2)[[0] * count] + 1e-3 * len(kept) if names[1234] not in kept else reference[:count]

    assert names[1234] in sensitive_layers(names, run, reference, labels, images=10)
    assert len(calls) < 60
    assert sensitive_layers(names, lambda kept, count: 1 - reference[:count], reference, labels) == [], "nothing helps"
    assert sensitive_layers(names, lambda kept, count: reference[:count], reference, labels) == [], "nothing is lost"


def test_overflows_are_no_gain():
    """Catches an error that is not a number, with which no comparison is true."""
    reference, labels = np.eye(2)[[0] * 10], np.zeros(10, int)

    def run(kept, count):
        return np.full((count, 2), np.nan) if "b" not in kept else reference[:count]

    assert sensitive_layers(["a", "b", "c"], run, reference, labels) == ["b"]


def outlier_network(folder):
    """The float file of three convolutions, the kernel of whose second has one large weight that meets no signal; and noise."""
    pixels = keras.Input(SHAPE)
    y = keras.layers.Conv2D(8, 3, activation="relu", name="conv0")(keras.layers.Rescaling(1 / 255)(pixels))
    y = keras.layers.Conv2D(8, 3, activation="relu", name="conv1", bias_initializer="ones")(y)
    y = keras.layers.Conv2D(8, 3, activation="relu", name="conv2")(y)
    model = keras.Model(pixels, keras.layers.Dense(CLASSES, name="head")(keras.layers.GlobalAveragePooling2D()(y)))
    before, suffering = model.get_layer("conv0"), model.get_layer("conv1")
    kernel, bias = before.get_weights()
    kernel[..., 0], bias[0] = 0, 0
    before.set_weights([kernel, bias])
    kernel, bias = suffering.get_weights()
    kernel[1, 1, 0] = 20
    suffering.set_weights([kernel, bias])
    images = np.random.default_rng(6).integers(0, 256, (24, *SHAPE)).astype(np.uint8)
    return to_tflite(model, folder, "logits"), images


def test_noise_is_blamed_on_the_operator_that_makes_it(tmp_path):
    """Catches noise that adds up from operator to operator, by which the last ones look worst."""
    content, images = outlier_network(tmp_path)
    noise = {}
    for quantization in tflite_quantizer.STATIC:
        quantizer = TFLiteQuantizer(content, quantization, images)
        noise[quantization] = quantizer.signal_to_noise(images)
        assert list(noise[quantization]) == [name for name in quantizer.operators if name in noise[quantization]]
        worst, *others = sorted(noise[quantization], key=lambda name: noise[quantization][name])
        assert "conv1" in worst
        assert noise[quantization][worst] < min(noise[quantization][name] for name in others) - 6
    assert sum("conv" in name for name in noise["int8"]) == 3
    calm = next(name for name in noise["int8"] if "conv2" in name)
    assert noise["int16x8"][calm] > noise["int8"][calm]


def test_noise_is_what_the_numbers_say(tmp_path):
    """Catches another unit, a mean in the place of a sum, and images that are left out: one operator, computed by hand."""
    pixels = keras.Input((1, 1, 1))
    model = keras.Model(pixels, keras.layers.Flatten()(keras.layers.Conv2D(1, 1, name="conv", use_bias=False)(pixels)))
    model.set_weights([np.full((1, 1, 1, 1), 0.7)])
    images = np.arange(256, dtype=np.uint8).reshape(256, 1, 1, 1)
    quantizer = TFLiteQuantizer(to_tflite(model, tmp_path, "logits"), "int16x8", images)
    (found,) = (value for name, value in quantizer.signal_to_noise(images).items() if "conv" in name)
    x, step = 0.7 * np.arange(256), 0.7 * 255 / 32767
    given = np.round(np.arange(256) / (255 / 32767)) * (255 / 32767)
    y = np.round(0.7 * given / step) * step
    assert found == pytest.approx(10 * np.log10(np.square(x).sum() / np.square(x - y).sum()), abs=1.5)
    assert found > 80


def test_what_stays_float_makes_no_noise(int8, small):
    """Catches operators that are listed and are not quantized, and others that are blamed for those before them."""
    before, after = int8.signal_to_noise(small.images[:8]), int8.signal_to_noise(small.images[:8], ["stage2_unit1"])
    assert set(before) == set(int8.operators)
    gone = set(before) - set(after)
    assert gone == {name for name in before if re.search(r"stage2_unit1(?!\d)", name)}
    assert {name: before[name] for name in after} == pytest.approx(after, abs=0.5)


@pytest.mark.parametrize("quantization", ["int8", "int16x8", "int8_dynamic", "int8_weight"])
def test_least_squared_error_is_less_than_that_of_full_ranges(quantization, tmp_path, rng):
    """Catches a choice that changes nothing; kernels with a few large weights are clipped, and the others get a finer scale."""
    pixels = keras.Input((4, 4, 64))
    model = keras.Model(pixels, keras.layers.GlobalAveragePooling2D()(keras.layers.Conv2D(4, 3, name="conv")(pixels)))
    weights = rng.laplace(size=(3, 3, 64, 4)).astype(np.float32)
    model.set_weights([weights, np.ones(4)])
    content, images = to_tflite(model, tmp_path, "logits"), rng.integers(0, 256, (8, 4, 4, 64)).astype(np.uint8)
    errors = {}
    for calibration in tflite_quantizer.CALIBRATIONS:
        interpreter = opened(TFLiteQuantizer(content, quantization, images, calibration).quantize())
        (kernel,) = (
            t for t in interpreter.get_tensor_details() if t["dtype"] == np.int8 and tuple(t["shape"]) == (4, 3, 3, 64)
        )
        scales = kernel["quantization_parameters"]["scales"].reshape(4, 1, 1, 1)
        errors[calibration] = np.square(interpreter.get_tensor(kernel["index"]) * scales - weights.transpose(3, 0, 1, 2)).sum()
    assert 0 < errors["mse"] < errors["minmax"]


@pytest.mark.parametrize("quantization", ["int8", "int8_dynamic"])
def test_kernels_with_channels_of_zeros_are_not_clipped_to_nothing(quantization, small, tmp_path):
    """Catches a scale of 0, with which XNNPACK does not take option A's padding convolutions."""
    content = TFLiteQuantizer(small.tflite, quantization, small.images, "mse").quantize()
    (tmp_path / "mse.tflite").write_bytes(content)
    assert delegation(tmp_path / "mse.tflite").partitions == 1
    assert all((scales > 0).all() for scales in kernel_scales(content))
    assert_near(only(TFLITE.run(content, small.images)), small.reference, TOLERANCES[quantization])
    assert content != TFLiteQuantizer(small.tflite, quantization, small.images).quantize()


def kernel_scales(content):
    tensors = opened(content).get_tensor_details()
    return [tensor["quantization_parameters"]["scales"] for tensor in tensors if len(tensor["shape"]) == 4]


def test_an_unknown_calibration_is_refused(small):
    with pytest.raises(UserError, match="unknown calibration 'entropy' for TFLite; it is one of minmax, mse"):
        TFLiteQuantizer(small.tflite, "int8", small.images, "entropy")
