"""Catches a SavedModel with weights, functions or signatures too many, and one that needs more than TensorFlow."""

import base64
import json
import re
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from conftest import ROOT, scramble
from tensorflow.core.protobuf import saved_model_pb2
from tensorflow_serving.apis import prediction_log_pb2

import keras_resnet
from keras_resnet._litert_internals import operator_names, parse_model
from keras_resnet.export.fold.folding import fold
from keras_resnet.export.formats.saved_model.archive import endpoints, write_archive
from keras_resnet.export.formats.saved_model.warmup import WARMUP_MEMBER
from keras_resnet.export.formats.tflite.conversion import convert
from keras_resnet.export.outputs import serving_function
from keras_resnet.metadata import SAVED_MODEL_MEMBER, ClassifierMetadata
from keras_resnet.preprocessing import Preprocessing

PREPROCESSING = Preprocessing(16, 24, 3, (0.5, 0.4, 0.3), (0.2, 0.3, 0.4), crop_fraction=0.875, interpolation="bicubic")


def write(model, metadata, path):
    """Writes the SavedModel of a network to logits."""
    write_archive(endpoints(serving_function(model, "logits"), metadata.preprocessing), path, metadata)


@pytest.fixture(scope="module")
def metadata():
    return ClassifierMetadata("ResNet20V1", "none", ("a", "b", "c"), PREPROCESSING)


@pytest.fixture(scope="module")
def model():
    """To logits, where random weights leave one class a probability of 1."""
    inputs = PREPROCESSING.layer()(keras.Input(PREPROCESSING.shape))
    return scramble(keras_resnet.ResNet20V1(input_tensor=inputs, classes=3, classifier_activation=None))


@pytest.fixture(scope="module")
def folder(model, metadata, tmp_path_factory):
    path = tmp_path_factory.mktemp("saved") / "saved_model"
    write(model, metadata, path)
    return path


def flat(channels, size=(8, 8)):
    """A classifier of hardly any operations."""
    return keras.Sequential([keras.Input((*size, channels)), keras.layers.Flatten(), keras.layers.Dense(3, name="head_dense")])


def test_the_signatures_are_those_that_servers_are_told_of(folder):
    signatures = tf.saved_model.load(str(folder)).signatures
    described = {
        name: (signatures[name].structured_input_signature[1], signatures[name].structured_outputs)
        for name in ("serving_default", "image_bytes")
    }
    outputs = {"logits": tf.TensorSpec((None, 3), tf.float32, "logits")}
    assert described == {
        "serving_default": ({"pixels": tf.TensorSpec((None, 16, 24, 3), tf.uint8, "pixels")}, outputs),
        "image_bytes": (
            {"image_bytes": tf.TensorSpec((None,), tf.string, "image_bytes")},
            {**outputs, "errors": tf.TensorSpec((None,), tf.string, "errors")},
        ),
    }


def test_the_warmup_requests_run_on_every_signature(folder):
    """Catches requests that TensorFlow Serving cannot parse or run, for which it refuses to load the model."""
    signatures = tf.saved_model.load(str(folder)).signatures
    served = []
    for record in tf.data.TFRecordDataset(str(folder / WARMUP_MEMBER)).as_numpy_iterator():
        log = prediction_log_pb2.PredictionLog.FromString(record)
        request = log.predict_log.request
        inputs = {name: tf.constant(tf.make_ndarray(tensor)) for name, tensor in request.inputs.items()}
        outputs = signatures[request.model_spec.signature_name](**inputs)
        assert all(error == b"" for error in outputs.get("errors", tf.constant([b""])).numpy())
        served.append((request.model_spec.signature_name, len(outputs["logits"])))
    assert served == [("serving_default", 1), ("serving_default", 8), ("image_bytes", 1), ("image_bytes", 8)]
    assert (folder / WARMUP_MEMBER).stat().st_size < 20_000


def test_the_requests_in_the_docs_fit_the_signatures(tmp_path, monkeypatch):
    """Catches a JSON body that TensorFlow Serving refuses: it makes tensors of the signature's dtype of `instances`."""
    [example] = re.findall(r"```python\n(import base64.*?)```", (ROOT / "docs" / "serving.md").read_text(), re.DOTALL)
    monkeypatch.chdir(tmp_path)
    exec(compile(example, "serving.md", "exec"), {})
    write(
        flat(channels=1),
        ClassifierMetadata("flat", "none", ("a", "b", "c"), Preprocessing(8, 8, 1, (0.5,), (0.5,))),
        Path("saved"),
    )
    signatures = tf.saved_model.load("saved").signatures
    for name, count in (("pixels.json", 2), ("files.json", 1)):
        body = json.loads((tmp_path / name).read_text())
        signature = signatures[body.get("signature_name", "serving_default")]
        [specification] = signature.structured_input_signature[1].values()
        values = [base64.b64decode(value["b64"]) if "b64" in value else value for value in body["instances"]]
        outputs = signature(**{specification.name: tf.constant(values, specification.dtype)})
        assert outputs["logits"].shape == (count, 3)
        assert not any(outputs.get("errors", tf.constant([b""])).numpy())


def test_tflite_is_made_of_the_pixels_alone(folder):
    """Catches a conversion of `image_bytes` too, which has no operators in LiteRT."""
    operators = operator_names(parse_model(convert(folder)))
    assert operators.count("CONV_2D") == 19
    assert not set(operators) & {"WHILE", "GATHER"}
    assert not any(name.startswith("Flex") for name in operators)


def stored_nodes(folder):
    """The operations in the functions of a SavedModel."""
    proto = saved_model_pb2.SavedModel.FromString((folder / "saved_model.pb").read_bytes())
    return [node for function in proto.meta_graphs[0].graph_def.library.function for node in function.node_def]


def with_a_layer_used_twice():
    """A network as others make them: one layer in two places, and Flatten."""
    inputs = keras.Input(PREPROCESSING.shape)
    shared = keras.layers.Conv2D(3, 3, padding="same")
    features = keras.layers.BatchNormalization()(shared(shared(inputs)))
    return keras.Model(inputs, keras.layers.Dense(3)(keras.layers.Flatten()(features)))


@pytest.mark.parametrize("kind", ["as it is", "folded", "others'"])
def test_each_weight_is_stored_once(model, tmp_path, kind):
    """Catches Keras' variables beside TensorFlow's, which are the same numbers, and weights as constants in the graphs."""
    network = {"as it is": lambda: model, "folded": lambda: fold(model), "others'": with_a_layer_used_twice}[kind]()
    write_archive(endpoints(serving_function(network, "logits"), PREPROCESSING), tmp_path / "saved")
    stored = tf.train.list_variables(str(tmp_path / "saved" / "variables" / "variables"))
    floats = sorted(tuple(shape) for name, shape in stored if "CHECKPOINTABLE" not in name and "save_counter" not in name)
    assert floats == sorted(tuple(weight.shape) for weight in network.weights)
    constants = [node.attr["value"].tensor for node in stored_nodes(tmp_path / "saved") if node.op == "Const"]
    assert max(constant.ByteSize() for constant in constants if constant.dtype == tf.float32.as_datatype_enum) < 1000
    loaded = tf.saved_model.load(str(tmp_path / "saved"))
    assert len(loaded.variables) == len(network.weights)
    assert len(loaded.trainable_variables) == len(network.trainable_weights)


def test_a_function_is_traced_once(model, tmp_path):
    """Catches a second trace while it is saved: half of the time that a deep network takes, and all operations twice."""
    serve = serving_function(model, "logits")
    write_archive(endpoints(serve, PREPROCESSING), tmp_path / "saved")
    assert sum(node.op == "Conv2D" for node in stored_nodes(tmp_path / "saved")) == 19


def test_keras_takes_it_for_a_layer_whose_weights_it_trains(model, folder, rng):
    """Catches a copy of the weights that optimizers change while the function reads the other."""
    layer = keras.layers.TFSMLayer(str(folder), call_endpoint="serve")
    pixels = rng.integers(0, 256, (2, 16, 24, 3)).astype(np.uint8)
    before = layer(pixels)["logits"]
    np.testing.assert_allclose(before, model(pixels.astype("float32")), atol=1e-3)
    assert len(layer.trainable_weights) == len(model.trainable_weights)
    for weight in layer.trainable_weights:
        weight.assign(weight * 0.5)
    assert np.abs(layer(pixels)["logits"] - before).max() > 0.1


def test_writing_says_nothing(model, metadata, tmp_path, capfd):
    write(model, metadata, tmp_path / "saved_model")
    assert capfd.readouterr() == ("", "")
    assert ClassifierMetadata.from_json((tmp_path / "saved_model" / SAVED_MODEL_MEMBER).read_text()) == metadata


def test_a_network_of_two_channels_is_served_pixels_only(tmp_path):
    two = ClassifierMetadata("flat", "none", ("a", "b", "c"), Preprocessing(8, 8, 2, (0.5, 0.5), (0.5, 0.5)))
    model = flat(channels=2)
    write(model, two, tmp_path / "saved_model")
    assert set(tf.saved_model.load(str(tmp_path / "saved_model")).signatures) == {"serving_default"}


def test_pixels_may_come_as_floats(rng):
    """What full int8 is quantized from: a cast in the graph would stay outside of the integers."""
    model = flat(channels=3)
    pixels = rng.integers(0, 256, (5, 8, 8, 3)).astype(np.uint8)
    serve, serve_floats = serving_function(model, "logits"), serving_function(model, "logits", dtype="float32")
    assert [f.input_signature[0].dtype for f in (serve, serve_floats)] == [tf.uint8, tf.float32]
    np.testing.assert_array_equal(serve(pixels)["logits"], serve_floats(pixels.astype("float32"))["logits"])
    operations = {operation.type for operation in serve_floats.get_concrete_function().graph.get_operations()}
    assert "Cast" not in operations
