"""Catches a record of JSON whose values are of other types, out of range, or without an end, and is taken or a traceback."""

import dataclasses
import json
import math
from pathlib import Path

import numpy as np
import onnx
import pytest
from conftest import assert_refused
from life import records, weight_files
from onnx import helper

from keras_resnet import UserError
from keras_resnet.export.formats import PRETRAINED, READABLE_FORMATS
from keras_resnet.export.formats.web import application
from keras_resnet.export.output_dir import check_output_dir
from keras_resnet.export.reporting import report
from keras_resnet.export.reporting.model_card import recipe_line
from keras_resnet.metadata import MEMBER, SAVED_MODEL_MEMBER, ClassifierMetadata
from keras_resnet.preprocessing import MAX_SIDE, Preprocessing
from keras_resnet.recorded import record_from_json
from keras_resnet.records import from_record, parse_json
from keras_resnet.training import recipes
from keras_resnet.training.callbacks.loggers import METRICS_FILE, JsonlLogger, read_metrics
from keras_resnet.training.config import TrainConfig, read_config
from keras_resnet.training.reporting.plots import curves
from keras_resnet.weights.file_records import timm_record

PREPROCESSING = Preprocessing(8, 8, 3, (0.5, 0.4, 0.3), (0.2, 0.3, 0.4), 0.875)
METADATA = ClassifierMetadata("ResNet20V1", "things", ("a", "b"), PREPROCESSING)
CARRYING_METADATA = [
    format for format in READABLE_FORMATS if format is not PRETRAINED
]  # whose record is in the package's index
CONFIG = TrainConfig("ResNet20V2", "digits", "digits", recipes.get_recipe("digits", milestones=(0.5,), freeze=("stem",)))
TIMM = {
    "input_size": [3, 8, 8], "test_input_size": [3, 16, 16], "interpolation": "bicubic", "crop_pct": 0.9, "test_crop_pct": 1.0,
    "mean": [0.5, 0.4, 0.3], "std": [0.2, 0.3, 0.4],
}  # fmt: skip


def assert_one_line(error):
    assert "\n" not in str(error)


def every_change(record):
    """The record with each of the odd values in each of its places."""
    for path in records.places(record):
        for value in records.ODD_VALUES:
            yield records.replaced(record, path, value)


def same_types(one, other):
    """Whether two values that `dataclasses.asdict` made are of the same types, whole numbers in place of others aside.

    Where there was none, there may be any, which is optional.
    """
    if one is None:
        return True
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same_types(one[key], other[key]) for key in one)
    if isinstance(one, tuple):
        return isinstance(other, tuple) and all(type(item) in (type(one[0]), int) for item in other)
    return type(one) is type(other) or (type(one), type(other)) == (float, int)


@pytest.mark.parametrize("title", records.NOT_RECORDS)
def test_a_text_that_is_not_a_record_ends_in_a_traceback(title, tmp_path):
    text = records.encoded(records.NOT_RECORDS[title])
    (tmp_path / "config.json").write_bytes(text)
    for call in (
        lambda: read_config(tmp_path / "config.json"),
        lambda: ClassifierMetadata.from_json(text),
    ):
        with pytest.raises(UserError) as caught:
            call()
        assert_one_line(caught.value)
    assert timm_record(tmp_path / "model.safetensors") is None
    (tmp_path / report.RECORD).write_bytes(text)
    assert report.read(tmp_path) is None
    assert recipe_line(tmp_path / "config.json") == "Recipe: not recorded."
    (tmp_path / METRICS_FILE).write_bytes(b'{"epoch": 1, "loss": 2.5}\n' + text + b'\n{"epoch": 2}\n')
    assert read_metrics(tmp_path) == [{"epoch": 1, "loss": 2.5}, {"epoch": 2}]


def test_a_configuration_with_an_odd_value_trains_or_is_a_traceback():
    """Such as `true` epochs, a NaN learning rate, a seed of 10**30."""
    for record in every_change(CONFIG.to_dict()):
        try:
            config = TrainConfig.from_dict(record)
        except UserError as error:
            assert_one_line(error)
        else:
            assert same_types(dataclasses.asdict(CONFIG), dataclasses.asdict(config))


def test_a_preprocessing_with_an_odd_value_gives_nan():
    for record in every_change(json.loads(json.dumps(dataclasses.asdict(PREPROCESSING)))):
        try:
            found = from_record(record, Preprocessing)
        except UserError as error:
            assert_one_line(error)
            continue
        assert found.height * found.width <= MAX_SIDE**2
        assert same_types(dataclasses.asdict(PREPROCESSING), dataclasses.asdict(found))
        assert np.isfinite(found.normalize(np.full((1, 1, found.channels), 255))).all()


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("mean", (math.nan, 0.0, 0.0)),
        ("mean", (True, 0.0, 0.0)),
        ("mean", 0.5),
        ("std", (5e-324, 1.0, 1.0)),
        ("std", (math.inf, 1.0, 1.0)),
        ("height", 10**30),
        ("height", True),
        ("width", 5000),
        ("crop_fraction", 1e-9),
        ("crop_fraction", True),
        ("crop_fraction", math.nan),
        ("channels", True),
    ],
)
def test_a_preprocessing_out_of_range_is_made_in_code(field, value):
    with pytest.raises(UserError) as caught:
        dataclasses.replace(PREPROCESSING, **{field: value})
    assert_one_line(caught.value)


def test_a_side_that_is_too_long_is_refused_without_the_number_and_the_limit():
    with pytest.raises(UserError, match=r"images are 1000000x8, .*; a side has at most 4096 pixels"):
        dataclasses.replace(PREPROCESSING, height=10**6)


def test_the_record_of_a_classifier_with_an_odd_value_is_taken():
    for record in every_change(json.loads(METADATA.to_json())):
        try:
            found = ClassifierMetadata.from_json(json.dumps(record))
        except UserError as error:
            assert_one_line(error)
        else:
            assert same_types(dataclasses.asdict(METADATA), dataclasses.asdict(found))


@pytest.mark.parametrize("record", [7, {"height": 8}, ["a"], records.DEEP, "null"])
def test_the_record_in_a_networks_configuration_is_a_traceback(record):
    with pytest.raises(UserError, match="the record of preprocessing is damaged"):
        record_from_json(record)


def test_timms_record_with_an_odd_value_is_passed_over_without_a_word(tmp_path):
    """The preset would take its place, with another mean."""
    for odd in ({"mean": [math.nan, 0, 0]}, {"std": [5e-324, 1, 1]}, {"input_size": [3, 10**30, 8]}, {"std": [True] * 3}):
        record = TIMM | {"test_input_size": None} | odd
        (tmp_path / "config.json").write_text(json.dumps({"pretrained_cfg": record}))
        with pytest.raises(UserError, match=r"config\.json, which is next to the weights, is wrong: .*; correct or remove it"):
            timm_record(tmp_path / "model.safetensors")


def with_record(name, text, folder):
    """A file of a format that holds such a record of a classifier."""
    path = folder / f"model.{name}"
    if name == "saved_model":
        (path / SAVED_MODEL_MEMBER).parent.mkdir(parents=True)
        (path / SAVED_MODEL_MEMBER).write_bytes(text)
    elif name == "web":
        path.mkdir()
        (path / application.MODEL).touch()
        (path / application.DESCRIPTION).write_bytes(text)
    elif name == "onnx":
        graph = helper.make_graph([], "g", [], [])
        model = helper.make_model(graph)
        helper.set_model_props(model, {MEMBER: text.decode(errors="replace")})
        onnx.save(model, path)
    else:
        path.write_bytes(b"TFL3" * (name == "tflite"))
        weight_files.write_members(path, {MEMBER: text}, mode="a")
    return path


@pytest.mark.parametrize("title", ["deep", "long number", "null", "list", "number", "cut"])
@pytest.mark.parametrize("format", CARRYING_METADATA, ids=lambda format: format.name)
def test_the_record_in_a_format_ends_in_a_traceback(format, title, tmp_path):
    path = with_record(format.name, records.encoded(records.NOT_RECORDS[title]), tmp_path)
    with pytest.raises(UserError, match=path.name) as caught:
        format.read_metadata(path)
    assert_one_line(caught.value)


@pytest.mark.parametrize("format", CARRYING_METADATA, ids=lambda format: format.name)
def test_the_record_in_a_format_is_read_with_nan_in_it(format, tmp_path):
    record = json.loads(METADATA.to_json())
    record["preprocessing"]["mean"][1] = math.nan
    path = with_record(format.name, json.dumps(record).encode(), tmp_path)
    with pytest.raises(UserError, match=r"preprocessing: mean\[1\] is nan, which is not finite"):
        format.read_metadata(path)


@pytest.mark.parametrize(
    "artifacts", [None, 7, "tflite", [None], [7], ["tflite"], [{}], [{"name": None}], [{"name": ["tflite"]}], {"name": 1}]
)
def test_a_report_with_odd_artifacts_ends_in_a_traceback(artifacts, tmp_path):
    """It is taken for another program's, whose files are not overwritten."""
    record = {"model": "m", "dataset": "d", "versions": {}, "artifacts": artifacts}
    (tmp_path / report.RECORD).write_text(json.dumps(record))
    assert report.read(tmp_path) is None
    with pytest.raises(UserError, match="of another origin"):
        check_output_dir(tmp_path, METADATA, ["tflite"])


@pytest.mark.parametrize(
    "line",
    [
        '{"epoch": "2"}',
        '{"epoch": true}',
        '{"epoch": 0}',
        '{"epoch": 1e3}',
        f'{{"epoch": {10**30}}}',
        '{"epoch": 2, "loss": "x"}',
        '{"epoch": 2, "val_accuracy": [1]}',
        '{"epoch": 2, "loss": true}',
        '{"test": 5}',
        '{"test": {"loss": "x"}}',
        f'{{"epoch": 2, "loss": {"9" * 5000}}}',
        f'{{"epoch": 2, "pad": "{"x" * 100_000}"}}',
    ],
    ids=lambda line: line[:40],
)
def test_a_line_of_metrics_with_odd_values_strikes_after_the_training(line, tmp_path, capsys):
    (tmp_path / METRICS_FILE).write_text(f'{{"epoch": 1, "loss": 2.5}}\n{line}\n{{"epoch": 3}}\n')
    assert read_metrics(tmp_path) == [{"epoch": 1, "loss": 2.5}, {"epoch": 3}]
    logger = JsonlLogger(tmp_path, 3)
    assert "has no readable line for epoch 2;" in capsys.readouterr().err
    (tmp_path / METRICS_FILE).write_text(f'{{"epoch": 1, "loss": 2.5}}\n{line}\n{{"epoch": 3}}\n')
    curves(logger.records())
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("text", [records.DEEP, '{"recipe": null}', "[]"])
def test_train_with_an_odd_configuration_is_a_traceback(text, tmp_path, in_process):
    (tmp_path / "odd.json").write_text(text)
    done = in_process("train", f"--config={tmp_path / 'odd.json'}", f"--workdir={tmp_path / 'run'}")
    assert_refused(done, "odd.json cannot be read")
    assert not (tmp_path / "run").exists()


@dataclasses.dataclass(frozen=True)
class Inner:
    numbers: tuple[int, ...] = ()


@dataclasses.dataclass(frozen=True)
class Outer:
    inner: Inner
    pair: tuple[int, str] = (1, "a")
    either: int | str | None = None
    table: dict[str, float] = dataclasses.field(default_factory=dict)


@pytest.mark.parametrize(
    ("record", "message"),
    [
        ({"inner": {"numbers": [1, 2.5]}}, r"inner: numbers\[1\] is 2\.5, which is not of type int"),
        ({"inner": {"numbers": [True]}}, r"inner: numbers\[0\] is true, which is not of type int"),
        ({"inner": 5}, "inner is 5, which is not of type object"),
        ({}, "it has no inner"),
        ({"inner": {}, "outer": 1}, "it has the unknown outer; the fields are inner, pair, either, table"),
        ({"inner": {}, "pair": [1]}, "pair is a list of 1, which is not of type list of 2"),
        ({"inner": {}, "either": 2.5}, r"either is 2\.5, which is not of type int or str"),
        ({"inner": {}, "table": {"a": "b"}}, "table: a is 'b', which is not of type float"),
        ({"inner": {}, "table": {"a": math.inf}}, "table: a is inf, which is not finite"),
    ],
)
def test_the_place_of_a_wrong_value_is_not_said(record, message):
    with pytest.raises(UserError, match=f"^{message}$"):
        from_record(record, Outer)


def test_a_right_record_is_changed():
    record = {"inner": {"numbers": [1, 2]}, "pair": [3, "b"], "either": "x", "table": {"a": 1, "b": 0.5}}
    assert from_record(record, Outer) == Outer(Inner((1, 2)), (3, "b"), "x", {"a": 1, "b": 0.5})
    assert parse_json('{"a": [1, -2.5e3, null, true, "\\u00e9"]}') == {"a": [1, -2500.0, None, True, "é"]}


@pytest.mark.parametrize("seed", range(30))
def test_a_mutated_record_ends_in_a_traceback(seed):
    for good, read in ((METADATA.to_json(), ClassifierMetadata.from_json), (json.dumps(CONFIG.to_dict()), as_config)):
        try:
            read(records.mutated_json(good, seed))
        except UserError as error:
            assert_one_line(error)


def as_config(text):
    return TrainConfig.from_dict(parse_json(text))


def test_a_record_that_is_a_folder_or_a_pipe_is_waited_for(tmp_path):
    Path(tmp_path / "config.json").mkdir()
    with pytest.raises(UserError, match="it is a folder"):
        read_config(tmp_path / "config.json")
    assert timm_record(tmp_path / "model.safetensors") is None
    assert read_metrics(tmp_path / "nowhere") == []
