"""Catches groups that an export loses or takes apart, that are slow in its runtime, or quantized along a wrong axis."""

import keras
import numpy as np
import onnx
import pytest
import tensorflow as tf
from ai_edge_litert.interpreter import Interpreter

from keras_resnet._litert_internals import operator_names, parse_model
from keras_resnet.export import pipeline
from keras_resnet.export.config import ExportConfig
from keras_resnet.export.runtime import load_predictor
from keras_resnet.export.source_model.loading import load_source_model
from keras_resnet.metadata import ClassifierMetadata
from keras_resnet.models import builder, variants
from keras_resnet.models.options import ModelOptions
from keras_resnet.preprocessing import Preprocessing
from keras_resnet.saving import write_classifier
from keras_resnet.training.data.splits import ArraySplit

GROUPS, FILTERS = 8, (16, 32, 64, 128)  # of the 3x3 convolutions of the four stages
CONVOLUTIONS = 1 + 4 * 3 + 4  # the stem's, the units', and the shortcuts'
FORMATS = ("saved_model", "tflite", "onnx")
QUANTIZATIONS = ("none", "fp16", "int8_dynamic", "int8")


@pytest.fixture(scope="module")
def exports(tmp_path_factory):
    """The folder with the exports of a narrow and shallow ResNeXt, which has learned what color is brighter."""
    keras.utils.set_random_seed(1)
    folder, preprocessing = tmp_path_factory.mktemp("groups"), Preprocessing(32, 32, 3, (0.5,) * 3, (0.25,) * 3)
    inputs = keras.Input((32, 32, 3))
    model = builder.build(
        variants.V15(14, "bottleneck", groups=GROUPS, group_width=4),
        ModelOptions(width_multiplier=0.5),
        include_top=True,
        pooling=None,
        classes=3,
        classifier_activation="softmax",
        input_tensor=preprocessing.layer()(inputs),
        input_shape=None,
        name="narrow",
    )
    generator = np.random.default_rng(0)
    labels = generator.integers(0, 3, 96)
    images = generator.normal(100, 30, (96, 32, 32, 3))
    images[np.arange(96), ..., labels] += 60
    images = images.clip(0, 255).astype(np.uint8)
    model.compile(keras.optimizers.SGD(0.02, momentum=0.9), "sparse_categorical_crossentropy")
    model.fit(images.astype("float32"), labels, epochs=16, batch_size=32, verbose=0)
    path = folder / "model.keras"
    write_classifier(model, path, ClassifierMetadata("narrow", "none", tuple("abc"), preprocessing))
    config = ExportConfig(path, folder / "exports", FORMATS, QUANTIZATIONS)
    split = ArraySplit(images, labels)
    report = pipeline.export(config, load_source_model(path), images[:64], labels[:64], split)
    assert not report.failed, [(result.name, result.failures) for result in report.failed]
    assert report.results[0].accuracy > 0.9
    return config.output_dir


def test_a_classifiers_file_has_keras_own_layer(exports):
    model = keras.saving.load_model(exports.parent / "model.keras")
    grouped = [layer for layer in model.layers if getattr(layer, "groups", 1) > 1]
    assert {type(layer) for layer in grouped} == {keras.layers.Conv2D}
    assert [layer.groups for layer in grouped] == [GROUPS] * 4
    assert tuple(layer.filters for layer in grouped) == FILTERS


@pytest.mark.parametrize("quantization", ["", "_fp16", "_int8_dynamic", "_int8"])
def test_tflite_has_one_convolution_for_all_groups_and_xnnpack_takes_it(quantization, exports):
    """What XNNPACK leaves is the cast of the pixels alone, in int8 their QUANTIZE."""
    path = exports / f"model{quantization}.tflite"
    names = operator_names(parse_model(path.read_bytes()))
    assert names.count("CONV_2D") == CONVOLUTIONS
    assert not {"SPLIT", "SPLIT_V", "CONCATENATION", "STRIDED_SLICE"} & {*names}
    found = load_predictor(path).inspect()
    assert found.partitions == 1
    assert found.undelegated_ops == ({"QUANTIZE": 1} if quantization == "_int8" else {"CAST": 1})


def test_tflites_int8_kernels_have_a_scale_for_each_filter(exports):
    details = Interpreter(str(exports / "model_int8.tflite")).get_tensor_details()
    kernels = {tuple(each["shape"]): each["quantization_parameters"] for each in details if each["dtype"] == np.int8}
    for filters in FILTERS:
        scales = kernels[filters, 3, 3, filters // GROUPS]
        assert scales["quantized_dimension"] == 0
        assert len(scales["scales"]) == filters


@pytest.mark.parametrize("quantization", ["", "_fp16", "_int8"])
def test_onnx_has_one_conv_for_all_groups(quantization, exports):
    nodes = onnx.load(exports / f"model{quantization}.onnx").graph.node
    assert not {"Split", "Concat", "Slice"} & {node.op_type for node in nodes}
    groups = [attribute.i for node in nodes for attribute in node.attribute if attribute.name == "group"]
    assert sorted(group for group in groups if group > 1) == [GROUPS] * 4
    assert [node.op_type for node in nodes].count("Conv") == CONVOLUTIONS


def test_the_saved_model_runs_where_xla_does_not(exports):
    graph = tf.saved_model.load(exports / "saved_model").signatures["serving_default"].graph.as_graph_def()
    assert not any(function.attr["_XlaMustCompile"].b for function in graph.library.function)
    operations = [node.op for nodes in (graph.node, *(f.node_def for f in graph.library.function)) for node in nodes]
    assert operations.count("Conv2D") == CONVOLUTIONS
