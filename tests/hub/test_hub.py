"""Catches weights of the hub that load as another network, lose what their repository says, or run what is in it."""

import json
import os
import sys
import time
import types

import numpy as np
import pytest
from conftest import assert_refused, keras_resnet_command
from hub_repositories import (
    CLASSES,
    PROCESSOR,
    TEST_SIZE,
    TIMM_CONFIG,
    TRANSFORMERS_CONFIG,
    changed,
    timm_logits,
    timm_repository,
    timm_weights,
    with_pretrained_cfg,
)
from hub_server import HubServer
from test_references import deterministic

import keras_resnet
from keras_resnet import UserError
from keras_resnet.hub import client, licenses, repository
from keras_resnet.metadata import ClassifierMetadata, Origin
from keras_resnet.preprocessing import Preprocessing
from keras_resnet.recorded import record_on

hub = types.SimpleNamespace(constants=pytest.importorskip("huggingface_hub.constants", reason="needs the extra [hub]"))

NAME, NC_NAME = "timm/resnet18.a1_in1k", "someone/resnet18-nc"
EXPECTED = Preprocessing(TEST_SIZE, TEST_SIZE, 3, (0.5, 0.25, 0.125), (0.1, 0.2, 0.4), 0.95, "bicubic")


@pytest.fixture(scope="module")
def weights():
    return timm_weights()


@pytest.fixture(scope="module")
def server(weights):
    server = HubServer()
    server.add(NAME, timm_repository(model__safetensors=weights))
    server.add(NC_NAME, timm_repository("cc-by-nc-4.0", model__safetensors=weights))
    yield server
    server.close()


def set_endpoint(server, monkeypatch):
    """As `HF_ENDPOINT` does, which the client reads when it is imported."""
    template = f"{server.endpoint}/{{repo_id}}/resolve/{{revision}}/{{filename}}"
    monkeypatch.setattr(hub.constants, "ENDPOINT", server.endpoint)
    monkeypatch.setattr(hub.constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)


@pytest.fixture
def cache(server, tmp_path, monkeypatch):
    """The client of this process asks the server, and has an empty cache."""
    set_endpoint(server, monkeypatch)
    monkeypatch.setattr(hub.constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(hub.constants, "HF_HUB_OFFLINE", False)
    repository.hub_repository.cache_clear()
    licenses.say_if_non_commercial.cache_clear()
    yield tmp_path / "cache"
    repository.hub_repository.cache_clear()


def assert_logits(model):
    shape, expected = timm_logits()
    images = deterministic.images(shape)
    found = np.asarray(model(images))
    np.testing.assert_allclose(found, expected, atol=1e-5 * np.abs(expected).max())


def test_a_network_of_the_hub_is_another_function_or_its_images_are_prepared_otherwise(cache, capfd):
    model = keras_resnet.from_pretrained(f"hf://{NAME}", classifier_activation=None, input_shape=(None, None, 3))
    assert_logits(model)
    assert model.name == "resnet18v1"
    assert keras_resnet.preprocessing_for(model) == EXPECTED
    assert capfd.readouterr().err == ""


def test_the_defaults_are_not_those_of_the_weights(cache):
    model = keras_resnet.from_pretrained(f"hf-hub:{NAME}")
    assert (model.input_shape, model.output_shape) == ((None, TEST_SIZE, TEST_SIZE, 3), (None, len(CLASSES)))
    assert model.layers[-1].activation.__name__ == "softmax"


def test_other_channels_have_no_rule(cache):
    model = keras_resnet.from_pretrained(f"hf://{NAME}", include_top=False, input_shape=(None, None, 1))
    expected = deterministic.tensor("conv1.weight", (64, 3, 7, 7)).transpose(2, 3, 1, 0).sum(axis=2, keepdims=True)
    np.testing.assert_allclose(model.get_layer("stem_conv").kernel, expected, atol=1e-6)
    assert keras_resnet.preprocessing_for(model).mean == pytest.approx((sum(EXPECTED.mean) / 3,))


@pytest.mark.parametrize(
    ("arguments", "shape"),
    [({"include_top": False, "pooling": "avg"}, (None, 512)), ({"classes": 5}, (None, 5))],
    ids=["no top", "another number of classes"],
)
def test_another_head_costs_the_body(arguments, shape, cache):
    model = keras_resnet.from_pretrained(f"hf://{NAME}", **arguments)
    assert model.output_shape == shape
    expected = deterministic.tensor("conv1.weight", (64, 3, 7, 7)).transpose(2, 3, 1, 0)
    np.testing.assert_array_equal(model.get_layer("stem_conv").kernel, expected)


def test_load_weights_and_constructors_do_not_take_a_repository(cache):
    model = keras_resnet.ResNet18V1(weights=f"hf://{NAME}", classes=len(CLASSES), classifier_activation=None)
    assert keras_resnet.preprocessing_for(model) == EXPECTED
    other = keras_resnet.ResNet18V1(classes=len(CLASSES), classifier_activation=None)
    assert keras_resnet.load_weights(other, f"hf-hub:{NAME}@main") is other
    assert_logits(
        keras_resnet.ResNet18V1(weights=f"hf://{NAME}", classes=3, input_shape=(None, None, 3), classifier_activation=None)
    )


def test_a_revision_is_not_pinned_or_the_commit_not_recorded(server, cache, weights):
    name = "someone/moving"
    first = server.add(name, timm_repository(model__safetensors=weights))
    config = json.dumps(with_pretrained_cfg(test_crop_pct=1.0)).encode()
    second = server.add(name, timm_repository(model__safetensors=weights, config__json=config))
    for given, commit, crop in ((f"hf://{name}@{first}", first, 0.95), (f"hf://{name}", second, 1.0)):
        model = keras_resnet.from_pretrained(given, include_top=False)
        assert record_on(model).origin == Origin(f"hf://{name}", commit, "resnet18", "apache-2.0")
        assert keras_resnet.preprocessing_for(model).crop_fraction == crop


def test_what_is_cached_is_asked_for_again_or_cannot_be_had_offline(server, cache, weights, monkeypatch):
    name = "someone/cached"
    commit = server.add(name, timm_repository(model__safetensors=weights))
    keras_resnet.from_pretrained(f"hf://{name}", include_top=False)
    repository.hub_repository.cache_clear()
    asked = len(server.requests)
    keras_resnet.from_pretrained(f"hf://{name}@{commit}", include_top=False)
    assert len(server.requests) == asked, "a commit never changes"
    repository.hub_repository.cache_clear()
    monkeypatch.setattr(hub.constants, "HF_HUB_OFFLINE", True)
    model = keras_resnet.from_pretrained(f"hf://{name}", include_top=False)
    assert record_on(model).origin.commit == commit
    assert len(server.requests) == asked


def test_a_server_that_has_gone_costs_what_is_cached(weights, tmp_path, cache, monkeypatch):
    gone = HubServer()
    gone.add(NAME, timm_repository(model__safetensors=weights))
    set_endpoint(gone, monkeypatch)
    monkeypatch.setattr(time, "sleep", lambda seconds: None)  # between the client's attempts
    keras_resnet.from_pretrained(f"hf://{NAME}", include_top=False)
    repository.hub_repository.cache_clear()
    gone.close()
    assert record_on(keras_resnet.from_pretrained(f"hf://{NAME}", include_top=False)).origin.license == "apache-2.0"
    repository.hub_repository.cache_clear()
    with pytest.raises(UserError, match=r"hf://a/b: config.json is not in the cache, and http://127.* cannot be asked"):
        keras_resnet.from_pretrained("hf://a/b")


def test_a_license_that_forbids_commercial_use_is_not_said_or_said_again(cache, capfd):
    for _ in range(2):
        model = keras_resnet.from_pretrained(f"hf://{NC_NAME}", include_top=False)
    line = f"keras-resnet: hf://{NC_NAME} has the license cc-by-nc-4.0, which forbids commercial use\n"
    assert capfd.readouterr().err == line
    assert record_on(model).origin.license == "cc-by-nc-4.0"


def test_the_origin_is_lost_in_a_classifier_or_a_file(server, cache, tmp_path):
    model = keras_resnet.from_pretrained(f"hf://{NC_NAME}")
    keras_resnet.save_classifier(model, tmp_path / "classifier.keras", CLASSES)
    origin = Origin(f"hf://{NC_NAME}", server.commit(NC_NAME), "resnet18", "cc-by-nc-4.0")
    assert ClassifierMetadata.read_from(tmp_path / "classifier.keras").origin == origin
    model.save(tmp_path / "network.keras")
    for file in ("classifier.keras", "network.keras"):
        copy = keras_resnet.ResNet18V1(classes=len(CLASSES))
        keras_resnet.load_weights(copy, tmp_path / file)
        assert record_on(copy).origin == origin
        assert keras_resnet.preprocessing_for(copy) == EXPECTED


REFUSED = {
    "nowhere": ("hf://nobody/nothing", ["there is no repository nobody/nothing", "hf auth login"]),
    "gated": ("hf://closed/resnet18", ["hf://closed/resnet18 is gated", "accept its terms at http://127.0.0.1"]),
    "revision": (f"hf://{NAME}@v9", ["has no revision 'v9'"]),
    "no owner": ("hf://resnet18", ["hf://resnet18 is not the name of a repository", "hf://timm/resnet50d.ra2_in1k"]),
    "pickle": ("hf://someone/pickle", ["has no model.safetensors, only pytorch_model.bin", "may hold code"]),
    "empty": ("hf://someone/empty", ["config.json is missing"]),
    "unknown": ("hf://someone/unknown", ["timm's architecture 'vit_base_patch16_224' is not a network of this zoo"]),
    "refused": ("hf://someone/evos", ["timm's resnetv2_50d_evos is not a network of this zoo: its normalization is EvoNorm"]),
    "lies": (
        "hf://someone/liar",
        ["config.json says resnet34 (ResNet34V1) with 3 classes", "its weights are those of ResNet18V1", "missing"],
    ),
    "classes": ("hf://someone/classes", ["config.json says 4 classes, and", "has a classifier of 3"]),
}


@pytest.fixture(scope="module")
def bad(server, weights):
    config = {name: json.dumps(value).encode() for name, value in {
        "unknown": changed(TIMM_CONFIG, architecture="vit_base_patch16_224"),
        "evos": changed(TIMM_CONFIG, architecture="resnetv2_50d_evos"),
        "liar": changed(TIMM_CONFIG, architecture="resnet34"),
        "classes": changed(TIMM_CONFIG, num_classes=4, label_names=None),
    }.items()}  # fmt: skip
    for name, content in config.items():
        server.add(f"someone/{name}", timm_repository(config__json=content, model__safetensors=weights))
    server.add("someone/pickle", timm_repository())
    server.add("someone/empty", {"README.md": b"# nothing"})
    server.add("closed/resnet18", timm_repository(model__safetensors=weights))
    server.gated.add("closed/resnet18")


@pytest.mark.parametrize("case", REFUSED)
def test_a_bad_repository_is_loaded_or_gives_more_than_a_line(case, bad, cache):
    given, parts = REFUSED[case]
    with pytest.raises(UserError) as error:
        keras_resnet.from_pretrained(given, input_shape=(None, None, 3))
    for part in parts:
        assert part in str(error.value)


def test_a_pickle_is_fetched(bad, server, cache):
    with pytest.raises(UserError):
        keras_resnet.from_pretrained("hf://someone/pickle")
    assert not list(cache.rglob("*.bin"))


def test_the_client_is_missing_without_a_word_about_the_extra(cache, monkeypatch):
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(UserError, match=r"needs `pip install keras-resnet-zoo\[hub\]`"):
        client.client(repository.parse_hub_name(f"hf://{NAME}"))


def test_a_folder_is_not_taken_or_a_name_of_this_package(tmp_path, weights):
    for name, content in timm_repository(model__safetensors=weights).items():
        (tmp_path / name).write_bytes(content)
    model = keras_resnet.from_pretrained(tmp_path, classifier_activation=None, input_shape=(None, None, 3))
    assert_logits(model)
    assert record_on(model).origin == Origin(str(tmp_path), "", "resnet18", "apache-2.0")
    digits = keras_resnet.from_pretrained("ResNet20V2/digits")
    assert (digits.input_shape, digits.output_shape) == ((None, 8, 8, 1), (None, 10))
    with pytest.raises(UserError, match=r"nothing/here is not known: it is a repository such as hf://timm/"):
        keras_resnet.from_pretrained("nothing/here")


def command_environment(server, cache, monkeypatch):
    monkeypatch.setenv("HF_ENDPOINT", server.endpoint)
    monkeypatch.setenv("HF_HUB_CACHE", str(cache))
    monkeypatch.setenv("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)


def test_import_needs_a_model_or_loses_what_the_repository_says(server, cache, tmp_path, monkeypatch):
    """In a process of its own, as a user has it: the client reads its environment when it is imported."""
    command_environment(server, cache, monkeypatch)
    output = tmp_path / "resnet18.keras"
    done = keras_resnet_command("import", f"--weights=hf://{NC_NAME}", f"--output_path={output}")
    assert done.returncode == 0, done.err
    assert done.err == f"keras-resnet: hf://{NC_NAME} has the license cc-by-nc-4.0, which forbids commercial use\n"
    commit = server.commit(NC_NAME)
    assert f"ResNet18V1 from hf://{NC_NAME}@{commit}, license: cc-by-nc-4.0" in done.out
    metadata = ClassifierMetadata.read_from(output)
    assert metadata.labels == CLASSES
    assert metadata.preprocessing == EXPECTED
    assert metadata.origin == Origin(f"hf://{NC_NAME}", commit, "resnet18", "cc-by-nc-4.0")


def test_import_of_a_bad_repository_loads_tensorflow_or_writes_a_file(bad, server, cache, tmp_path, in_process):
    for case in ("nowhere", "pickle", "unknown"):
        given, parts = REFUSED[case]
        done = in_process("import", f"--weights={given}", f"--output_path={tmp_path / 'x.keras'}")
        assert_refused(done, *parts)
    assert_refused(
        in_process("import", "--model=ResNet50V1_5", f"--weights=hf://{NAME}", f"--output_path={tmp_path / 'x.keras'}"),
        f"hf://{NAME} does not fit ResNet50V1_5: its config.json says resnet18, which is ResNet18V1",
    )
    assert_refused(
        in_process("import", f"--weights={tmp_path}/x.pth", f"--output_path={tmp_path / 'x.keras'}"), "import needs --model"
    )
    assert not (tmp_path / "x.keras").exists()


def test_a_training_does_not_begin_with_the_weights_of_the_hub_or_forgets_whose_they_are(server, cache, tmp_path, in_process):
    done = in_process(
        "train", "--model=ResNet18V1", f"--weights=hf://{NC_NAME}", "--skip_head", "--dataset=digits", "--image_size=32",
        "--epochs=1", "--batch_size=256", "--freeze=stem,stage1,stage2,stage3,stage4", "--norm_layers=frozen",
        f"--workdir={tmp_path / 'run'}",
    )  # fmt: skip
    assert done.returncode == 0, done.err
    metadata = ClassifierMetadata.read_from(tmp_path / "run" / "model.keras")
    assert metadata.origin == Origin(f"hf://{NC_NAME}", server.commit(NC_NAME), "resnet18", "cc-by-nc-4.0")
    assert metadata.preprocessing.mean == EXPECTED.mean


def test_transformers_repository_is_read_as_another_network(server, cache):
    config, processor = (json.dumps(value).encode() for value in (TRANSFORMERS_CONFIG, PROCESSOR))
    server.add("microsoft/resnet-50", {"config.json": config, "preprocessor_config.json": processor})
    found = repository.find_repository("hf://microsoft/resnet-50")
    assert found.network.class_names == CLASSES
    assert found.network.preprocessing == Preprocessing(
        224, 224, 3, (0.485, 0.456, 0.406), (0.229, 0.224, 0.225), 0.875, "bicubic", crop_rounding="down"
    )


def test_a_name_of_the_hub_is_taken_for_a_path_of_a_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    os.makedirs("timm/resnet18")
    assert repository.find_repository("timm/resnet18") is None
