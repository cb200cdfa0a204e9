"""Catches a `.tflite` file that MediaPipe opens in another sense than this package, and metadata that damage the model."""

import dataclasses
import importlib.util
import io
import json
import subprocess
import sys
import tarfile
import types
import zipfile
from pathlib import Path

import keras
import numpy as np
import pytest
from conftest import ROOT, only, scramble

import keras_resnet
from keras_resnet import UserError
from keras_resnet._litert_internals import parse_model, schema, serialize_model
from keras_resnet.environment import quiet_stderr
from keras_resnet.export.formats.labels import LABELS_FILE
from keras_resnet.export.formats.tflite.conversion import convert
from keras_resnet.export.formats.tflite.format import TFLITE
from keras_resnet.export.formats.tflite.metadata import read_metadata, with_metadata
from keras_resnet.export.formats.tflite.quantizer import QUANTIZATIONS, TFLiteQuantizer
from keras_resnet.export.outputs import serving_function
from keras_resnet.metadata import MEMBER, ClassifierMetadata
from keras_resnet.preprocessing import Preprocessing
from keras_resnet.saving import load_model, write_classifier

SHARED = ROOT.parent / "shared" / "data"
WORDS = {"description": "tells things apart", "license": "theirs"}


def made_up(path):
    """A network with scrambled norms, not square, and colored noise, to which it gives all of its labels, none by a hair."""
    keras.utils.set_random_seed(0)
    generator, preprocessing = np.random.default_rng(5), Preprocessing(16, 24, 3, (0.5, 0.4, 0.3), (0.2, 0.3, 0.4))
    network = keras_resnet.ResNet20V1(input_tensor=preprocessing.layer()(keras.Input((16, 24, 3))), classes=3)
    images = generator.integers(0, 192, (80, 1, 1, 3)) + generator.integers(0, 64, (80, 16, 24, 3))
    probabilities = scramble(network).predict(images.astype("float32"), verbose=0)
    network.layers[-2].bias.assign_sub(np.log(probabilities).mean(axis=0))
    *_, second, best = np.sort(network.predict(images.astype("float32"), verbose=0), axis=1).T
    images = images[np.argsort(second - best)[:40]]
    write_classifier(network, path, ClassifierMetadata("ResNet20V1", "none", ("ä", "b c", "中"), preprocessing))
    return images.astype(np.uint8)


def cifar10(path):
    """akamaster's published ResNet-20, and 5 test images of each class."""
    weights, archive = SHARED / "resnet20-cifar10-12fca82f.th", SHARED / "cifar10_jpeg.tar.xz"
    if not (weights.is_file() and archive.is_file()):
        pytest.skip("needs CIFAR-10's images and akamaster's weights, in ../shared/data")
    pytest.importorskip("torch", reason="reads the weights")
    network, images = keras_resnet.load_weights(keras_resnet.ResNet20V1(), weights), {}
    preprocessing = keras_resnet.preprocessing_for(network)
    with tarfile.open(archive, "r|xz") as members:
        for member in members:
            split, _, rest = member.name.partition("/")
            found = images.setdefault(rest.partition("/")[0], []) if split == "test" and member.isfile() else None
            if found is not None and len(found) < 5:
                found.append(preprocessing.load_image(members.extractfile(member)))
    keras_resnet.save_classifier(network, path, sorted(images))
    return np.concatenate([images[label] for label in sorted(images)])


def converted(model, folder, dtype="uint8"):
    archive = keras.export.ExportArchive()
    archive.track(model)
    archive.add_endpoint("serve", serving_function(model, "probabilities", dtype=dtype))
    with quiet_stderr():
        archive.write_out(str(folder), verbose=False)
        return convert(folder)


@pytest.fixture(scope="module", params=[made_up, cifar10], ids=lambda maker: maker.__name__)
def net(request, tmp_path_factory):
    """A classifier with images of its size, its `.tflite` file, and the same without metadata: `bare`."""
    folder = tmp_path_factory.mktemp(request.param.__name__)
    images = request.param(folder / "model.keras")
    model, metadata = load_model(folder / "model.keras"), ClassifierMetadata.read_from(folder / "model.keras")
    return with_file(converted(model, folder / "saved_model"), metadata, folder, model=model, images=images)


@pytest.fixture(scope="module")
def int8(net, tmp_path_factory):
    """The same in whole numbers inside, with uint8 pixels at the edge."""
    folder = tmp_path_factory.mktemp("int8")
    content = converted(net.model, folder / "saved_model", "float32")
    return with_file(TFLiteQuantizer(content, "int8", net.images).quantize(), net.metadata, folder)


def with_file(bare, metadata, folder, **more):
    path = folder / "model.tflite"
    path.write_bytes(with_metadata(bare, metadata, **WORDS))
    return types.SimpleNamespace(bare=bare, metadata=metadata, path=path, content=path.read_bytes(), **more)


# A classifier that has failed waits for ever in closing. TensorFlow is loaded, in seconds, where it is found.
MEDIAPIPE = """
import json, os, sys
sys.modules["tensorflow"] = None
try:
    import mediapipe, numpy
    from mediapipe.tasks.python import vision
    classifier = vision.ImageClassifier.create_from_model_path(sys.argv[1])
    images = [mediapipe.Image(mediapipe.ImageFormat.SRGB, image) for image in numpy.load(sys.argv[2])]
    answers = [classifier.classify(image).classifications[0] for image in images]
    print(json.dumps([{each.category_name: each.score for each in answer.categories} for answer in answers]), flush=True)
except Exception as error:
    print(type(error).__name__, error, file=sys.stderr, flush=True)
    os._exit(1)
os._exit(0)
"""


def mediapipe_wheel():
    spec = importlib.util.find_spec("mediapipe")
    if spec is None:
        pytest.skip("needs mediapipe: pip install keras-resnet-zoo[mediapipe]")
    return Path(spec.submodule_search_locations[0])


@pytest.fixture
def mediapipe(tmp_path):
    """MediaPipe's `ImageClassifier` in a process of its own: each image's scores by label, best first, or its message."""
    mediapipe_wheel()

    def classify(path, images):
        np.save(tmp_path / "images.npy", images)
        command = [sys.executable, "-P", "-c", MEDIAPIPE, str(path), str(tmp_path / "images.npy")]
        done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
        if "cannot open shared object file" in done.stderr:
            pytest.skip(f"needs apt-get install libgles2 libegl1 libgl1: {done.stderr.splitlines()[-1]}")
        return json.loads(done.stdout) if done.returncode == 0 else done.stderr.splitlines()[-1]

    return classify


def table(answers, labels):
    """The scores as an array, (N, classes)."""
    return np.array([[answer[label] for label in labels] for answer in answers])


def googles_reading(content):
    """The metadata by the code that flatc made of the schema, in MediaPipe's wheel: the module and a `ModelMetadataT`."""
    file = mediapipe_wheel() / "tasks" / "metadata" / "metadata_schema_py_generated.py"
    spec = importlib.util.spec_from_file_location("metadata_schema_py_generated", file)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    model = schema.ModelT.InitFromPackedBuf(content, 0)
    (place,) = (entry.buffer for entry in model.metadata if entry.name == b"TFLITE_METADATA")
    buffer = bytes(model.buffers[place].data)
    assert module.ModelMetadata.ModelMetadataBufferHasIdentifier(buffer, 0)
    return module, module.ModelMetadataT.InitFromPackedBuf(buffer, 0)


def test_a_field_lies_where_only_our_own_reader_finds_it(net):
    module, found = googles_reading(net.content)
    assert (found.name, found.version) == (net.metadata.model.encode(), keras_resnet.__version__.encode())
    assert (found.description, found.license) == (b"tells things apart", b"theirs")
    assert (found.author, found.minParserVersion) == (None, b"1.0.0")
    (graph,) = found.subgraphMetadata
    (given,), (taken,) = graph.inputTensorMetadata, graph.outputTensorMetadata
    height, width, _ = net.metadata.preprocessing.shape
    assert given.name == b"image"
    assert given.content.contentProperties.colorSpace == module.ColorSpaceType.RGB
    size = given.content.contentProperties.defaultSize
    assert (size.width, size.height) == (width, height)
    (unit,) = given.processUnits
    assert (*unit.options.mean, *unit.options.std) == (0, 0, 0, 1, 1, 1)
    assert (*given.stats.min, *given.stats.max) == (0, 0, 0, 255, 255, 255)
    assert taken.name == b"probability"
    assert taken.content.contentPropertiesType == module.ContentProperties.FeatureProperties
    assert (*taken.stats.min, *taken.stats.max) == (0, 1)
    (file,) = taken.associatedFiles
    assert (file.name, file.type) == (b"labels.txt", module.AssociatedFileType.TENSOR_AXIS_LABELS)


def test_our_own_reader_misses_something(net):
    record = read_metadata(net.content)
    assert (record["description"], record["license"]) == ("tells things apart", "theirs")
    (graph,) = record["subgraph_metadata"]
    (given,), (taken,) = graph["input_tensor_metadata"], graph["output_tensor_metadata"]
    height, width, _ = net.metadata.preprocessing.shape
    assert given["content"]["content_properties"] == {
        "ImageProperties": {"color_space": "RGB", "default_size": {"width": width, "height": height}}
    }
    assert given["process_units"] == [{"options": {"NormalizationOptions": {"mean": [0, 0, 0], "std": [1, 1, 1]}}}]
    assert given["stats"] == {"max": [255, 255, 255], "min": [0, 0, 0]}
    assert taken["associated_files"][0]["type"] == "TENSOR_AXIS_LABELS"
    assert taken["content"] == {"content_properties": {"FeatureProperties": {}}}
    assert read_metadata(net.bare) is None


def test_words_that_nobody_gave_are_made_up(net):
    record = read_metadata(with_metadata(net.bare, net.metadata, description="", license=""))
    assert not {"description", "license", "author"} & record.keys()


def test_logits_are_called_probabilities(net):
    model = parse_model(net.bare)
    model.signatureDefs[0].outputs[0].name = b"logits"
    record = read_metadata(with_metadata(serialize_model(model), net.metadata, **WORDS))
    (taken,) = record["subgraph_metadata"][0]["output_tensor_metadata"]
    assert taken["name"] == "logit"
    assert "stats" not in taken


def test_the_archive_is_not_what_mediapipe_and_our_reader_need(net):
    assert ClassifierMetadata.read_from(net.path) == net.metadata
    with zipfile.ZipFile(net.path) as archive:
        assert archive.namelist() == [LABELS_FILE, MEMBER]
        assert archive.read(LABELS_FILE).decode() == "".join(f"{label}\n" for label in net.metadata.labels)
        for member in archive.infolist():
            assert member.compress_type == zipfile.ZIP_STORED, "MediaPipe: Expected uncompressed zip archive."
            assert member.date_time == (1980, 1, 1, 0, 0, 0), "the same export twice is not the same file"


def test_metadata_or_archives_pile_up(net):
    assert with_metadata(net.content, net.metadata, **WORDS) == net.content
    renamed = dataclasses.replace(net.metadata, labels=tuple(f"new {label}" for label in net.metadata.labels))
    again = with_metadata(net.content, renamed, description="changed", license="")
    assert read_metadata(again)["description"] == "changed"
    names = [entry.name for entry in schema.ModelT.InitFromPackedBuf(again, 0).metadata]
    assert sorted(names) == [b"CONVERSION_METADATA", b"TFLITE_METADATA", b"min_runtime_version"]
    with zipfile.ZipFile(io.BytesIO(again)) as archive:
        assert archive.namelist() == [LABELS_FILE, MEMBER]
        assert archive.read(LABELS_FILE).startswith(b"new ")


@pytest.mark.parametrize("name", ["net", "int8"])
def test_the_model_or_the_converters_own_metadata_are_damaged(name, net, int8):
    """Catches a lost identifier, and lost weights: litert-quantizer's lie after the flatbuffer, where the archive goes."""
    file = {"net": net, "int8": int8}[name]
    old, new = (schema.ModelT.InitFromPackedBuf(content, 0) for content in (file.bare, file.content))
    assert file.content[4:8] == b"TFL3"
    np.testing.assert_array_equal(only(TFLITE.run(file.content, net.images)), only(TFLITE.run(file.bare, net.images)))
    kept = {entry.name: new.buffers[entry.buffer].data.tobytes() for entry in new.metadata}
    assert len(old.metadata) == 2
    assert all(kept[entry.name] == old.buffers[entry.buffer].data.tobytes() for entry in old.metadata)
    assert any(buffer.offset for buffer in old.buffers) == (name == "int8")
    assert not any(buffer.offset for buffer in new.buffers)


def test_weights_do_not_begin_where_the_schema_wants_them(int8):
    model = schema.Model.GetRootAs(int8.content, 0)
    buffers = [model.Buffers(index) for index in range(model.BuffersLength())]
    places = [buffer._tab.Vector(buffer._tab.Offset(4)) for buffer in buffers if not buffer.DataIsNone()]
    assert places
    assert not any(place % 16 for place in places)


@pytest.mark.parametrize("label", ["two\nlines", ""])
def test_a_label_moves_those_after_it_by_a_line(label, net):
    metadata = dataclasses.replace(net.metadata, labels=(label, *net.metadata.labels[1:]))
    with pytest.raises(UserError, match=r"a label is .*, which is not one line of labels\.txt"):
        with_metadata(net.bare, metadata, **WORDS)


def test_mediapipe_does_not_open_the_file_or_answers_otherwise_than_keras(net, mediapipe):
    expected = net.model.predict(net.images.astype("float32"), verbose=0)
    answers = mediapipe(net.path, net.images)
    assert [next(iter(answer)) for answer in answers] == [net.metadata.labels[best] for best in expected.argmax(axis=1)]
    np.testing.assert_allclose(table(answers, net.metadata.labels), expected, atol=1e-5)


def test_mediapipe_does_not_open_whole_numbers_or_answers_otherwise_than_keras(net, int8, mediapipe):
    """It hands over the pixels as they are, whatever the input's scale: with another than 1, dark images are not dark."""
    graph = parse_model(int8.content).subgraphs[0]
    pixels = graph.tensors[graph.inputs[0]]
    assert (pixels.type, *pixels.quantization.scale, *pixels.quantization.zeroPoint) == (schema.TensorType.UINT8, 1, 0)
    assert_alike(int8, np.concatenate([net.images, net.images // 2]), net.model, mediapipe)


@pytest.mark.parametrize("quantization", [name for name in QUANTIZATIONS if name != "int8"])
def test_mediapipe_does_not_open_what_is_float_at_the_edge(quantization, net, mediapipe, tmp_path):
    quantized = TFLiteQuantizer(net.bare, quantization, net.images).quantize()
    assert_alike(with_file(quantized, net.metadata, tmp_path), net.images, net.model, mediapipe)


def assert_alike(file, images, model, mediapipe):
    """MediaPipe gives exactly what LiteRT does, and except for the quantization what Keras does."""
    scores = table(mediapipe(file.path, images), file.metadata.labels)
    np.testing.assert_allclose(scores, only(TFLITE.run(file.content, images)), atol=1e-6)
    expected = model.predict(images.astype("float32"), verbose=0)
    assert np.mean(scores.argmax(axis=1) == expected.argmax(axis=1)) >= 0.95
    assert np.abs(scores - expected).mean() < 0.02


def test_the_readme_is_wrong_about_gray_networks(mediapipe, tmp_path):
    preprocessing = Preprocessing(8, 8, 1, (0.5,), (0.5,))
    model = keras_resnet.ResNet20V1(input_tensor=preprocessing.layer()(keras.Input((8, 8, 1))), classes=2)
    metadata = ClassifierMetadata("ResNet20V1", "none", ("a", "b"), preprocessing)
    file = with_file(converted(model, tmp_path / "saved_model"), metadata, tmp_path)
    (given,) = read_metadata(file.content)["subgraph_metadata"][0]["input_tensor_metadata"]
    assert given["content"]["content_properties"]["ImageProperties"]["color_space"] == "GRAYSCALE"
    message = mediapipe(file.path, np.zeros((1, 8, 8, 3), np.uint8))
    assert message == "ValueError Only RGB color space is supported for now."
