"""Catches an ONNX file with work that the network has not, transposed maps and unfolded norms, or that readers refuse."""

import collections

import keras
import numpy as np
import onnx
import onnxruntime
import pytest
from conftest import scramble

import keras_resnet
from keras_resnet import UserError
from keras_resnet.export.formats.onnx.dense import rewrite_dense_layers
from keras_resnet.export.formats.onnx.model import make_model
from keras_resnet.export.outputs import serving_function
from keras_resnet.metadata import MEMBER, ClassifierMetadata
from keras_resnet.preprocessing import Preprocessing

LABELS = ("a cat", "a dog, or a wolf", "c")
# fmt: off
NETWORKS = {  # name, image, options
    "v1, option A":          ("ResNet20V1",     (16, 24, 3), {}),
    "v1, option B, gray":    ("ResNet20V1",     (16, 24, 1), {"shortcut": "B"}),
    "v2, option A":          ("ResNet20V2",     (16, 24, 3), {}),
    "v2, option B":          ("ResNet20V2",     (16, 24, 3), {"shortcut": "B"}),
    "v2, bottleneck":        ("ResNet20V2",     (16, 24, 3), {"block": "bottleneck"}),
    "bn_after_addition":     ("ResNet20V1",     (16, 24, 3), {"unit": "bn_after_addition"}),
    "gates":                 ("ResNet20V1",     (16, 24, 3), {"shortcut": "exclusive_gating(-6)"}),
    "wide":                  ("WideResNet16_8", (16, 24, 3), {"width_multiplier": 0.125}),
    "ImageNet, v1":          ("ResNet18V1",     (64, 64, 3), {"width_multiplier": 0.125}),
    "ImageNet, v1.5":        ("ResNet50V1_5",   (64, 64, 3), {"width_multiplier": 0.125, "output_stride": 16}),
    "keras.applications v2": ("ResNet50V2Slim", (64, 64, 3), {"width_multiplier": 0.125}),
    "timm v2":               ("ResNet50V2Timm", (64, 64, 3), {"width_multiplier": 0.125}),
}
# fmt: on


def build(name, shape, options):
    """A network to logits with scrambled norms, its metadata, and pixels for it."""
    channels = shape[-1]
    preprocessing = Preprocessing(*shape, (0.5, 0.4, 0.3)[:channels], (0.2, 0.3, 0.4)[:channels])
    inputs = preprocessing.layer()(keras.Input(shape))
    model = getattr(keras_resnet, name)(input_tensor=inputs, classes=3, classifier_activation=None, **options)
    pixels = np.random.default_rng(1).integers(0, 256, (5, *shape)).astype(np.uint8)
    return scramble(model), ClassifierMetadata(name, "none", LABELS, preprocessing), pixels


@pytest.fixture(scope="module")
def small():
    return build(*NETWORKS["v2, option A"])


def session(proto):
    return onnxruntime.InferenceSession(proto.SerializeToString(), providers=["CPUExecutionProvider"])


def assert_agrees(proto, model, pixels, layout="nhwc"):
    expected = model.predict(pixels.astype("float32"), verbose=0)
    for batch in (pixels, pixels[:1]):
        (found,) = session(proto).run(None, {"pixels": batch.transpose(0, 3, 1, 2) if layout == "nchw" else batch})
        np.testing.assert_allclose(found, expected[: len(batch)], rtol=0, atol=1e-5 * np.abs(expected).max())


@pytest.mark.parametrize("network", NETWORKS)
def test_nothing_is_transposed_but_the_pixels_and_no_norm_is_left_after_a_convolution(network):
    model, metadata, pixels = build(*NETWORKS[network])
    serve = serving_function(model, "logits")
    _, height, width, channels = pixels.shape
    for layout, shape, transposes in (("nhwc", [height, width, channels], 1), ("nchw", [channels, height, width], 0)):
        proto = make_model(serve, metadata, layout=layout)
        graph = proto.graph
        assert [d.dim_param or d.dim_value for d in graph.input[0].type.tensor_type.shape.dim] == ["batch", *shape]
        histogram = collections.Counter(node.op_type for node in graph.node)
        assert (histogram["Transpose"], histogram["Reshape"]) == (transposes, 0)
        assert layout == "nchw" or graph.node[0].op_type == "Transpose", "of floats, not of bytes"
        producers = {node.output[0]: node.op_type for node in graph.node}
        norms = [node for node in graph.node if node.op_type == "BatchNormalization"]
        assert "Conv" not in {producers[node.input[0]] for node in norms}
        stock = sum(type(layer).__name__ == "BatchNormalization" for layer in model.layers)
        assert len(norms) < stock
        assert histogram["Conv"] == sum(isinstance(layer, keras.layers.Conv2D) for layer in model.layers)
        assert_agrees(proto, model, pixels, layout)


@pytest.mark.parametrize("relu", [True, False])
def test_a_maximum_pads_itself_after_a_relu_and_there_only(relu):
    """Zeros around the raw output of a convolution, as in keras.applications' v2, are not what minus infinity would be."""
    inputs = keras.Input((9, 9, 3))
    x = keras.layers.Rescaling(1 / 255)(inputs)
    x = keras.layers.Conv2D(4, 3, bias_initializer=keras.initializers.Constant(-1.0))(x)
    x = keras.layers.ReLU()(x) if relu else x
    x = keras.layers.MaxPooling2D(3, 2)(keras.layers.ZeroPadding2D(1)(x))
    model = keras.Model(inputs, keras.layers.Dense(3)(keras.layers.Flatten()(x)))
    metadata = ClassifierMetadata("pooled", "none", LABELS, Preprocessing(9, 9, 3, (0.5,) * 3, (0.5,) * 3))
    proto = make_model(serving_function(model, "logits"), metadata)
    operators = [node.op_type for node in proto.graph.node]
    assert operators.count("Pad") == (0 if relu else 1)
    assert_agrees(proto, model, np.random.default_rng(0).integers(0, 256, (5, 9, 9, 3)).astype(np.uint8))


HEADS = {  # of a pooling of 4 channels, and how many Flatten and Gemm they become
    "hidden":   (lambda x: keras.layers.Dense(3)(keras.layers.Dense(8, activation="relu", name="hidden")(x)), 1, 2),
    "no bias":  (lambda x: keras.layers.Dense(3, use_bias=False)(x), 1, 1),
    "gated":    (lambda x: keras.layers.Dense(3)(keras.layers.Multiply()([x, keras.layers.Dense(4)(x)])), 1, 2),
    "rows":     (lambda x: keras.layers.Flatten()(keras.layers.Dense(3)(keras.layers.Reshape((1, 4))(x))), 1, 1),
    "two axes": (lambda x: keras.layers.Flatten()(keras.layers.Dense(1)(keras.layers.Reshape((3, 1))(x[:, :3]))), 1, 1),
}  # fmt: skip


@pytest.mark.parametrize("head", HEADS)
@pytest.mark.parametrize("opset", [9, 15])
def test_dense_layers_of_other_networks_are_flatten_and_gemm_with_the_names_of_their_layers(head, opset):
    """Catches a rewrite of what only looks like a head, and a Gemm that the opset does not have."""
    inputs = keras.Input((6, 6, 3))
    x = keras.layers.GlobalAveragePooling2D()(keras.layers.Conv2D(4, 3)(keras.layers.Rescaling(1 / 255)(inputs)))
    make, flattens, gemms = HEADS[head]
    model = scramble(keras.Model(inputs, make(x)))
    metadata = ClassifierMetadata("other", "none", LABELS, Preprocessing(6, 6, 3, (0.5,) * 3, (0.5,) * 3))
    proto = make_model(serving_function(model, "logits"), metadata, opset=opset)
    histogram = collections.Counter(node.op_type for node in proto.graph.node)
    assert (histogram["Flatten"], histogram["Squeeze"]) == (flattens, 0)
    assert histogram["Gemm"] == (0 if opset < 11 and head not in ("hidden", "gated") else gemms)
    if head == "hidden":
        assert any("hidden" in name for node in proto.graph.node if node.op_type == "Gemm" for name in node.output)
    assert_agrees(proto, model, np.random.default_rng(0).integers(0, 256, (5, 6, 6, 3)).astype(np.uint8))


def test_a_reshape_that_mixes_images_is_not_a_flatten():
    shapes = [("x", [None, 4, 5, 5]), ("y", [None, 2])]
    given, taken = (onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, shape) for name, shape in shapes)
    nodes = [
        onnx.helper.make_node("GlobalAveragePool", ["x"], ["pooled"]),
        onnx.helper.make_node("Reshape", ["pooled", "shape"], ["y"]),
    ]
    shape = onnx.numpy_helper.from_array(np.array([-1, 2]), "shape")
    model = onnx.helper.make_model(onnx.helper.make_graph(nodes, "mixing", [given], [taken], [shape]))
    before = model.SerializeToString()
    rewrite_dense_layers(model)
    assert model.SerializeToString() == before


@pytest.mark.parametrize("opset", [9, 13, 17, 18, 21])
def test_every_opset_gives_the_same_graph_and_numbers(opset, small):
    """From 18 on, tf2onnx leaves a Transpose in the head, and stops."""
    model, metadata, pixels = small
    proto = make_model(serving_function(model, "logits"), metadata, opset=opset)
    assert [(entry.domain, entry.version) for entry in proto.opset_import] == [("", opset)]
    assert proto.ir_version == onnx.helper.find_min_ir_version_for(proto.opset_import)
    assert len(proto.graph.input) == 1, "weights among the inputs"
    assert [node.op_type for node in proto.graph.node].count("Transpose") == 1
    assert [node.op_type for node in proto.graph.node][-2:] == ["Flatten", "Gemm"]
    assert_agrees(proto, model, pixels)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"opset": 8}, "opset is 8; it is a whole number from 9 to 21"),
        ({"opset": 22}, "opset is 22; it is a whole number from 9 to 21"),
        ({"opset": "15"}, "opset is '15'"),
        ({"layout": "NCHW"}, "unknown ONNX layout 'NCHW'; it is one of nhwc, nchw"),
    ],
)
def test_a_wrong_option_is_refused(options, message, small):
    model, metadata, _ = small
    with pytest.raises(UserError, match=message):
        make_model(serving_function(model, "logits"), metadata, **options)


def test_a_network_that_onnx_has_no_operators_for_is_refused_in_one_line(capfd):
    """tf2onnx writes it all the same, and logs a line for each of them."""
    inputs = keras.Input((8, 8, 3))
    x = keras.layers.Activation(keras.ops.erfinv)(keras.layers.Flatten()(inputs))
    model = keras.Model(inputs, keras.layers.Dense(3)(x))
    metadata = ClassifierMetadata("odd", "none", LABELS, Preprocessing(8, 8, 3, (0.5,) * 3, (0.5,) * 3))
    with pytest.raises(UserError, match="tf2onnx cannot express Erfinv"):
        make_model(serving_function(model, "logits"), metadata)
    assert capfd.readouterr() == ("", "")


def test_the_file_says_what_it_is(small, capfd):
    model, metadata, _ = small
    texts = {"description": "Cats.", "license": "CC0-1.0"}
    proto = make_model(serving_function(model, "logits"), metadata, layout="nchw", **texts)
    assert capfd.readouterr() == ("", "")
    assert (proto.producer_name, proto.doc_string, proto.graph.name) == ("keras-resnet-zoo", "Cats.", "ResNet20V2")
    properties = {entry.key: entry.value for entry in proto.metadata_props}
    assert ClassifierMetadata.from_json(properties[MEMBER]) == metadata
    expected = {"name": "ResNet20V2", "description": "Cats.", "license": "CC0-1.0", "layout": "nchw"}
    assert {name: properties[name] for name in expected} == expected
    assert properties["labels"].splitlines() == list(LABELS)
    assert "mean (0.5, 0.4, 0.3), std (0.2, 0.3, 0.4)" in properties["normalization"]
    opened = session(proto)
    assert opened.get_modelmeta().custom_metadata_map == properties
    assert (opened.get_inputs()[0].shape, opened.get_outputs()[0].shape) == (["batch", 3, 16, 24], ["batch", 3])
