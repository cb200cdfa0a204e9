"""Catches a manifest whose rows go to the wrong class or split, or are lost in silence, and one that ends in a traceback."""

import os

import numpy as np
import pytest
import tensorflow as tf

from keras_resnet import UserError
from keras_resnet.training.data.containers.tables import regular_files
from keras_resnet.training.data.containers.tables.csv_manifest import list_csv

IMAGES = ("cat/1.jpg", "cat/2.jpg", "dog/1.jpg", "dog/2.jpg")


@pytest.fixture
def folder(tmp_path):
    for name in (*IMAGES, "test/a, b.jpg"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(name.encode())
    return tmp_path


def listed(folder, text, name="labels.csv", encoding="utf-8"):
    """{split: {the name of an image: its class}} of a manifest, in the order of the images, after reading each of them."""
    (folder / name).write_bytes(text.encode(encoding))
    listing = list_csv(folder / name)
    found = {}
    for split, (records, labels) in ((split, (found.records, found.labels)) for split, found in listing.splits.items()):
        assert labels.dtype == np.int64
        found[split] = {records.name(row): listing.class_names[label] for row, label in enumerate(labels)}
        assert len(found[split]) == len(records)
        for row in range(len(records)):
            assert records.location(row).endswith(os.fsdecode(records.read(row)))
    return found


def refused(folder, text, **options):
    with pytest.raises(UserError) as raised:
        listed(folder, text, **options)
    assert "\n" not in str(raised.value)
    return str(raised.value)


ROWS = [("cat/1.jpg", "cat"), ("dog/1.jpg", "dog"), ("cat/2.jpg", "cat")]
EXPECTED = {"train": {"cat/1.jpg": "cat", "cat/2.jpg": "cat", "dog/1.jpg": "dog"}}


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_every_delimiter_and_encoding_is_found_out(folder, delimiter, encoding):
    lines = [delimiter.join(row) for row in [("Image_Path", "LABEL"), *ROWS]]
    assert listed(folder, "\r\n".join(lines), encoding=encoding) == EXPECTED


@pytest.mark.parametrize(
    "text",
    [
        "label,path\ncat,cat/1.jpg\ndog,dog/1.jpg\ncat,cat/2.jpg",  # columns in any order
        "\n path , label \n\n cat/1.jpg , cat \n\n,\ndog/1.jpg,dog\n   \ncat/2.jpg,cat\n\n",  # blanks, empty lines
        'path,label\n"cat/1.jpg","cat"\n "dog/1.jpg", "dog"\ncat/2.jpg,cat',  # quotes
        "file_name,id,class,note\ncat\\1.jpg,1,cat,x\n.\\dog\\1.jpg,2,dog,\n./cat/2.jpg,3,cat,,,",  # Windows, further columns
        "cat/1.jpg,cat\ndog/1.jpg,dog\ncat/2.jpg,cat",  # no header line
        "path,label\rcat/1.jpg,cat\rdog/1.jpg,dog\rcat/2.jpg,cat",  # the lines of an old Macintosh
    ],
)  # fmt: skip
def test_manifests_as_people_write_them_are_the_same(folder, text):
    assert listed(folder, text) == EXPECTED


def test_splits_are_called_as_in_folders_and_a_value_in_quotes_keeps_its_delimiter(folder):
    text = 'path,label,set\ncat/1.jpg,cat,Training Set\ndog/1.jpg,dog,train\ndog/2.jpg,dog,VAL\n"test/a, b.jpg",cat,test'
    expected = {"train": {"cat/1.jpg": "cat", "dog/1.jpg": "dog"}, "validation": {"dog/2.jpg": "dog"}}
    assert listed(folder, text) == expected | {"test": {"test/a, b.jpg": "cat"}}


def test_integers_are_classes_in_numeric_order_and_a_file_beside_names_them(folder):
    text = "path,label\ncat/1.jpg,10\ncat/2.jpg,9\ndog/1.jpg,9.0\n"
    assert listed(folder, text) == {"train": {"cat/2.jpg": "9", "dog/1.jpg": "9", "cat/1.jpg": "10"}}
    (folder / "classes.txt").write_text("0 ant\n1 dog\n2 cat\n")
    text = "path,label,split\ncat/1.jpg,2,train\ncat/2.jpg,2,train\ndog/1.jpg,1,train\ndog/2.jpg,-1,test\n"
    assert listed(folder, text) == {"train": {"dog/1.jpg": "dog", "cat/1.jpg": "cat", "cat/2.jpg": "cat"}}
    assert list_csv(folder).class_names == ("ant", "dog", "cat")
    assert "the test split" in list_csv(folder).notes[0]
    named = text.replace("2,train", "CAT,train").replace(",1,", ",dog,").replace(",-1,", ",ant,")
    assert "line 2 the label 'CAT'; it must be one of the 3 classes ant, dog, cat" in refused(folder, named)
    assert {*listed(folder, named.replace("CAT", "cat"))} == {"train", "test"}
    assert list_csv(folder).class_names == ("ant", "dog", "cat")
    assert "line 3 the label 3; labels must be 0 to 2" in refused(folder, text.replace("2.jpg,2", "2.jpg,3"))
    message = refused(folder, text.replace("2.jpg,2", "2.jpg,-1"))
    assert "1 of 3 images in its train split without a label" in message
    assert "line 3" in message


def test_names_in_two_unicode_forms_are_one_class(folder):
    text = "path,label\ncat/1.jpg,\u00e9\ncat/2.jpg,e\u0301\ndog/1.jpg,z\n"
    assert listed(folder, text) == {"train": {"cat/1.jpg": "\u00e9", "cat/2.jpg": "\u00e9", "dog/1.jpg": "z"}}


def test_absolute_paths_below_the_manifest_are_named_as_relative_ones_are(folder, tmp_path_factory):
    rows = [(str(folder / "cat/1.jpg"), "cat"), ("dog/1.jpg", "dog"), (str(folder / "cat/2.jpg"), "cat")]
    assert listed(folder, "path,label\n" + "\n".join(map(",".join, rows))) == EXPECTED
    other = tmp_path_factory.mktemp("other") / "3.jpg"
    other.write_bytes(b"3.jpg")
    found = listed(folder, "path,label\n" + "\n".join(map(",".join, [*rows, (str(other), "dog")])))
    assert {*found["train"]} == {*(str(folder / name) for name, _ in ROWS), str(other)}


@pytest.mark.parametrize("few", [0, 100])
def test_what_is_not_a_file_is_counted_and_named_with_its_line(folder, monkeypatch, few):
    monkeypatch.setattr(regular_files, "FEW", few)
    os.mkfifo(folder / "pipe.jpg")
    (folder / "loop.jpg").symlink_to(folder / "loop.jpg")
    (folder / "link.jpg").symlink_to(folder / "cat/2.jpg")
    lines = ["cat/1.jpg,cat", "gone.jpg,cat", "pipe.jpg,cat", "cat,cat", "loop.jpg,dog", "dog/1.jpg,dog", "x/y.jpg,dog"]
    (folder / "labels.csv").write_text("path,label\n" + "\n".join([*lines, "n\0.jpg,dog", "link.jpg,dog", "dog/1.jpg,dog"]))
    listing = list_csv(folder)
    assert len(listing.splits["train"]) == 3
    (line,) = listing.notes
    assert "of the 10 rows" in line
    assert "7 are not used" in line
    assert "4 do not exist (gone.jpg in line 3, loop.jpg in line 6, x/y.jpg in line 8, ...)" in line
    assert "2 are not regular files (pipe.jpg in line 4, cat in line 5)" in line
    assert "1 repeat a row above (dog/1.jpg in line 11)" in line


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("", ["is empty"]),
        ("path,label\n", ["lists no images"]),
        ("file,kind\ncat/1.jpg,cat\n", ["the columns file, kind", "path, image_path", "label, labels"]),
        ("cat/9.jpg,cat\ncat/1.jpg,cat\n", ["the columns cat/9.jpg, cat"]),
        ("path,label,Label\ncat/1.jpg,cat,cat\n", ["2 columns called label"]),
        ("path,label\ncat/1.jpg,cat\ncat/2.jpg\n", ["line 3 1 columns", "2"]),
        ("path,label\ncat/1.jpg,cat\ntest/a, b.jpg,cat\n", ["line 3 3 columns", "double quotes"]),
        ("path,label\n\ncat/1.jpg, \n", ["no label in line 3"]),
        ("path,label\n\n ,cat\n", ["no path in line 3"]),
        ("path,label,split\ncat/1.jpg,cat,train\ndog/1.jpg,dog,dev\n", ["line 3 the split 'dev'", "train, validation, test"]),
        ("path,label,split\ncat/1.jpg,cat,\n", ["line 2 the split ''"]),
        ("path,label\ncat/1.jpg,cat|dog\n", ["line 2 more than one label, 'cat|dog'"]),
        ("path,labels\ncat/1.jpg,cat\ncat/2.jpg,cat dog\n", ["line 3 more than one label, 'cat dog'", "`label`"]),
        ("path,label\ncat/1.jpg,cat\ndog/1.jpg,dog\n.\\cat\\1.jpg,dog\n", ["cat/1.jpg different classes in lines 2 and 4"]),
        (
            "path,label,split\ncat/1.jpg,cat,train\ndog/1.jpg,dog,train\ncat/1.jpg,cat,test\n",
            ["cat/1.jpg different splits in lines 2 and 4"],
        ),
        ("path,label\ncat/8.jpg,cat\ncat/9.jpg,dog\n", ["no image that can be used", "2 do not exist (cat/8.jpg in line 2"]),
        ("path,label\ncat/1.jpg,cat\ncat/2.jpg,cat\n", ["only 'cat' as classes"]),
        ("path,label\ncat/1.jpg,-2\ncat/2.jpg,1\n", ["line 2 the label -2"]),
        ('path,label\ncat/1.jpg,"cat\ncat/2.jpg,dog\n', ["line 3", "not CSV"]),
        ("path,label\ncat/1.jpg,ca\x01t\ncat/2.jpg,dog\n", ["not a line of text"]),
    ],
)
def test_a_wrong_manifest_is_refused_in_one_line(folder, text, parts):
    message = refused(folder, text)
    assert str(folder / "labels.csv") in message
    for part in parts:
        assert part in message


@pytest.mark.parametrize("content", [b"PK\x03\x04\xff\xfe", "path,label\ncat/1.jpg,\xe9\n".encode("latin-1"), b"\xff\xfea"])
def test_what_is_not_text_is_refused(folder, content):
    (folder / "labels.csv").write_bytes(content)
    with pytest.raises(UserError, match="not a text file in UTF-8"):
        list_csv(folder)


def test_the_column_that_is_used_is_said_where_two_would_do(folder):
    assert listed(folder, "path,category,label\ncat/1.jpg,x,cat\ndog/1.jpg,x,dog\ncat/2.jpg,y,cat\n") == EXPECTED
    assert "in the column label, not in category" in list_csv(folder).notes[0]


def test_a_folder_must_hold_one_manifest(folder):
    with pytest.raises(UserError, match="no CSV or TSV file"):
        list_csv(folder)
    for name in ("b.csv", "a.TSV", "._b.csv"):
        (folder / name).write_text("path\tlabel\n")
    with pytest.raises(UserError, match=r"has a\.TSV, b\.csv in it"):
        list_csv(folder)
    with pytest.raises(UserError, match="does not exist"):
        list_csv(folder / "c.csv")


def test_a_remote_manifest_names_remote_images():
    for name in ("cat/1.jpg", "dog/1.jpg"):
        with tf.io.gfile.GFile(f"ram://manifest/{name}", "wb") as file:
            file.write(name.encode())
    with tf.io.gfile.GFile("ram://manifest/labels.csv", "wb") as file:
        file.write("path,label\ncat/1.jpg,cat\nram://manifest/dog/1.jpg,dog\ncat/2.jpg,dog\n".encode("utf-16"))
    for path in ("ram://manifest/labels.csv", "ram://manifest"):
        records = list_csv(path).splits["train"].records
        assert [records.location(row) for row in range(2)] == ["ram://manifest/cat/1.jpg", "ram://manifest/dog/1.jpg"]
        assert [records.name(row) for row in range(2)] == ["cat/1.jpg", "dog/1.jpg"]
        assert records.content(tf.constant(1)).numpy() == records.read(1) == b"dog/1.jpg"
    with pytest.raises(UserError, match="does not exist"):
        list_csv("ram://manifest/others.csv")
