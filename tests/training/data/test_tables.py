"""Catches a table that gives other batches than the folder with the same pictures, and damage in one that ends a training."""

import csv
import io
import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from keras_resnet import UserError
from keras_resnet.training.data.dataset import Dataset, class_names_of

CLASSES = ("ant", "bee")


@pytest.fixture
def folder(tmp_path, rng):
    """Images of several sizes, as JPEGs and PNGs, of which three are the test's; below it a CSV file and parquet files."""
    for split, count in (("train", 12), ("test", 3)):
        rows = []
        for row in rng.permutation(count * 2):
            label, name = int(row % 2), f"{split}/{CLASSES[row % 2]}/{row // 2}.{'jpg' if row % 4 else 'png'}"
            path = tmp_path / "images" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(rng.integers(0, 256, (20 + row, 30, 3), np.uint8)).save(path)
            rows.append((name, label, path.read_bytes()))
        with open(tmp_path / "images" / "labels.csv", "a", newline="") as file:
            csv.writer(file).writerows([] if split == "test" else [("path", "label", "split")])
            csv.writer(file).writerows((name, CLASSES[label], split) for name, label, _ in rows)
        write_parquet(tmp_path / "parquet" / "data" / f"{split}-00000-of-00001.parquet", rows)
    return tmp_path


def write_parquet(path, rows):
    path.parent.mkdir(parents=True, exist_ok=True)
    images = [{"bytes": content, "path": name} for name, _, content in rows]
    table = pa.table({"image": images, "label": [label for _, label, _ in rows]})
    features = {"image": {"_type": "Image"}, "label": {"names": CLASSES, "_type": "ClassLabel"}}
    table = table.replace_schema_metadata({"huggingface": json.dumps({"info": {"features": features}})})
    pq.write_table(table, path, row_group_size=5)


@pytest.mark.parametrize(("name", "data_dir"), [("csv", "images/labels.csv"), ("csv", "images"), ("parquet", "parquet")])
def test_the_same_pictures_are_the_same_data_set(folder, name, data_dir):
    """In the same order, so that batches are the same, and with the same images cut for validation."""
    expected, found = Dataset("folder", folder / "images"), Dataset(name, folder / data_dir)
    assert found.class_names == expected.class_names == class_names_of(name, folder / data_dir) == CLASSES
    for one, other in zip(
        (expected.test, *expected.train_and_validation(0.25, 3)),
        (found.test, *found.train_and_validation(0.25, 3)),
        strict=True,
    ):
        np.testing.assert_array_equal(one.labels, other.labels)
        assert len(one)
        records = one.records, other.records
        assert [records[0].read(row) for row in range(len(one))] == [records[1].read(row) for row in range(len(one))]
        assert [records[0].name(row) for row in range(len(one))] == [records[1].name(row) for row in range(len(one))]


def test_a_bad_image_in_a_parquet_file_is_named_and_left_out(folder, capsys):
    file = io.BytesIO()
    Image.new("RGB", (8, 8)).save(file, "PNG")
    rows = [
        ("a.png", 0, file.getvalue()),
        ("b.png", 1, file.getvalue()[:40]),
        ("c.png", 1, None),
        ("d.png", 1, file.getvalue()),
    ]
    write_parquet(folder / "bad" / "test.parquet", rows)
    dataset = Dataset("parquet", folder / "bad")
    assert len(dataset.test) == 2
    assert len(dataset.bad_images) == 2
    (line,) = capsys.readouterr().err.splitlines()
    for part in ("2 of 4", "row 1 of row group 0", "row 2 of row group 0 has no image"):
        assert part in line
    with pytest.raises(UserError, match=r"row 1 of row group 0"):
        print(Dataset("parquet", folder / "bad", on_bad_image="fail").test)


def test_without_data_dir_one_line_says_what_it_is():
    for name, part in (("csv", "CSV or TSV"), ("parquet", "parquet file")):
        with pytest.raises(UserError, match=f"needs --data_dir.*{part}"):
            Dataset(name)
