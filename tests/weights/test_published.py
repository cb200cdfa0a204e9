"""Catches a table of everyone's weights that is not true, or cannot be asked."""

import csv
import importlib.util
import os
import subprocess
import sys

import pytest
from conftest import ROOT

import keras_resnet
from keras_resnet import UserError
from keras_resnet.hub.licenses import is_non_commercial
from keras_resnet.hub.names import is_hub_name, parse_hub_name
from keras_resnet.models.variants import VARIANTS
from keras_resnet.weights.architectures import TIMM_REFUSED, TORCHVISION_ARCHITECTURES, model_of_timm
from keras_resnet.weights.checkpoint_formats import TORCHVISION_V2
from keras_resnet.weights.published import entries, table

ALL = keras_resnet.list_pretrained("*")


def of(source):
    return [entry for entry in ALL if entry.source == source]


def names(pattern):
    return [entry.name for entry in keras_resnet.list_pretrained(pattern)]


def test_all_sources_are_there_with_all_that_they_have():
    """Catches a table made by a script that skipped something; timm's 174 are the issue's."""
    counts = {source: len(of(source)) for source in dict.fromkeys(entry.source for entry in ALL)}
    assert counts == {
        "keras_resnet": len(keras_resnet.list_pretrained()), "timm": 174, "torchvision": 17, "KerasHub": 16,
        "keras.applications": 6, "transformers": 7, "BiT": 22, "TF-Slim": 6, "Model Garden": 13,
    }  # fmt: skip
    assert sum(bool(entry.model) for entry in of("timm")) >= 150


def test_no_weights_are_listed_twice():
    pairs = [(entry.source, entry.name, entry.architecture) for entry in ALL]
    assert len(set(pairs)) == len(pairs)


@pytest.mark.parametrize("entry", ALL, ids=lambda entry: f"{entry.name}-{entry.architecture}")
def test_every_entry_has_a_network_or_a_reason_and_possible_numbers(entry):
    assert entry.model in VARIANTS if entry.model else entry.refused
    assert not (entry.model and entry.refused)
    assert 8 <= entry.input_shape[0] == entry.input_shape[1] <= 480
    assert 0 <= entry.classes <= 21843
    if entry.top1 is not None:
        assert 40 < entry.top1 < (entry.top5 or 100) <= 100
        assert entry.reference
    else:
        assert entry.top5 is None
        assert not entry.reference


@pytest.mark.parametrize("entry", of("timm"), ids=lambda entry: entry.name)
def test_timms_networks_are_those_that_its_config_json_is_read_as(entry):
    """Catches a table that another version of `architectures` wrote."""
    if entry.refused:
        assert entry.refused == TIMM_REFUSED[entry.architecture]
    else:
        assert entry.model == model_of_timm(entry.architecture)
    assert parse_hub_name(entry.name).repo.startswith(f"timm/{entry.architecture}.")


def test_torchvisions_files_are_those_that_are_recognized():
    for entry in of("torchvision"):
        assert entry.model == TORCHVISION_ARCHITECTURES[entry.architecture]
    second = [entry.name for entry in of("torchvision") if entry.name.rpartition("-")[2].startswith(TORCHVISION_V2)]
    assert len(second) == len(TORCHVISION_V2)


def test_licenses_that_forbid_commercial_use_are_there():
    """Catches a license that is lost: Facebook's semi- and weakly supervised ones are for research."""
    forbidding = [entry.name for entry in ALL if is_non_commercial(entry.license)]
    assert forbidding == [entry.name for entry in of("timm") if ".fb_" in entry.name]
    assert len(forbidding) == 15


def test_known_facts():
    """Catches columns that were mixed up: read by a person from the pages that the references name."""
    (entry,) = keras_resnet.list_pretrained("resnet50d.ra2_in1k")
    assert repr(entry) == "<hf://timm/resnet50d.ra2_in1k: ResNet50D, 288x288x3, 1000 classes, 81.35%, timm, apache-2.0>"
    assert entry.reference.startswith("timm, results/results-imagenet.csv")
    (entry,) = keras_resnet.list_pretrained("resnet50-11ad3fa6.pth")
    assert (entry.model, entry.top1, entry.top5) == ("ResNet50V1_5", 80.858, 95.434)
    (entry,) = keras_resnet.list_pretrained("resnet_v2_50.ckpt")
    assert (entry.input_shape, entry.classes, entry.top1, entry.top5) == ((299, 299, 3), 1001, 75.6, 92.8)
    (entry,) = keras_resnet.list_pretrained("resnet50.bamboo")
    assert (entry.classes, entry.top1, entry.license) == (0, None, "")
    assert repr(entry) == "<hf://timm/resnet50.bamboo: ResNet50V1_5, 224x224x3, 0 classes, timm, license ?>"


def test_a_pattern_finds_names_and_networks_in_any_case():
    found = names("resnet50*")
    assert "hf://timm/resnet50.a1_in1k" in found
    assert "resnet50-0676ba61.pth" in found
    assert "imagenet" in found  # keras.applications' ResNet50
    assert "hf://microsoft/resnet-50" in found  # which is ResNet50V1_5
    assert "hf://timm/resnet101.a1_in1k" not in found
    assert names("RESNET50*") == found
    assert names("hf://timm/resnet50.a1_in1k") == ["hf://timm/resnet50.a1_in1k"]
    assert set(names("resnet20v2")) == {f"ResNet20V2/{name}" for name in ("digits", "fashion_mnist", "cifar10_jpeg")}
    assert set(names("seresnet152d*")) == {"hf://timm/seresnet152d.ra2_in1k"}
    assert names("nothing") == []


def test_without_a_pattern_the_weights_of_the_package_are_listed_as_before():
    own = keras_resnet.list_pretrained()
    assert [entry.full_name for entry in own] == [entry.name for entry in of("keras_resnet")]
    assert [100 * entry.accuracy for entry in own] == [entry.top1 for entry in of("keras_resnet")]
    assert all(entry.card for entry in own)


def test_names_of_the_hub_are_well_formed():
    """Catches a name that `weights=` takes for a path."""
    named = [entry for entry in ALL if entry.source in ("timm", "transformers")]
    assert all(is_hub_name(entry.name) for entry in named)
    assert not any(is_hub_name(entry.name) for entry in ALL if entry not in named)


@pytest.mark.parametrize("pattern", [5, ["resnet50*"], b"*"])
def test_a_pattern_that_is_not_a_text_is_a_users_error(pattern):
    with pytest.raises(UserError, match="it is a text such as 'resnet50\\*'"):
        keras_resnet.list_pretrained(pattern)


@pytest.mark.parametrize("text", ["", "name,size\na,b\n", "\n".join([",".join(table.COLUMNS), "a,b,c,,d,e,big,1,,"])])
def test_a_damaged_table_is_said_in_one_line(text, tmp_path):
    path = tmp_path / "weights.csv"
    path.write_text(text)
    with pytest.raises(UserError, match=r"weights\.csv, the table of published weights, cannot be read: .*install") as caught:
        table.read_table(path)
    assert "\n" not in str(caught.value)


def test_a_table_that_is_gone_is_said_in_one_line(tmp_path):
    with pytest.raises(UserError, match="No such file"):
        table.read_table(tmp_path / "gone.csv")


def test_the_columns_are_those_of_the_file():
    with open(table.TABLE, encoding="utf-8", newline="") as file:
        assert tuple(next(csv.reader(file))) == table.COLUMNS


def test_listing_loads_neither_keras_nor_tensorflow():
    program = (
        "import sys, keras_resnet; assert len(keras_resnet.list_pretrained('*')) > 250; "
        "sys.exit(any(name in sys.modules for name in ('keras', 'tensorflow', 'huggingface_hub')))"
    )
    assert subprocess.run([sys.executable, "-P", "-c", program], check=False).returncode == 0


@pytest.mark.slow
def test_the_table_is_what_the_libraries_say(tmp_path):
    """Where they are installed."""
    needed = ("timm", "torchvision", "keras_hub")
    if missing := [name for name in needed if importlib.util.find_spec(name) is None]:
        pytest.skip(f"needs {', '.join(missing)}")
    path = tmp_path / "weights.csv"
    program = f"import make_published as m; m.main(path={str(path)!r})"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "tests" / "references")])}
    subprocess.run([sys.executable, "-c", program], check=True, env=environment)
    assert path.read_text(encoding="utf-8") == table.TABLE.read_text(encoding="utf-8")


def test_every_source_with_an_accuracy_has_a_reference():
    assert {entry.source for entry in ALL if entry.top1 is not None} == set(entries.REFERENCES)
