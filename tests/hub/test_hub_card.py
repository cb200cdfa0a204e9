"""Catches an export that is not a valid repository of the hub, or that forgets whose weights it has."""

import json

import numpy as np
import onnx
import pytest

import keras_resnet
from keras_resnet import UserError
from keras_resnet.export import pipeline
from keras_resnet.export.config import ExportConfig
from keras_resnet.export.source_model.loading import load_source_model
from keras_resnet.hub.cards import front_matter, front_matter_texts
from keras_resnet.hub.licenses import HUB_LICENSES, hub_license, is_non_commercial
from keras_resnet.hub.repository import Repository
from keras_resnet.metadata import ClassifierMetadata, Origin
from keras_resnet.preprocessing import Preprocessing
from keras_resnet.saving import write_classifier

LABELS = ("a", "b: #", "ä")
ORIGIN = Origin("hf://timm/resnet18.fb_swsl_ig1b_ft_in1k", "0123456789" * 4, "resnet18", "cc-by-nc-4.0")


def exported(folder, origin, **options):
    """The folder of an export of a small network on random images, and the text of its card."""
    model = keras_resnet.ResNet20V2(input_shape=(8, 8, 1), classes=len(LABELS))
    preprocessing = Preprocessing(8, 8, 1, (0.5,), (0.5,))
    write_classifier(
        keras_resnet.to_stock(model),
        folder / "model.keras",
        ClassifierMetadata("ResNet20V2", "things", LABELS, preprocessing, origin),
    )
    rng = np.random.default_rng(0)
    images, labels = rng.integers(0, 256, (20, 8, 8, 1)).astype(np.uint8), rng.integers(0, len(LABELS), 20)
    config = ExportConfig(folder / "model.keras", folder / "out", ("onnx",), ("none",), **options)
    pipeline.export(config, load_source_model(config.model_path), images, labels)
    return config.output_dir, (config.output_dir / "README.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def export(tmp_path_factory):
    return exported(tmp_path_factory.mktemp("card"), ORIGIN)


def test_the_hubs_client_cannot_read_the_card_or_finds_something_else(export):
    hub = pytest.importorskip("huggingface_hub", reason="needs the extra [hub]")
    data = hub.ModelCard(export[1]).data
    assert (data.library_name, data.license, data.base_model) == (
        "keras-resnet-zoo",
        "cc-by-nc-4.0",
        "timm/resnet18.fb_swsl_ig1b_ft_in1k",
    )
    assert data.tags == ["image-classification", "keras", "resnet", "onnx"]
    assert data.pipeline_tag == "image-classification"
    accuracy = json.loads((export[0] / "report.json").read_text())["keras"]["accuracy"]
    assert [(each.dataset_name, each.metric_type, each.metric_value) for each in data.eval_results] == [
        ("things", "accuracy", pytest.approx(accuracy)),
        ("things", "accuracy", pytest.approx(accuracy)),
    ]


def test_the_files_of_an_export_forget_whose_weights_they_have(export):
    folder, card = export
    assert f"`{ORIGIN}`, resnet18: license cc-by-nc-4.0; it forbids commercial use" in card
    assert card.endswith("## License\n\ncc-by-nc-4.0\n")
    assert json.loads((folder / "report.json").read_text())["origin"]["commit"] == ORIGIN.commit
    properties = {each.key: each.value for each in onnx.load(folder / "model.onnx").metadata_props}
    assert properties["license"] == "cc-by-nc-4.0"


def test_a_license_of_ones_own_hides_that_of_the_weights(tmp_path):
    _, card = exported(tmp_path, ORIGIN, license="Our License 1.0")
    assert "\nlicense: other\nlicense_name: our-license-1.0\n" in card
    assert "license cc-by-nc-4.0; it forbids commercial use" in card
    assert card.endswith("## License\n\nOur License 1.0\n")


def test_without_an_origin_the_card_names_a_base_model_or_a_license(tmp_path):
    _, card = exported(tmp_path, None)
    head = card.split("---")[1]
    assert "base_model" not in head
    assert "license" not in head
    assert card.endswith("## License\n\nNot stated.\n")


ODD = {"text": "yes", "colon": "a: b", "hash": "a #b", "quote": 'it\'s "it"', "number": "1.0", "bracket": "[a]", "star": "*a"}


def test_front_matter_is_read_as_something_else():
    yaml = pytest.importorskip("yaml")
    entries = {**ODD, "list": ["a", {"b": [1, 2.5, "c"], "d": "on"}], "inner": {"x": {"y": "null"}}, "empty": [], "none": ""}
    text = front_matter(entries)
    assert (text[:4], text[-4:]) == ("---\n", "\n---")
    assert yaml.safe_load(text.strip("-")) == {key: value for key, value in entries.items() if value}


@pytest.mark.parametrize("license", ["mit\x1b[31m", "mit\r# Injected", "m" * 101])
def test_a_repositorys_license_is_injected_into_a_card(license, tmp_path):
    (tmp_path / "README.md").write_text(f"---\nlicense: other\nlicense_name: {license}\n---\n", newline="")
    with pytest.raises(UserError, match=r"README\.md: license is 'm.*; it must be one line of at most 100 characters"):
        _ = Repository("folder", None, tmp_path).license


def test_a_classifiers_license_is_injected_into_a_card():
    metadata = ClassifierMetadata("ResNet20V2", "", LABELS, Preprocessing(8, 8, 1, (0.5,), (0.5,)), ORIGIN)
    text = metadata.to_json()
    assert ClassifierMetadata.from_json(text) == metadata
    with pytest.raises(UserError, match=r"license is 'mit\\n# Injected'; it must be one line"):
        ClassifierMetadata.from_json(text.replace(ORIGIN.license, r"mit\n# Injected"))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("---\nlicense: apache-2.0\ntags:\n- a\n---\n", "apache-2.0"),
        ('---\r\nlicense: "cc-by-nc-4.0"  # of the weights\r\n---\r\n', "cc-by-nc-4.0"),
        ("# no front matter\nlicense: mit\n", None),
        ("---\nlicense: mit\n", None),
        ("---\nother:\n  license: mit\n---\n", None),
    ],
)
def test_the_license_of_a_card_is_not_found(text, expected, tmp_path):
    (tmp_path / "README.md").write_text(text, newline="")
    assert front_matter_texts(tmp_path / "README.md").get("license") == expected


def test_licenses_are_confused():
    assert [name for name in HUB_LICENSES if is_non_commercial(name)] == [name for name in HUB_LICENSES if "-nc" in name]
    assert is_non_commercial("CC BY-NC 4.0")
    assert is_non_commercial("fair-noncommercial-research-license")
    assert not is_non_commercial("ncsa")
    assert hub_license("Apache-2.0") == {"license": "apache-2.0"}
    assert hub_license("") == {}
    assert set(hub_license("CC BY 4.0").values()) <= {"cc-by-4.0", "other"}
