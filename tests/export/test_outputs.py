"""Catches artifacts with other outputs than Keras computes, and heads for which there are none."""

import keras
import numpy as np
import onnxruntime
import pytest
import tensorflow as tf
from conftest import scramble
from keras import layers

import keras_resnet
from keras_resnet import UserError
from keras_resnet.export import pipeline
from keras_resnet.export.config import ExportConfig
from keras_resnet.export.fold.folding import fold
from keras_resnet.export.formats.tflite.metadata import read_metadata
from keras_resnet.export.outputs import scores_function, select_outputs
from keras_resnet.export.runtime import load_predictor
from keras_resnet.export.source_model.loading import load_source_model
from keras_resnet.export.source_model.output_layer import with_output_layer
from keras_resnet.metadata import ClassifierMetadata
from keras_resnet.preprocessing import Preprocessing
from keras_resnet.saving import write_classifier
from keras_resnet.training.data.splits import ArraySplit

ALL = ("probabilities", "features", "logits", "gradcam")
SIDE = 16


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    """A pre-activation classifier with scrambled norms: the fold carries its last feature maps with a factor and a shift."""
    path = tmp_path_factory.mktemp("source") / "model.keras"
    preprocessing = Preprocessing(SIDE, SIDE, 3, (0.5, 0.4, 0.3), (0.2, 0.3, 0.4))
    inputs = keras.Input((SIDE, SIDE, 3))
    model = scramble(keras_resnet.ResNet20V2(input_tensor=preprocessing.layer()(inputs), classes=4))
    write_classifier(model, path, ClassifierMetadata("ResNet20V2", "none", tuple("abcd"), preprocessing))
    return load_source_model(path), path


@pytest.fixture(scope="module")
def images():
    return np.random.default_rng(0).integers(0, 256, (20, SIDE, SIDE, 3)).astype(np.uint8)


def export(source, images, folder, **options):
    model, path = source
    config = ExportConfig(path, folder, **options)
    split = ArraySplit(images, np.arange(len(images)) % 4)
    return pipeline.export(config, model, images, split.labels, split)


@pytest.fixture(scope="module")
def exported(source, images, tmp_path_factory):
    formats = ("saved_model", "onnx")
    return export(source, images, tmp_path_factory.mktemp("out"), formats=formats, quantize=("none", "fp16"), output=ALL)


@pytest.fixture(scope="module")
def expected(source, images):
    """Computed layer by layer from the original network."""
    model = source[0].model
    maps, pooled, logits = (model.get_layer(name).output for name in ("head_relu", "head_pool", "head_dense"))
    probe = keras.Model(model.input, [model.output, pooled, logits, maps])
    probabilities, features, logits, maps = probe.predict(images.astype("float32"), verbose=0)
    kernel = np.asarray(model.get_layer("head_dense").kernel)
    cams = np.einsum("nhwc,cn->nhw", maps, kernel[:, logits.argmax(axis=1)]) / 16
    return {"probabilities": probabilities, "features": features, "logits": logits, "gradcam": np.maximum(cams, 0)}


@pytest.mark.parametrize("name", ["saved_model", "model.onnx"])
def test_every_output_is_what_keras_computes(name, exported, expected, images):
    assert not exported.failed
    predictor = load_predictor(exported.config.output_dir / name)
    outputs = predictor.run(images)
    assert set(outputs) == set(ALL)
    for output, values in outputs.items():
        assert expected[output].std() > 0
        np.testing.assert_allclose(values, expected[output], atol=1e-4 * np.abs(expected[output]).max(), err_msg=output)
    np.testing.assert_array_equal(predictor.probabilities(images), outputs["probabilities"])


def test_outputs_of_onnx_stand_in_the_order_in_which_they_were_asked_for(exported):
    session = onnxruntime.InferenceSession(exported.config.output_dir / "model.onnx")
    assert [output.name for output in session.get_outputs()] == list(ALL)


def test_who_classifies_by_a_saved_model_does_not_pay_for_maps(exported, images, expected):
    signatures = tf.saved_model.load(str(exported.config.output_dir / "saved_model")).signatures
    assert set(signatures["serving_default"].structured_outputs) == set(ALL) - {"gradcam"}
    maps = signatures["gradcam"](pixels=tf.constant(images))["gradcam"]
    np.testing.assert_allclose(maps, expected["gradcam"], atol=1e-4 * expected["gradcam"].max())


def test_a_difference_in_one_of_several_outputs_fails_and_is_named(exported):
    result = exported.results[0]
    result.max_differences["features"], kept = 1e9, result.max_differences["features"]
    assert [line.partition(",")[0] for line in result.failures] == ["differs by 1.0e+09 in its features"]
    result.max_differences["features"] = kept


def heads():
    """Classifiers that end as people's do, on (N, 6, 6, 3)."""
    inputs = keras.Input((6, 6, 3))
    maps = layers.Conv2D(5, 3, activation="relu")(inputs)
    pooled = layers.GlobalAveragePooling2D()(maps)
    kept = layers.GlobalAveragePooling2D(keepdims=True)(maps)
    return {
        "dense": (keras.Model(inputs, layers.Dense(4, activation="softmax")(layers.Dropout(0.5)(pooled))), 4),
        "1x1 convolution": (keras.Model(inputs, layers.Flatten()(layers.Conv2D(4, 1)(kept))), 4),
        "one logit": (keras.Model(inputs, layers.Dense(1, activation="sigmoid")(pooled)), 2),
    }


@pytest.mark.parametrize("name", list(heads()))
def test_grad_cam_is_the_gradient_of_the_logit_for_the_predicted_class(name, rng):
    model, classes = heads()[name]
    for weight in model.weights:
        weight.assign(rng.normal(size=weight.shape))
    images = tf.constant(rng.normal(size=(8, 6, 6, 3)), tf.float32)
    if name == "one logit":  # half of the images are of either class
        probability = np.median(model(images))
        model.layers[-1].bias.assign_sub([np.log(probability / (1 - probability))])
    classifier = with_output_layer("model.keras", model, classes).model
    convolution = next(layer for layer in model.layers if isinstance(layer, layers.Conv2D))
    probe = keras.Model(classifier.inputs[0], [convolution.output, classifier.layers[-1].input, classifier.outputs[0]])
    with tf.GradientTape() as tape:
        maps, logits, probabilities = probe(images)
        predicted = tf.argmax(probabilities, axis=1)
        margin = logits[:, 1] * tf.where(predicted == 1, 1.0, -1.0)
        chosen = margin if name == "one logit" else tf.gather(logits, predicted, batch_dims=1)
        gradient = tf.reduce_mean(tape.gradient(chosen, maps), axis=(1, 2), keepdims=True)
    expected = tf.nn.relu(tf.reduce_sum(maps * gradient, axis=-1))
    assert len(set(predicted.numpy())) > 1
    for network in (select_outputs(classifier, ["probabilities", "gradcam"]), fold(select_outputs(classifier, ["gradcam"]))):
        np.testing.assert_allclose(network(images)["gradcam"], expected, atol=1e-5)


def test_features_are_what_the_last_layer_reads_whatever_stands_around_it(rng):
    images = rng.normal(size=(3, 6, 6, 3)).astype("float32")
    for model, classes in heads().values():
        network = select_outputs(with_output_layer("model.keras", model, classes).model, ["features"])
        pooled = next(layer for layer in model.layers if isinstance(layer, layers.GlobalAveragePooling2D))
        values = keras.Model(model.inputs[0], pooled.output)(images)
        np.testing.assert_array_equal(network(images)["features"], np.reshape(values, (3, 5)))


def test_heads_without_features_or_grad_cam_are_refused_in_one_line():
    inputs = keras.Input((6, 6, 3))
    squeezenet = layers.GlobalAveragePooling2D()(layers.Conv2D(4, 1, name="classes")(inputs))
    hidden = layers.Dense(8, activation="relu")(layers.GlobalAveragePooling2D()(inputs))
    for outputs, name, message in (
        (squeezenet, "features", r"ends in classes on \(None, 6, 6, 3\): it has no features"),
        (layers.Dense(4)(hidden), "gradcam", "another head than a global average pooling and one dense layer"),
        (layers.Dense(4)(layers.Flatten()(inputs)), "gradcam", "another head"),
        (layers.Dense(4)(layers.GlobalMaxPooling2D()(inputs)), "gradcam", "another head"),
        (layers.Rescaling(0.5)(layers.Dense(4)(layers.GlobalAveragePooling2D()(inputs))), "gradcam", "another head"),
    ):
        model = with_output_layer("model.keras", keras.Model(inputs, outputs), 4).model
        with pytest.raises(UserError, match=message):
            select_outputs(model, ["probabilities", name])


def test_features_alone_are_judged_by_what_the_head_makes_of_them(source, images, tmp_path):
    report = export(source, images, tmp_path, formats=("tflite", "onnx"), quantize=("none", "int8"), output=("features",))
    assert not report.failed, report.verdict()
    for result in report.results:
        assert result.top1_agreement >= 0.8
    predictor = load_predictor(tmp_path / "model.tflite")
    with pytest.raises(UserError, match="gives features, which name no class"):
        predictor.probabilities(images)
    metadata = read_metadata((tmp_path / "model_int8.tflite").read_bytes())
    (output,) = metadata["subgraph_metadata"][0]["output_tensor_metadata"]
    assert output["name"] == "features"
    assert "associated_files" not in output, "class names for an embedding"


def test_features_with_maps_are_not_taken_for_probabilities(source, images, tmp_path):
    """predict ended in a traceback, and evaluate gave the accuracy of nothing."""
    export(source, images, tmp_path, formats=("onnx",), quantize=("none",), output=("features", "gradcam"))
    with pytest.raises(UserError, match="gives features, which name no class"):
        load_predictor(tmp_path / "model.onnx").probabilities(images)


def test_the_scores_of_features_are_those_of_the_network(source, images, expected):
    scores = scores_function(source[0].model, ["features"])
    np.testing.assert_allclose(scores({"features": expected["features"]}), expected["probabilities"], atol=1e-5)


@pytest.mark.parametrize("quantization", ["none", "int8"])
def test_a_tflite_file_with_two_outputs_describes_each(quantization, source, images, tmp_path, expected):
    outputs = ("probabilities", "features")
    report = export(source, images, tmp_path, formats=("tflite",), quantize=(quantization,), output=outputs)
    assert not report.failed, report.verdict()
    file = tmp_path / report.results[0].file
    found = load_predictor(file).run(images)
    for name in outputs:
        np.testing.assert_allclose(found[name], expected[name], atol=0.1 * expected[name].max())
    described = read_metadata(file.read_bytes())["subgraph_metadata"][0]["output_tensor_metadata"]
    assert [output["name"] for output in described] == ["probability", "features"], "in the order that was asked for"


@pytest.mark.parametrize(
    ("output", "message"),
    [
        (("gradcam",), "name another one before it, such as probabilities,gradcam"),
        (("probabilities", "probabilities"), "each is named once"),
        (("embedding",), "unknown output 'embedding'; the outputs are probabilities, logits, features, gradcam"),
        (("probabilities", "gradcam"), "TFLite files have no gradcam: leave it out of --output, or tflite out of --formats"),
    ],
)
def test_outputs_that_there_are_not_are_refused(output, message, tmp_path):
    with pytest.raises(UserError, match=message):
        ExportConfig(tmp_path / "model.keras", tmp_path / "out", output=output)
