"""Catches int8 ONNX files that compute something else on another CPU or in another reader, and noise that is blamed on the
wrong layer."""

import platform
import shutil
import subprocess
import sys
import types

import keras
import numpy as np
import onnx
import pytest
from conftest import only
from onnx import numpy_helper

from keras_resnet import UserError
from keras_resnet.export.config import ExportConfig
from keras_resnet.export.formats.onnx import quantizer as onnx_quantizer
from keras_resnet.export.formats.onnx.format import ONNX, X64_QUANT_PRECISION
from keras_resnet.export.formats.onnx.model import make_model
from keras_resnet.export.formats.onnx.quantizer import OnnxQuantizer
from keras_resnet.export.formats.onnx.saturation import largest_pair, saturating_kernels
from keras_resnet.export.outputs import serving_function
from keras_resnet.export.pipeline import export
from keras_resnet.export.reporting.html_report import render
from keras_resnet.export.sensitivity import explain
from keras_resnet.export.source_model.loading import SourceModel
from keras_resnet.export.verification.result import Tolerances
from keras_resnet.export.verification.verify import verify
from keras_resnet.metadata import ClassifierMetadata
from keras_resnet.preprocessing import Preprocessing

SHAPE = (8, 8, 3)
METADATA = ClassifierMetadata("small", "none", tuple("abc"), Preprocessing(*SHAPE, (0.0,) * 3, (1.0,) * 3))


def with_random_biases(model, generator):
    for weight in model.weights:
        if weight.path.endswith("bias"):
            weight.assign(generator.uniform(0, 0.5, weight.shape))
    return model


@pytest.fixture(scope="module")
def net():
    """A convolution, a squeeze-and-excite of dense layers, a hidden dense layer and a head, as Keras and as ONNX."""
    keras.utils.set_random_seed(0)
    generator = np.random.default_rng(0)
    pixels = keras.Input(SHAPE)
    x = keras.layers.Conv2D(8, 3, activation="relu", name="first")(keras.layers.Rescaling(1 / 255)(pixels))
    x = keras.layers.Conv2D(8, 3, activation="relu", name="second")(x)
    scale = keras.layers.Dense(4, activation="relu", name="squeeze")(keras.layers.GlobalAveragePooling2D()(x))
    scale = keras.layers.Dense(8, activation="sigmoid", name="excite")(scale)
    x = keras.layers.Multiply()([x, keras.layers.Reshape((1, 1, 8))(scale)])
    x = keras.layers.Dense(16, activation="relu", name="hidden")(keras.layers.GlobalAveragePooling2D()(x))
    model = with_random_biases(keras.Model(pixels, keras.layers.Dense(3, activation="softmax", name="head")(x)), generator)
    images = generator.integers(0, 256, (32, *SHAPE)).astype(np.uint8)
    proto = make_model(serving_function(model, "probabilities"), METADATA)
    return types.SimpleNamespace(model=model, images=images, proto=proto, quantizer=OnnxQuantizer(proto, "int8", images))


def saturating(channels=32):
    """A network whose kernels saturate with eight bits: weights of one sign and size, and pixels near 255."""
    pixels = keras.Input(SHAPE)
    convolution = keras.layers.Conv2D(channels, 3, use_bias=False)
    pooled = keras.layers.GlobalAveragePooling2D()(convolution(keras.layers.Rescaling(1 / 255)(pixels)))
    model = keras.Model(pixels, keras.layers.Dense(3)(pooled))
    generator = np.random.default_rng(0)
    convolution.set_weights([generator.uniform(0.9, 1, (3, 3, 3, channels)).astype("float32")])
    dense = model.layers[-1]
    dense.set_weights([generator.normal(0, 0.3, (channels, 3)), np.zeros(3)])
    images = generator.integers(200, 256, (16, *SHAPE)).astype(np.uint8)
    return make_model(serving_function(model, "logits"), METADATA), images


def with_eight_bits(monkeypatch):
    """Quantizes as before kernels had seven."""
    quantize_static = onnx_quantizer.ort_quantization.quantize_static
    changed = types.SimpleNamespace(**vars(onnx_quantizer.ort_quantization))
    changed.quantize_static = lambda *arguments, **options: quantize_static(*arguments, **{**options, "reduce_range": False})
    monkeypatch.setattr(onnx_quantizer, "ort_quantization", changed)


def integer_operators(proto):
    """The operators that read integers."""
    read = {node.output[0] for node in proto.graph.node if node.op_type == "DequantizeLinear"}
    return [node for node in proto.graph.node if read.intersection(node.input) and node.op_type != "QuantizeLinear"]


def test_no_dense_layer_in_integers_has_a_bias_and_the_last_is_float(net):
    """OpenCV 4.14 gives wrong numbers for such a Gemm, and 5.0 does not load it."""
    proto = net.quantizer.quantize()
    gemms = [node for node in integer_operators(proto) if node.op_type == "Gemm"]
    assert len(gemms) == 3, "squeeze, excite and hidden"
    assert all(len(node.input) == 2 for node in gemms)
    constants = {tensor.name: tensor.data_type for tensor in proto.graph.initializer}
    (head,) = [node for node in proto.graph.node if node.op_type == "Gemm" and node not in gemms]
    assert constants[head.input[1]] == onnx.TensorProto.FLOAT
    expected = net.model.predict(net.images.astype("float32"), verbose=0)
    assert np.abs(only(ONNX.run(proto, net.images)) - expected).max() < 0.05


@pytest.mark.parametrize("name", ["head", "hidden", "squeeze"])
def test_dense_layers_can_be_kept_in_float_by_their_names(name, net):
    kinds = [node.op_type for node in integer_operators(net.quantizer.quantize([name]))]
    assert kinds.count("Gemm") == (3 if name == "head" else 2)


@pytest.mark.parametrize(
    ("weights", "largest"),
    [([127, 1, 0], 128), ([127, 2, 0], 129), ([127, -127, 0], 127), ([-64, -65, 0], 129), ([64, 64, 64], 128), ([127], 127)],
)
def test_the_sums_of_two_products_are_those_of_weights_of_one_sign(weights, largest):
    """Catches a proof that compares single weights, or that refuses what cancels."""
    assert largest_pair(np.array([weights])) == largest
    products = 255 * np.array(weights)
    assert (largest <= 128) == (
        np.abs(np.add.outer(products, products)[~np.eye(len(weights), dtype=bool)]).max(initial=0) <= 2**15
    )


def test_kernels_have_seven_bits_and_those_of_eight_do_not_pass(net, monkeypatch, tmp_path):
    proto = net.quantizer.quantize()
    assert not list(saturating_kernels(proto))
    kernels = [
        numpy_helper.to_array(t) for t in proto.graph.initializer if t.data_type == onnx.TensorProto.INT8 and len(t.dims) > 1
    ]
    assert len(kernels) == 5
    assert max(np.abs(kernel.astype(int)).max() for kernel in kernels) == 64
    with_eight_bits(monkeypatch)
    wide = OnnxQuantizer(net.proto, "int8", net.images).quantize()
    assert len(list(saturating_kernels(wide))) >= 4, "the convolutions and the dense layers"
    onnx.save(wide, tmp_path / "wide.onnx")
    (issue,) = ONNX.inspect(tmp_path / "wide.onnx", None).blocking_issues()
    assert "saturate on x86 CPUs without VNNI" in issue


@pytest.mark.skipif(
    shutil.which("qemu-x86_64") is None or platform.machine() != "x86_64", reason="needs qemu-user on an x86 machine"
)
@pytest.mark.parametrize("bits", [7, 8])
def test_a_cpu_without_vnni_gives_the_same_numbers(bits, monkeypatch, tmp_path):
    """Catches sums that saturate. Eight bits do: else the test, or the emulated CPU, would prove nothing."""
    proto, images = saturating()
    if bits == 8:
        with_eight_bits(monkeypatch)
    onnx.save(OnnxQuantizer(proto, "int8", images).quantize(), tmp_path / "int8.onnx")
    np.save(tmp_path / "images.npy", images[:2])
    program = """import sys; import numpy, onnxruntime
folder = sys.argv[1]
options = onnxruntime.SessionOptions()
options.intra_op_num_threads = 1
session = onnxruntime.InferenceSession(f"{folder}/int8.onnx", options, providers=["CPUExecutionProvider"])
numpy.save(f"{folder}/outputs.npy", session.run(None, {"pixels": numpy.load(f"{folder}/images.npy")})[0])"""
    command = ["qemu-x86_64", "-cpu", "Haswell", sys.executable, "-c", program, tmp_path]
    subprocess.run(command, check=True, capture_output=True)
    expected = only(ONNX.run(proto, images[:2]))
    difference = np.abs(np.load(tmp_path / "outputs.npy") - expected).max() / np.abs(expected).max()
    assert difference < 0.02 if bits == 7 else difference > 0.3


def test_verification_also_runs_int8_with_sums_that_cannot_saturate(net, tmp_path):
    reference = {"probabilities": net.model.predict(net.images.astype("float32"), verbose=0)}
    labels, tolerances = only(reference).argmax(axis=1), Tolerances({"probabilities": 0.1}, 1)
    for name, proto, variants in (("onnx", net.proto, []), ("onnx_int8", net.quantizer.quantize(), [X64_QUANT_PRECISION])):
        onnx.save(proto, tmp_path / f"{name}.onnx")
        result, _ = verify(name, tmp_path / f"{name}.onnx", net.images, labels, reference, only, tolerances)
        assert list(result.variants) == variants
        assert result.passed
        assert all(variant.max_difference > 0 and variant.passed for variant in result.variants.values())
    tolerances = Tolerances({"probabilities": 1e-9}, 1)
    failed = verify("onnx_int8", tmp_path / "onnx_int8.onnx", net.images, labels, reference, only, tolerances)[0]
    object.__setattr__(result, "variants", {X64_QUANT_PRECISION: failed})
    assert [failure.endswith(f"({X64_QUANT_PRECISION})") for failure in result.failures] == [True], "a variant's failure counts"


def test_a_hidden_layer_that_gives_features_becomes_integers_all_the_same():
    """It stayed in float as "the network's last layer", and with it most of the weights."""
    pixels = keras.Input(SHAPE)
    hidden = keras.layers.Dense(8, activation="relu")(keras.layers.Flatten()(keras.layers.Rescaling(1 / 255)(pixels)))
    outputs = {"features": hidden, "logits": keras.layers.Dense(3)(hidden)}
    proto = make_model(serving_function(keras.Model(pixels, outputs), "logits", "features"), METADATA)
    images = np.random.default_rng(0).integers(0, 256, (16, *SHAPE)).astype(np.uint8)
    quantized = OnnxQuantizer(proto, "int8", images).quantize()
    kernels = {tensor.name for tensor in quantized.graph.initializer if tensor.data_type == onnx.TensorProto.FLOAT}
    floats = [kernels.issuperset(node.input[1:2]) for node in quantized.graph.node if node.op_type == "Gemm"]
    assert floats == [False, True]
    found, expected = ONNX.run(quantized, images), ONNX.run(proto, images)
    for name, values in expected.items():
        np.testing.assert_allclose(found[name], values, atol=0.05 * np.abs(values).max())


def ranges(proto):
    """The scales of what is quantized, by the names of the tensors that hold them."""
    return {
        t.name: float(numpy_helper.to_array(t)) for t in proto.graph.initializer if t.name.endswith("_scale") and not t.dims
    }


def test_calibrations_differ_where_few_values_are_large_and_print_nothing(net, capfd, monkeypatch):
    """Catches an option that is not handed on, and ranges of the first or the last batch alone."""
    dark = np.tile(net.images // 16, (96, 1, 1, 1))  # percentile leaves out one value of 100,000
    images = np.concatenate([dark, np.full((1, *SHAPE), 255, np.uint8), dark[:2]])
    monkeypatch.setattr(onnx_quantizer, "PIXELS_AT_ONCE", 500 * 8 * 8)
    scales = {name: ranges(OnnxQuantizer(net.proto, "int8", images, name).quantize()) for name in onnx_quantizer.CALIBRATIONS}
    assert capfd.readouterr() == ("", "")
    assert set(scales["minmax"]) == set(scales["entropy"]) == set(scales["percentile"])
    for name in ("entropy", "percentile"):
        assert scales[name] != scales["minmax"]
        assert all(scales[name][tensor] <= 1.01 * scale for tensor, scale in scales["minmax"].items())
    monkeypatch.setattr(onnx_quantizer, "PIXELS_AT_ONCE", 4000 * 8 * 8)
    assert ranges(OnnxQuantizer(net.proto, "int8", images).quantize()) == scales["minmax"]
    with pytest.raises(UserError, match="unknown calibration 'mse' for ONNX; it is one of minmax, percentile, entropy"):
        OnnxQuantizer(net.proto, "int8", images, "mse")


def test_a_calibration_that_a_format_lacks_is_refused_by_name_where_it_is_needed(tmp_path):
    with pytest.raises(UserError, match="there is no mse calibration in onnx: onnx has minmax, percentile, entropy"):
        ExportConfig(tmp_path / "model.keras", tmp_path, formats=("onnx",), calibration="mse")
    with pytest.raises(UserError, match="unknown calibration 'median'; it is one of minmax, percentile, entropy, mse"):
        ExportConfig(tmp_path / "model.keras", tmp_path, calibration="median")
    ExportConfig(tmp_path / "model.keras", tmp_path, formats=("onnx",), quantize=("none",), calibration="mse")


def test_noise_is_blamed_on_the_operator_that_makes_it():
    """Catches noise that accumulates, which blames the last layers: here the second cannot resolve what the first gives it."""
    keras.utils.set_random_seed(0)
    pixels = keras.Input(SHAPE)
    x = keras.layers.Conv2D(8, 1, activation="relu", name="first")(keras.layers.Rescaling(1 / 255)(pixels))
    x = keras.layers.Conv2D(8, 3, activation="relu", name="second")(x)
    x = keras.layers.Conv2D(8, 3, activation="relu", name="third")(x)
    model = keras.Model(pixels, keras.layers.Dense(3, name="head")(keras.layers.GlobalAveragePooling2D()(x)))
    first, second = (model.get_layer(name) for name in ("first", "second"))
    factors = np.array([1000] + 7 * [1])
    first.set_weights([first.get_weights()[0] * factors, first.get_weights()[1]])
    second.set_weights([second.get_weights()[0] / factors[:, np.newaxis], second.get_weights()[1]])
    images = np.random.default_rng(0).integers(0, 256, (16, *SHAPE)).astype(np.uint8)
    quantizer = OnnxQuantizer(make_model(serving_function(model, "logits"), METADATA), "int8", images)
    noise = quantizer.signal_to_noise(images)
    assert list(noise) == [name for name in quantizer.operators if name in noise]
    worst, *others = sorted(noise, key=lambda name: noise[name])
    assert "/second" in worst
    assert noise[worst] < 20 < 30 < min(noise[name] for name in others)
    assert not [name for name in quantizer.signal_to_noise(images, ["second"]) if "/second" in name], "it stays float"


def test_noise_can_be_measured_around_operators_with_several_outputs(net):
    pixels = keras.Input(SHAPE)
    x = keras.layers.Conv2D(8, 3, name="first")(keras.layers.Rescaling(1 / 255)(pixels))
    values, gates = keras.ops.split(x, 2, axis=-1)
    x = keras.layers.ReLU(max_value=6)(keras.layers.Conv2D(4, 3, name="second")(values * keras.ops.sigmoid(gates)))
    model = keras.Model(pixels, keras.layers.Dense(3, name="head")(keras.layers.GlobalMaxPooling2D()(x)))
    quantizer = OnnxQuantizer(make_model(serving_function(model, "logits"), METADATA), "int8", net.images)
    noise = quantizer.signal_to_noise(net.images)
    assert [name.split("/")[1].split("_")[0] for name in noise] == ["first", "second"]
    assert all(20 < decibels < 60 for decibels in noise.values())


def test_an_explanation_tries_the_noisiest_and_counts_agreement_with_float_and_accuracy():
    reference, labels = np.eye(4)[[0, 1, 2, 3]], np.array([0, 1, 2, 0])
    noise = {f"layer{index}": float(30 - index) for index in range(8)}

    def run(kept):
        return np.eye(4)[[0, 1, 2, 3] if "layer7" in kept else [0, 1, 1, 0]]

    found = explain(noise, run, reference, labels, ["layer0"])
    assert (found.images, found.float_accuracy, found.agreement, found.accuracy) == (4, 0.75, 0.5, 0.75)
    assert [operator.operator for operator in found.operators] == [f"layer{index}" for index in range(7, -1, -1)]
    assert [operator.agreement for operator in found.operators] == [1, 0.5, 0.5, 0.5, 0.5, None, None, None]
    assert (found.operators[0].decibels, found.operators[0].accuracy) == (23, 0.75)


def test_the_reports_say_where_quantization_loses(net, tmp_path):
    net.model.save(tmp_path / "model.keras")
    labels = net.model.predict(net.images.astype("float32"), verbose=0).argmax(axis=1)
    config = ExportConfig(
        tmp_path / "model.keras",
        tmp_path / "export",
        formats=("onnx",),
        quantize=("int8",),
        calibration="entropy",
        explain_quantization=True,
    )
    split = type("Split", (), {"images": net.images, "labels": labels, "__len__": lambda self: len(labels)})()
    report = export(config, SourceModel(net.model, METADATA), net.images, labels, split)
    record = report.to_dict()
    assert record["calibration"] == "entropy"
    (artifact,) = record["artifacts"]
    noise = artifact["quantization_noise"]
    decibels = [operator["decibels"] for operator in noise["operators"]]
    assert decibels == sorted(decibels)
    assert noise["operators"][0]["agreement"] is not None
    page = render(report)
    assert "Quantization noise" in page
    assert f"{decibels[0]:.1f} dB" in page
