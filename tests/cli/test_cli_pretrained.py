"""Catches trained weights of another accuracy than is recorded, and commands to which their name means something else."""

import dataclasses
import json
import shutil
import tarfile

import numpy as np
import pytest
from conftest import ROOT, assert_refused
from PIL import Image

import keras_resnet
from keras_resnet import UserError, cli
from keras_resnet.class_names import first_difference
from keras_resnet.cli import pack
from keras_resnet.cli.train import make_config
from keras_resnet.export.reporting.model_card import recorded_run, run_line
from keras_resnet.export.runtime import load_predictor
from keras_resnet.metadata import ClassifierMetadata
from keras_resnet.metrics import predicted_labels
from keras_resnet.models.options import ModelOptions
from keras_resnet.training.config import TrainConfig, read_config
from keras_resnet.training.data.dataset import Dataset
from keras_resnet.training.recipes import Recipe, get_recipe
from keras_resnet.weights.pretrained import entries, lookup

SHARED = ROOT.parent / "shared" / "data"
NAME = "ResNet20V2/digits"
DIGITS = lookup.find_entry("ResNet20V2", "digits")


@pytest.fixture(scope="module")
def data_of(data_dir, tmp_path_factory):
    """Finds the data that weights of a name were tested on: the folder that `--data_dir` takes."""

    def find(name):
        if name == "digits":
            return data_dir
        if name == "cifar10_jpeg":
            return unpacked(SHARED / "cifar10_jpeg.tar.xz", tmp_path_factory.mktemp("cifar10"))
        if not (SHARED / "tfds" / name).is_dir():
            pytest.skip(f"needs {name} as tensorflow-datasets lays it down, in ../shared/data/tfds")
        return SHARED / "tfds"

    return find


def unpacked(path, folder):
    """The test images of CIFAR-10 as JPEG files."""
    if not path.is_file():
        pytest.skip("needs CIFAR-10's images as JPEG files, in ../shared/data")
    with tarfile.open(path, "r|xz") as archive:
        archive.extractall(folder, members=(m for m in archive if m.name.startswith("test/")), filter="data")
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("entry", keras_resnet.list_pretrained(), ids=lambda entry: entry.full_name)
def test_another_number_of_images_is_right_than_is_recorded(entry, data_of):
    test = Dataset(entry.dataset, data_of(entry.name)).test.prepared(entry.preprocessing)
    predictor = load_predictor(entry.path)
    assert predictor.metadata.labels == entry.class_names
    right = np.sum(predicted_labels(predictor.probabilities(test.images)) == test.labels)
    assert len(test) == entry.images
    assert abs(right - entry.correct) <= pack.TIES * entry.images  # another CPU may decide a tie otherwise


@pytest.mark.parametrize("entry", keras_resnet.list_pretrained(), ids=lambda entry: entry.full_name)
def test_a_recorded_command_line_trains_something_else(entry):
    """Another network, data set, recipe or seed than the record says."""
    _, name, *arguments = entry.command.split()
    flags, _ = cli.COMMANDS[name].parse(name, arguments)
    config = make_config(flags)
    assert (config.model, config.dataset, config.recipe_name, config.seed) == (
        entry.model, entry.dataset, entry.recipe_name, entry.seed,
    )  # fmt: skip
    recipe = json.loads(json.dumps(dataclasses.asdict(config.recipe)))
    later = {field.name: field.default for field in dataclasses.fields(Recipe) if field.name not in entry.recipe}
    assert {**recipe, "reference": ""} == {**later, **entry.recipe, "reference": ""}  # fields that are newer have their default


@pytest.mark.parametrize(
    "config",
    [
        TrainConfig("ResNet20V1", "fashion_mnist", "short", get_recipe("short"), seed=3),
        TrainConfig(
            "ResNet56V2",
            "folder",
            "he2015_cifar",
            get_recipe("he2015_cifar", epochs=7, milestones=(0.25, 0.5), flip=False, nesterov=True, freeze=("stem",)),
            options=ModelOptions(stochastic_depth=0.2, zero_init_residual=True),
            validation_fraction=0.05,
            precision="mixed_bfloat16",
            deterministic=True,
            data_dir="cifar10_jpeg",
        ),
    ],
    ids=lambda config: config.dataset,
)
def test_a_command_line_loses_a_setting(config):
    words = pack.training_command(config, "cifar10_jpeg").split()
    flags, _ = cli.COMMANDS["train"].parse("train", words[2:])
    assert make_config(flags) == config


def test_evaluate_does_not_know_the_data_of_trained_weights(in_process, data_dir):
    done = in_process("evaluate", f"--model_path={NAME}", f"--data_dir={data_dir}")
    assert (done.returncode, done.err) == (0, "")
    assert done.out.startswith(f"top-1 {DIGITS.accuracy:.2%}  ")
    assert done.out.endswith(f"images {DIGITS.images}\n")


def test_predict_gives_other_answers_for_a_name_and_does_not_say_that_there_is_such_a_path(in_process, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Image.new("L", (8, 8), 200).save("a.png")
    named = in_process("predict", f"--model_path={NAME}", "a.png")
    assert (named.returncode, named.err) == (0, "")
    assert in_process("predict", f"--model_path={DIGITS.path}", "a.png").out == named.out
    (tmp_path / NAME).mkdir(parents=True)
    both = in_process("predict", f"--model_path={NAME}", "a.png")
    assert both.out == named.out
    assert both.err == f"keras-resnet: {NAME} is taken for the trained weights of that name; the path is ./{NAME}\n"
    assert_refused(in_process("predict", f"--model_path=./{NAME}", "a.png"), NAME, "no labels")


@pytest.mark.parametrize("command", ["evaluate", "export", "predict"])
def test_an_unknown_name_is_not_refused_with_those_there_are(command, in_process, tmp_path):
    more = {"export": [f"--output_dir={tmp_path}"], "predict": ["a.png"]}.get(command, [])
    assert_refused(in_process(command, "--model_path=ResNet20V2/letters", *more), "ResNet20V2/letters", NAME)


def test_an_export_of_trained_weights_does_not_pass_or_its_card_does_not_know_what_they_are(in_process, data_dir, tmp_path):
    flags = (
        f"--model_path={NAME}",
        f"--data_dir={data_dir}",
        f"--output_dir={tmp_path}",
        "--formats=tflite",
        "--quantize=none",
    )
    done = in_process("export", *flags)
    assert done.returncode == 0, done.err
    report = json.loads((tmp_path / "report.json").read_text())
    assert report["sha256"] == DIGITS.sha256
    assert report["keras"]["accuracy"] == DIGITS.accuracy
    card = (tmp_path / "README.md").read_text()
    for part in ("ResNet20V2 on digits", DIGITS.source.about, DIGITS.source.license, run_line(recorded_run(DIGITS))):
        assert part in card
    assert card.endswith("## License\n\nApache-2.0\n")


def test_training_from_trained_weights_begins_elsewhere(in_process, data_dir, tmp_path):
    """With the images' size and preprocessing of the weights; the first epoch is nearly as good as they are."""
    flags = ("--model=ResNet20V2", "--dataset=digits", f"--data_dir={data_dir}", f"--workdir={tmp_path / 'run'}")
    done = in_process("train", *flags, "--weights=digits", "--epochs=1", "--learning_rate=0")
    assert done.returncode == 0, done.err
    assert ClassifierMetadata.read_from(tmp_path / "run" / "model.keras").preprocessing == DIGITS.preprocessing
    assert read_config(tmp_path / "run" / "config.json").weights == "digits"
    tested = pack.read_test_record(tmp_path / "run")
    assert tested["accuracy"] > 0.97
    wrong = ("--model=ResNet32V2", *flags[1:3], f"--workdir={tmp_path / 'other'}", "--weights=digits")
    assert_refused(in_process("train", *wrong), "no weights 'digits' for ResNet32V2: ResNet20V2 has them")


def test_a_path_loses_what_tells_it_from_a_name(in_process, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for command, *more in (["predict", "a.png"], ["evaluate"], ["export", "--output_dir=out"]):
        assert_refused(in_process(command, f"--model_path=./{NAME}", *more), f"no file or folder ./{NAME}")


@pytest.mark.parametrize("weights", [NAME, "digits"])
def test_a_varied_network_is_told_that_it_has_no_such_weights(weights, in_process, data_dir, tmp_path):
    """`train` says it as the constructor does; it takes both names."""
    flags = ("--dataset=digits", f"--data_dir={data_dir}", f"--weights={weights}", f"--workdir={tmp_path / 'run'}")
    wrong = in_process("train", "--model=ResNet20V2", *flags, "--shortcut=conv1x1", "--width_multiplier=2")
    reason = "the weights ResNet20V2/digits are for ResNet20V2 as it is: leave out shortcut='conv1x1', width_multiplier=2"
    assert_refused(wrong, reason)
    assert_refused(in_process("train", "--model=ResNet20V1", *flags), f"no weights '{weights}' for ResNet20V1: ResNet20V2 has")
    assert not (tmp_path / "run").exists()
    imported = ("import", "--model=ResNet20V2", f"--weights={weights}", f"--output_path={tmp_path / 'a.keras'}")
    assert_refused(in_process(*imported, "--unit=original"), "leave out unit='original'")


def test_training_does_not_take_the_name_that_evaluate_takes(in_process, data_dir, tmp_path):
    flags = ("--model=ResNet20V2", "--dataset=digits", f"--data_dir={data_dir}", f"--weights={NAME}")
    done = in_process("train", *flags, f"--workdir={tmp_path / 'run'}", "--epochs=1", "--learning_rate=0")
    assert done.returncode == 0, done.err
    assert pack.read_test_record(tmp_path / "run")["accuracy"] > 0.97


@pytest.mark.parametrize("of", ["name", "file"])
def test_training_keeps_the_digits_classifier_for_clothes(of, in_process, data_dir, tmp_path):
    """Both have ten classes. Nothing is downloaded before that is said, and the same names in another writing are the same."""
    weights = "digits"
    if of == "file":
        weights = str(tmp_path / "zero.keras")
        labels = ("Zero", *map(str, range(1, 10)))
        keras_resnet.save_classifier(keras_resnet.ResNet20V2(weights="digits"), weights, labels)
    run = tmp_path / "run"
    flags = ("--model=ResNet20V2", f"--weights={weights}", f"--workdir={run}", "--epochs=1")
    done = in_process("train", *flags, "--dataset=fashion_mnist", f"--data_dir={tmp_path / 'none'}")
    first = "'0'" if of == "name" else "'Zero'"
    line = (
        f"the weights {weights} have other class names than dataset 'fashion_mnist', or another order of them: {first} instead"
    )
    assert_refused(done, line, "'T-shirt/top'", "--skip_head")
    assert not run.exists()
    assert not list((tmp_path / "none").glob("fashion*"))
    if of == "file":
        digits = ("--dataset=digits", f"--data_dir={data_dir}")
        assert_refused(in_process("train", *flags, *digits), "dataset 'digits'", "'Zero' instead of '0'")
        skipped = in_process("train", *flags, *digits, "--skip_head")
        assert skipped.returncode == 0, skipped.err


def test_a_folder_with_other_names_is_trained_on_with_the_classifier_of_the_weights(in_process, tmp_path):
    for name in "abcdefghij":
        (tmp_path / "images" / name).mkdir(parents=True)
        for number in range(4):
            Image.new("L", (8, 8), 20 * number).save(tmp_path / "images" / name / f"{number}.png")
    data = ("--dataset=folder", f"--data_dir={tmp_path / 'images'}", f"--workdir={tmp_path / 'run'}")
    done = in_process("train", "--model=ResNet20V2", "--weights=digits", "--batch_size=8", *data)
    assert_refused(done, "the weights digits have other class names than dataset 'folder'", "'0' instead of 'a'")


@pytest.mark.parametrize(
    ("known", "found", "expected"),
    [
        (("T-shirt/top", "Ankle boot"), ("t-shirt / top", "Ankle Boot"), None),
        (("\u00e9", "b"), ("e\u0301", "b"), None),
        (("a", "A"), ("A", "a"), ("a", "A")),  # letters in both cases, in another order
        (("a", "b"), ("a", "c"), ("b", "c")),
        (("a", "b"), ("a",), ("b", None)),
        (("a",), ("a", "b"), (None, "b")),
    ],
)
def test_names_of_classes_are_other_names_for_how_they_are_written(known, found, expected):
    assert first_difference(known, found) == expected


def test_import_calls_clothes_digits(in_process, tmp_path):
    """As many classes are not the same classes."""
    (tmp_path / "images").mkdir()
    for number in range(10):
        (tmp_path / "images" / f"garment {number}").mkdir()
        Image.new("L", (8, 8), number).save(tmp_path / "images" / f"garment {number}" / "a.png")
    output = tmp_path / "a.keras"
    words = ("--dataset=folder", f"--data_dir={tmp_path / 'images'}", f"--output_path={output}")
    done = in_process("import", "--model=ResNet20V2", "--weights=digits", *words)
    assert (done.returncode, output.exists()) == (2, False)
    assert "'0' instead of 'garment 0'; leave out --dataset" in done.err


def test_import_needs_labels_for_trained_weights(in_process, tmp_path):
    done = in_process("import", "--model=ResNet20V2", "--weights=digits", f"--output_path={tmp_path / 'a.keras'}")
    assert (done.returncode, done.err) == (0, "")
    assert ClassifierMetadata.read_from(tmp_path / "a.keras") == dataclasses.replace(DIGITS.metadata, model="resnet20v2")


def test_list_does_not_show_the_trained_weights(in_process):
    lines = {line.split()[0]: " ".join(line.split()) for line in in_process("list").out.splitlines()}
    assert lines[NAME] == f"{NAME} 8x8x1 10 99.72% of 360 images 0.56 MB"
    assert "digits (99.72% of 360 test images)" in str(keras_resnet.describe("ResNet20V2"))


# python -m keras_resnet.cli.pack


@pytest.fixture(scope="module")
def packed(run, data_dir, tmp_path_factory):
    """The weights of a short run, packed into a folder of their own."""
    folder = tmp_path_factory.mktemp("packed")
    return pack.pack(run.workdir, "digits", str(data_dir), folder)


def test_packing_changes_the_network_or_forgets_about_the_run(packed, run, data_dir, tmp_path, monkeypatch):
    again = pack.pack(run.workdir, "digits", str(data_dir), tmp_path)
    assert again == packed
    assert sorted(path.name for path in tmp_path.iterdir()) == ["ResNet20V2-digits.safetensors", "index.json"]
    tested = pack.read_test_record(run.workdir)
    assert packed.correct_in_float32 == round(tested["accuracy"] * tested["images"])
    assert packed.recipe["epochs"] == 8
    assert packed.command == (
        "keras-resnet train --model=ResNet20V2 --dataset=digits --epochs=8 --seed=0 --workdir=runs/ResNet20V2-digits"
    )
    monkeypatch.setattr(entries, "FOLDER", tmp_path)
    assert [repr(entry) for entry in keras_resnet.list_pretrained()] == [repr(packed)]
    assert keras_resnet.ResNet20V2(weights="digits").output_shape == (None, 10)


def broken_run(run, folder, file, change):
    """A copy of a run, one of whose JSON files is changed."""
    folder = shutil.copytree(run.workdir, folder, ignore=shutil.ignore_patterns("checkpoints", "events", "export"))
    lines = (folder / file).read_text().splitlines() if file.endswith("l") else [(folder / file).read_text()]
    changed = [change(json.loads(line)) for line in lines]
    (folder / file).write_text("\n".join(json.dumps(record) for record in changed if record))
    return folder


@pytest.mark.parametrize(
    ("file", "change", "name", "part"),
    [
        ("metrics.jsonl", lambda record: record if "epoch" in record else None, "digits", "holds no finished run"),
        ("metrics.jsonl", lambda r: {"test": {**r["test"], "accuracy": 0.5}} if "test" in r else r, "digits", "of 360 test"),
        ("config.json", lambda record: {**record, "model": "ResNet32V2"}, "digits", "not the classifier of the run"),
        ("config.json", lambda record: {**record, "unit": "original"}, "digits", "it has unit=original"),
        ("config.json", lambda record: record, "fashion_mnist", "the run is on digits: its weights cannot be called fashion"),
    ],
)
def test_a_run_is_packed_that_is_not_what_it_seems(file, change, name, part, run, data_dir, tmp_path):
    folder = broken_run(run, tmp_path / "run", file, change)
    (tmp_path / "out").mkdir()
    with pytest.raises(UserError, match=part):
        pack.pack(folder, name, str(data_dir), tmp_path / "out")
    assert not list((tmp_path / "out").iterdir())
