"""Catches rows of parquet files that get the label or the bytes of another, and a bad file that ends in a traceback."""

import builtins
import json
import os
import threading

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import tensorflow as tf

from keras_resnet import UserError
from keras_resnet.training.data.containers.records import DamagedRecordError
from keras_resnet.training.data.containers.tables import parquet_records
from keras_resnet.training.data.containers.tables.parquet import list_parquet

NAMES = ["ant", "bee", "cat"]
IMAGE = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
FEATURES = {"image": {"_type": "Image"}, "label": {"names": NAMES, "_type": "ClassLabel"}}


def write(path, rows, *, features=FEATURES, label_type=None, image_type=IMAGE, columns=("image", "label"), **options):
    """Writes rows (bytes, path, label) as Hugging Face's datasets does, two rows to a row group; "null" is no image at all."""
    images = [{"bytes": content, "path": name} if image_type is IMAGE else content for content, name, _ in rows]
    images = [None if content == "null" else image for image, (content, *_) in zip(images, rows, strict=True)]
    labels = pa.array([label for *_, label in rows], label_type)
    table = pa.table(dict(zip(columns, (pa.array(images, image_type), labels), strict=True)))
    if features:
        table = table.replace_schema_metadata({"huggingface": json.dumps({"info": {"features": features}})})
    if not isinstance(path, pa.PythonFile):
        path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(table, path, **{"row_group_size": 2, "use_dictionary": False} | options)


def some(split, labels=(0, 1, 2, 1, 0), names=None):
    """Rows whose bytes say which they are."""
    return [(f"{split} {row}".encode(), names and f"{names}{row}.png", label) for row, label in enumerate(labels)]


def contents(labeled):
    return [labeled.records.read(row).decode() for row in range(len(labeled))]


def names(labeled):
    return [labeled.records.name(row) for row in range(len(labeled))]


def refused(path):
    with pytest.raises(UserError) as raised:
        list_parquet(path)
    assert "\n" not in str(raised.value)
    return str(raised.value)


@pytest.mark.parametrize(
    ("train", "test", "validation"),
    [
        (
            "data/train-00000-of-00001.parquet",
            "data/test-00000-of-00001-ab12.parquet",
            "data/validation-00000-of-00001.parquet",
        ),
        ("default/train/0000.parquet", "default/test/0000.parquet", "default/validation/0000.parquet"),
        ("train.parquet", "test_0.parquet", "val.PARQUET"),
        ("TrainSet/part.parquet/part-0.parquet", "testing/x.parquet", "x/valid/y/a.parquet"),
    ],
)
def test_splits_and_classes_are_those_of_hugging_face(tmp_path, train, test, validation):
    write(tmp_path / train, some("train", names="train/"))
    write(tmp_path / test, some("test", labels=(2, 0)))
    write(tmp_path / validation, some("val", labels=(1, 1)))
    (tmp_path / "README.md").write_text("---")
    (tmp_path / ".cache").mkdir()
    (tmp_path / ".cache" / "train-00000-of-00001.parquet").write_text("")
    listing = list_parquet(tmp_path)
    assert listing.class_names == tuple(NAMES)
    assert list(listing.splits) == ["train", "validation", "test"]
    assert contents(listing.splits["train"]) == ["train 0", "train 4", "train 1", "train 3", "train 2"]
    np.testing.assert_array_equal(listing.splits["train"].labels, [0, 0, 1, 1, 2])
    assert contents(listing.splits["test"]) == ["test 1", "test 0"]
    assert names(listing.splits["train"])[1] == "train/4.png"
    assert names(listing.splits["test"]) == [f"{test}[1]", f"{test}[0]"]
    last = listing.splits["train"].records.location(4)
    assert last == f"{tmp_path / train}: row 0 of row group 1"


@pytest.mark.parametrize("image_type", [IMAGE, pa.binary(), pa.large_binary()])
@pytest.mark.parametrize(
    ("labels", "label_type", "expected"),
    [
        (["b", "a", "c", "b"], pa.string(), {"a": [1], "b": [0, 3], "c": [2]}),
        (["b", "a", "c", "b"], pa.dictionary(pa.int32(), pa.string()), {"a": [1], "b": [0, 3], "c": [2]}),
        ([10, 9, 9, 10], pa.int16(), {"9": [1, 2], "10": [0, 3]}),
        ([1.0, 2.0, 1.0, 1.0], pa.float64(), {"1": [0, 2, 3], "2": [1]}),
        ([True, False, True, True], pa.bool_(), {"false": [1], "true": [0, 2, 3]}),
    ],
)
def test_columns_are_found_without_hugging_face_too(tmp_path, image_type, labels, label_type, expected):
    options = {"features": None, "label_type": label_type, "image_type": image_type, "columns": ("Img", "CLASS")}
    write(tmp_path / "a.parquet", some("x", labels), **options)
    listing = list_parquet(tmp_path / "a.parquet")
    assert listing.class_names == tuple(expected)
    assert contents(listing.splits["train"]) == [f"x {row}" for rows in expected.values() for row in rows]
    assert names(list_parquet(tmp_path).splits["train"]) == [f"a.parquet[{row}]" for rows in expected.values() for row in rows]


def test_paths_that_two_images_have_do_not_name_them(tmp_path):
    write(tmp_path / "a.parquet", [(b"0", "x.png", 1), (b"1", "y.png", 0), (b"2", "x.png", 0)])
    assert names(list_parquet(tmp_path).splits["train"]) == ["a.parquet[1]", "a.parquet[2]", "a.parquet[0]"]


def test_the_metadata_says_which_of_several_columns_is_the_class(tmp_path):
    features = {"img": {"_type": "Image"}, "coarse": {"names": ["x"], "_type": "ClassLabel"}, "fine_label": FEATURES["label"]}
    rows = {"img": [{"bytes": b"0"}, {"bytes": b"1"}], "label": ["?", "?"], "coarse": [0, 0], "fine_label": [1, 0]}
    table = pa.table(rows).replace_schema_metadata({"huggingface": json.dumps({"info": {"features": features}})})
    pq.write_table(table, tmp_path / "a.parquet")
    assert contents(list_parquet(tmp_path).splits["train"]) == ["1", "0"]
    assert "in the column fine_label, not in label, coarse" in list_parquet(tmp_path).notes[0]


def test_integers_are_positions_even_where_the_names_are_numbers(tmp_path):
    features = FEATURES | {"label": {"names": ["1", "2", "3"], "_type": "ClassLabel"}}
    write(tmp_path / "a.parquet", some("x", (1, 2, 1)), features=features)
    listing = list_parquet(tmp_path)
    assert listing.class_names == ("1", "2", "3")
    np.testing.assert_array_equal(listing.splits["train"].labels, [1, 1, 2])


@pytest.mark.parametrize("labels", [[-1, -1], [None, None]])
def test_a_test_split_without_labels_is_left_out(tmp_path, labels):
    write(tmp_path / "train.parquet", some("train"))
    write(tmp_path / "test.parquet", some("test", labels), label_type=pa.int64())
    assert list(list_parquet(tmp_path).splits) == ["train"]
    assert "the test split" in list_parquet(tmp_path).notes[0]
    write(tmp_path / "train.parquet", some("train", (0, 1, *labels)), label_type=pa.int64())
    message = refused(tmp_path)
    assert "2 of 4 images in its train split without a label" in message
    assert "train.parquet: row 0 of row group 1" in message


def test_a_test_split_may_lack_the_column_of_labels(tmp_path):
    write(tmp_path / "train.parquet", some("train"))
    pq.write_table(pa.table({"image": pa.array([{"bytes": b"0", "path": None}], IMAGE)}), tmp_path / "test.parquet")
    assert list(list_parquet(tmp_path).splits) == ["train"]
    assert "the test split" in list_parquet(tmp_path).notes[0]


@pytest.mark.parametrize(
    ("rows", "options", "parts"),
    [
        (some("x"), {"columns": ("image", "kind"), "features": None}, ["has the columns image, kind", "the classes (label, "]),
        (some("x"), {"columns": ("a", "label"), "features": None, "image_type": pa.string()}, ["columns a, label", "images"]),
        (some("x"), {"image_type": pa.string(), "features": None}, ["values of type string in its column image"]),
        (some("x", ([0], [1])), {}, ["lists of labels in its column label"]),
        (some("x", (0, 7)), {}, ["has in row 1 the label 7", "0 to 2"]),
        (some("x", (0, -2)), {"features": None}, ["has in row 1 the label -2"]),
        ([(None, "a.png", 0), (None, "b.png", 1)], {}, ["no images in its column image, only their paths"]),
        (some("x", (4, 4)), {"features": None}, ["only '4' as classes"]),
        ([], {"label_type": pa.int64()}, ["no rows"]),
        (some("x", (b"a", b"b")), {"features": None, "label_type": pa.binary()}, ["values of type binary in its column label"]),
    ],
)
def test_a_wrong_table_is_refused_in_one_line(tmp_path, rows, options, parts):
    write(tmp_path / "a.parquet", rows, **options)
    message = refused(tmp_path)
    assert str(tmp_path) in message
    for part in parts:
        assert part in message


def test_what_is_not_a_parquet_file_is_refused_by_name(tmp_path):
    path = tmp_path / "train.parquet"
    write(path, some("x"))
    content = path.read_bytes()
    for damaged in (content[: len(content) // 2], b"", b"path,label\n", content[:-200] + bytes(192) + content[-8:]):
        path.write_bytes(damaged)
        assert f"{path} cannot be read as a parquet file, it may be incomplete" in refused(tmp_path)
    path.write_bytes(b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n")
    assert "git lfs pull" in refused(path)
    path.unlink()
    os.mkfifo(path)
    assert f"{path} is a pipe" in refused(tmp_path)
    assert "is a pipe" in refused(path)
    path.unlink()
    assert "has no .parquet files" in refused(tmp_path)
    (tmp_path / "data-00000-of-00001.arrow").write_bytes(b"")
    assert "Dataset.to_parquet" in refused(tmp_path)
    assert "does not exist" in refused(path)


def test_files_of_different_schemas_are_named(tmp_path):
    write(tmp_path / "train-0.parquet", some("x"))
    write(tmp_path / "train-1.parquet", some("y"), features=FEATURES | {"label": {"names": ["bee"], "_type": "ClassLabel"}})
    message = refused(tmp_path)
    for part in ("train-1.parquet has other class names than", "train-0.parquet: bee, not ant, bee, cat"):
        assert part in message
    write(tmp_path / "train-1.parquet", some("y"), image_type=pa.binary(), columns=("png", "label"), features=None)
    assert "has other images than" in refused(tmp_path)


def test_files_that_are_there_twice_or_missing_or_for_nothing_are_named(tmp_path):
    write(tmp_path / "a" / "train-00000-of-00003.parquet", some("x"))
    write(tmp_path / "a" / "extra-00000-of-00001.parquet", some("y"))
    (tmp_path / "a" / "train-link.parquet").symlink_to("train-00000-of-00003.parquet")
    (tmp_path / "a" / "again").symlink_to(tmp_path)
    assert len(list_parquet(tmp_path).splits["train"]) == 5
    lines = list_parquet(tmp_path).notes
    assert "of the 2 parquet files" in lines[0]
    assert "(a/extra-00000-of-00001.parquet)" in lines[0]
    assert "1 of the 3 shards of its train split; 1 is missing" in lines[1]
    write(tmp_path / "b" / "train-00000-of-00001.parquet", some("z"))
    message = refused(tmp_path)
    assert "two files for shard 0 of its train split, a/train-00000-of-00003.parquet and b/train-00000-of-00001" in message


def test_a_null_image_and_a_damaged_row_group_are_damaged_alone(tmp_path):
    path = tmp_path / "a.parquet"
    rows = [*some("x", (0, 0)), (b"y" * 5000, None, 1), (b"y" * 5000, None, 1), (None, None, 2), ("null", None, 2)]
    write(path, [*rows, (b"z", None, 2)], write_page_checksum=True, compression="none")
    content = bytearray(path.read_bytes())
    content[content.index(b"y" * 100) + 3000] ^= 255
    path.write_bytes(content)
    records, read = list_parquet(path).splits["train"].records, {}
    for row in range(len(records)):
        try:
            read[records.name(row)] = records.read(row).decode()
        except DamagedRecordError as error:
            read[records.name(row)] = str(error)
    damaged = [read.pop(f"a.parquet[{row}]") for row in (2, 3)]
    assert list(read.values()) == ["x 0", "x 1", "has no image", "has no image", "z"]
    assert all(text.startswith("row group 1 of its file cannot be read: ") for text in damaged)
    assert records.location(5) == f"{path}: row 1 of row group 2"


def test_row_groups_without_rows_take_no_place(tmp_path):
    schema = pa.schema([("image", IMAGE), ("label", pa.int64())])
    with pq.ParquetWriter(tmp_path / "a.parquet", schema) as writer:
        for rows in ([], [0, 1], [], [2]):
            images = [{"bytes": str(row).encode(), "path": None} for row in rows]
            writer.write_table(pa.table([pa.array(images, IMAGE), pa.array(rows, pa.int64())], schema=schema))
    found = list_parquet(tmp_path).splits["train"]
    assert contents(found) == ["0", "1", "2"]
    assert [found.records.name(row)[-3:] for row in range(3)] == ["[0]", "[1]", "[2]"]


def test_a_file_that_changed_meanwhile_stops_the_run(tmp_path):
    write(tmp_path / "a.parquet", some("x"))
    records = list_parquet(tmp_path).splits["train"].records
    write(tmp_path / "a.parquet", some("x"), row_group_size=5)
    with pytest.raises(OSError, match="has changed"):
        records.read(0)
    (tmp_path / "a.parquet").unlink()
    with pytest.raises(FileNotFoundError):
        records.read(0)


def test_row_groups_are_read_once_if_they_fit_and_by_one_thread(tmp_path, monkeypatch):
    write(tmp_path / "a.parquet", some("x", [0, 1] * 20))
    records = list_parquet(tmp_path).splits["train"].records
    reads, read_images = [], parquet_records.read_images
    arrived = threading.Barrier(4, timeout=20)

    def slow(group, column):
        reads.append(group.number)
        return read_images(group, column)

    monkeypatch.setattr(parquet_records, "read_images", slow)
    found = [[] for _ in range(4)]

    def run(number):
        arrived.wait()
        found[number] = [records.take(slice(None, None, -1)).read(row) for row in range(len(records))]

    threads = [threading.Thread(target=run, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(reads) == list(range(20))
    assert all(rows == found[0] for rows in found)
    assert len({*found[0]}) == 40


def test_what_does_not_fit_is_read_again_and_one_line_says_so(tmp_path, capsys):
    write(tmp_path / "a.parquet", some("x", [0, 1] * 6))
    records = list_parquet(tmp_path).splits["train"].records
    cache = records.cache
    cache.limit = 2 * cache.get(0).nbytes
    order = np.random.default_rng(0).permutation(12)
    rows = {row: records.read(row) for row in order}
    assert [rows[row] for row in range(6)] == [f"x {row}".encode() for row in (0, 10, 2, 4, 6, 8)]  # by name
    assert len(cache._read) <= 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "a row group of about 2 images is read for one" in line


def test_an_error_in_reading_a_row_group_is_not_kept(tmp_path, monkeypatch):
    write(tmp_path / "a.parquet", some("x"))
    records = list_parquet(tmp_path).splits["train"].records
    with monkeypatch.context() as patch:
        patch.setattr(parquet_records, "read_images", lambda *_: (_ for _ in ()).throw(OSError(5, "gone")))
        with pytest.raises(OSError, match="gone"):
            records.read(0)
    assert records.read(0) == b"x 0"


def test_bytes_are_counted_from_the_metadata_alone(tmp_path, monkeypatch):
    write(tmp_path / "a.parquet", [(bytes(size), None, size % 2) for size in (100_000, 100_001, 200_000, 200_001)])
    monkeypatch.setattr(parquet_records, "read_images", None)
    records = list_parquet(tmp_path).splits["train"].records
    assert records.total_bytes(0) == pytest.approx(600_002, rel=0.05)
    assert records.take(np.array([1])).total_bytes(0) == pytest.approx(200_000, rel=0.05)


def test_remote_files_are_read_through_tensorflow():
    tf.io.gfile.makedirs("ram://parquet/data")
    with tf.io.gfile.GFile("ram://parquet/data/train-00000-of-00001.parquet", "wb") as file:
        sink = pa.BufferOutputStream()
        write(pa.PythonFile(sink, "w"), some("x"))
        file.write(sink.getvalue().to_pybytes())
    found = list_parquet("ram://parquet").splits["train"]
    assert contents(found) == ["x 0", "x 4", "x 1", "x 3", "x 2"]
    assert found.records.take(slice(1, 2)).read(0) == b"x 4"
    assert found.records.name(1) == "data/train-00000-of-00001.parquet[4]"


def test_without_pyarrow_one_line_says_how_to_get_it(tmp_path, monkeypatch):
    def imported(name, *arguments, original=builtins.__import__):
        if name.startswith("pyarrow"):
            raise ModuleNotFoundError(name)
        return original(name, *arguments)

    monkeypatch.setattr(builtins, "__import__", imported)
    assert "pip install 'keras-resnet-zoo[parquet]'" in refused(tmp_path)
