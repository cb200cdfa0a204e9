"""Catches WebDataset shards whose samples get other images, labels or splits than they have."""

import io
import json
import os
import tarfile

import numpy as np
import pytest
import tensorflow as tf

from keras_resnet import UserError
from keras_resnet.training.data.containers.folder import list_folder
from keras_resnet.training.data.containers.records import DamagedRecordError
from keras_resnet.training.data.containers.webdataset import list_webdataset


@pytest.fixture(autouse=True)
def _cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("LOCALAPPDATA", str(tmp_path / "cache"))


def shard(path, *members):
    """Writes a tar of (name, content); content is text, or bytes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w", format=tarfile.GNU_FORMAT) as archive:
        for name, content in members:
            data = content if isinstance(content, bytes) else content.encode()
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return path


def samples(keys, labels, suffix=".cls", image=".jpg"):
    for key, label in zip(keys, labels, strict=True):
        yield f"{key}{image}", f"image {key}"
        yield f"{key}{suffix}", label if isinstance(label, str) else str(label)


def listed(listing, split="train"):
    """[(name, label, text of the image)]"""
    records, labels = listing.splits[split].records, listing.splits[split].labels
    return [(records.name(i), int(labels[i]), records.read(i).decode()) for i in range(len(records))]


def test_samples_are_read_with_their_labels_in_the_order_of_all_containers(tmp_path):
    shard(tmp_path / "x-000.tar", *samples(["b", "a", "c"], [10, 9, 10]))
    shard(tmp_path / "x-001.tar", *samples(["dir/e", "d"], ["9\n", "2"], image=".PNG"))
    listing = list_webdataset(tmp_path)
    assert listing.class_names == ("2", "9", "10")
    assert listed(listing) == [
        ("d.PNG", 0, "image d"),
        ("a.jpg", 1, "image a"),
        ("dir/e.PNG", 1, "image dir/e"),
        ("b.jpg", 2, "image b"),
        ("c.jpg", 2, "image c"),
    ]
    assert listing.splits["train"].records.location(0) == f"{tmp_path}/x-001.tar: d.PNG"


def test_shards_of_a_folders_images_are_the_folder(tmp_path):
    """Catches another order, in which the same pictures would make another training."""
    for split in ("train", "test"):
        keys = [f"{split}/{label}/{i}" for label in ("wolf", "ant") for i in (1, 10, 2)]
        for key in keys:
            path = tmp_path / "folder" / f"{key}.jpg"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(f"image {key}")
        shard(tmp_path / "shards" / f"{split}-0.tar", *samples(keys[::-1], [key.split("/")[1] for key in keys[::-1]], ".txt"))
    folder, shards = list_folder(tmp_path / "folder"), list_webdataset(tmp_path / "shards")
    assert shards.class_names == folder.class_names == ("ant", "wolf")
    assert all(listed(shards, split) == listed(folder, split) for split in ("train", "test"))


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("classes.txt", "wolf\nant\nemu\n"),
        ("classnames.txt", "0 wolf\n1 ant\n2 emu\n"),
        ("dataset.json", json.dumps({"name": "zoo", "classes": ["wolf", "ant", "emu"]})),
        ("dataset.json", json.dumps(["wolf", "ant", "emu"])),
    ],
)
@pytest.mark.parametrize("folder", ["", "train/"])
def test_numbers_are_positions_in_the_names_beside_the_shards(tmp_path, file, text, folder):
    shard(tmp_path / f"{folder}x.tar", *samples("abc", [2, 0, 1]))
    (tmp_path / file).write_text(text)
    listing = list_webdataset(tmp_path)
    assert listing.class_names == ("wolf", "ant", "emu")
    assert [(name, label) for name, label, _ in listed(listing)] == [("b.jpg", 0), ("c.jpg", 1), ("a.jpg", 2)]


def test_names_of_classes_are_sorted_unless_a_file_gives_their_order(tmp_path):
    shard(
        tmp_path / "x.tar", *samples("ab", ["wolf", " ant\n"], ".txt"), *samples("c", [json.dumps({"label": "emu"})], ".json")
    )
    assert list_webdataset(tmp_path).class_names == ("ant", "emu", "wolf")
    (tmp_path / "classes.txt").write_text("wolf\nemu\nant\n")
    listing = list_webdataset(tmp_path)
    assert listing.class_names == ("wolf", "emu", "ant")
    assert [(name, label) for name, label, _ in listed(listing)] == [("a.jpg", 0), ("c.jpg", 1), ("b.jpg", 2)]


def test_a_cls_counts_before_json_and_a_caption(tmp_path):
    """As ImageNet's shards on Hugging Face have all three."""
    more = [("a.json", '{"label": 7, "file": "x"}'), ("a.txt", "a caption"), ("b.json", '{"cls": 1}'), ("b.txt", "another")]
    rows = dict([*samples("a", [0]), ("b.webp", b"image b"), *more])
    shard(tmp_path / "x.tar", *sorted(rows.items()))
    assert listed(list_webdataset(tmp_path)) == [("a.jpg", 0, "image a"), ("b.webp", 1, "image b")]


@pytest.mark.parametrize(
    ("names", "splits"),
    [
        (["x-000.tar", "x-001.tar"], {"train": 2}),
        (["train-000.tar", "val-000.tar", "imagenet1k-test-000.tar"], {"train": 1, "validation": 1, "test": 1}),
        (["imagenet1k-train-0001.tar", "imagenet1k-validation-01.tar"], {"train": 1, "validation": 1}),
        (["train/0.tar", "train/1.tar", "valid/0.tar"], {"train": 2, "validation": 1}),
        (["0.tar", "1.tar", "test/0.tar"], {"train": 2, "test": 1}),
        (["train-0.tar", "notes.tar", "val-0.tar"], {"train": 1, "validation": 1}),
    ],
)
def test_splits_are_told_by_the_names_of_shards_or_folders(tmp_path, names, splits):
    for i, name in enumerate(names):
        shard(tmp_path / name, *samples([f"{i}a", f"{i}b"], [0, 1]))
    found = list_webdataset(tmp_path).splits
    assert {split: len(found[split]) // 2 for split in found} == splits


def test_a_pattern_names_shards_as_webdataset_has_it(tmp_path):
    for i in range(12):
        shard(tmp_path / f"{'train' if i < 10 else 'val'}-{i:04d}.tar", *samples([f"{i}a", f"{i}b"], [0, 1]))
    for pattern, count in (
        ("train-{0000..0009}.tar", 20),
        ("train-000{1,3}.tar", 4),
        ("train-000[0-4].tar", 10),
        ("train-0007.tar", 2),
    ):
        assert len(list_webdataset(tmp_path / pattern).splits["train"]) == count
    found = list_webdataset(tmp_path / "{train,val}-*.tar").splits
    assert {split: len(found[split]) for split in found} == {"train": 20, "validation": 4}
    with pytest.raises(UserError, match=r"train-0010.tar, of those that .*\{0000..0010\}.tar names, which does not exist"):
        list_webdataset(tmp_path / "train-{0000..0010}.tar")
    with pytest.raises(UserError, match="fits no file"):
        list_webdataset(tmp_path / "none-*.tar")
    with pytest.raises(UserError, match=r"counts down or beyond"):
        list_webdataset(tmp_path / "train-{0009..0000}.tar")


def test_the_same_key_in_two_shards_is_two_images_with_two_names(tmp_path):
    """Catches a bad image whose name takes another's out: many writers count from 0 in each shard."""
    for i in range(2):
        shard(tmp_path / f"x-{i}.tar", *samples(["0", "1"], [0, 1]))
    names = [name for name, _, _ in listed(list_webdataset(tmp_path))]
    assert names == ["x-0/0.jpg", "x-1/0.jpg", "x-0/1.jpg", "x-1/1.jpg"]


def test_samples_without_an_image_or_a_label_are_counted_and_named(tmp_path, capfd):
    more = [
        ("c.jpg", "image"),
        ("d.cls", "1"),
        ("e.json", '{"caption": "x"}'),
        ("e.jpg", "x"),
        ("._a.jpg", ""),
    ]
    shard(tmp_path / "x.tar", *samples("ab", [0, 1]), *more)
    listing = list_webdataset(tmp_path)
    assert len(listing.splits["train"]) == 2
    (line,) = listing.notes
    assert "1 samples without an image (x.tar/d)" in line
    assert "2 samples without a label (.cls, .json or .txt) (x.tar/c, x.tar/e)" in line


def test_a_shard_that_is_cut_off_loses_its_last_sample_only(tmp_path):
    path = shard(tmp_path / "x.tar", *samples("abc", [0, 1, 0]))  # fmt: skip
    raw = path.read_bytes()
    path.write_bytes(raw[: raw.index(b"image c") + 3])
    listing = list_webdataset(tmp_path)
    assert len(listing.splits["train"]) == 2
    assert "is damaged: it ends at byte" in listing.notes[0]
    assert "1 samples without a label (.cls, .json or .txt) (x.tar/c)" in listing.notes[1]
    path = shard(tmp_path / "x.tar", *samples("ab", [0, 1]), ("c.cls", "1"), ("c.jpg", "image c"))
    raw = path.read_bytes()
    path.write_bytes(raw[: raw.index(b"image c") + 3])
    records = list_webdataset(tmp_path).splits["train"].records
    with pytest.raises(DamagedRecordError, match="ends at byte"):
        records.read(2)
    assert records.read(0) == b"image a"


def test_shards_in_a_bucket_are_read_there(tmp_path):
    local = shard(tmp_path / "x.tar", *samples("abc", [0, 1, 0]))
    for name in ("train/x-0.tar", "val/x-0.tar"):
        tf.io.gfile.makedirs(f"ram://wds/{os.path.dirname(name)}")
        with tf.io.gfile.GFile(f"ram://wds/{name}", "wb") as file:
            file.write(local.read_bytes())
    with tf.io.gfile.GFile("ram://wds/classes.txt", "w") as file:
        file.write("ant\nemu\n")
    listing = list_webdataset("ram://wds")
    assert listing.class_names == ("ant", "emu")
    assert listed(listing, "validation") == listed(list_webdataset(local))
    assert len(list_webdataset("ram://wds/train/x-{0..0}.tar").splits["train"]) == 3
    assert len(list_webdataset("ram://wds/*/x-?.tar").splits["train"]) == 6


def two_images(path):
    shard(path / "x.tar", *samples("ab", [0, 1]), ("c.jpg", "1"), ("c.png", "2"), ("c.cls", "1"))


def two_images_of_one_name(path):
    shard(path / "x.tar", *samples("ab", [0, 1]), *samples("a", [0]))


def two_labels(path):
    shard(path / "x.tar", *samples("ab", [0, 1]), ("b.cls", "0"))


def no_such_class(path):
    shard(path / "x.tar", *samples("ab", [0, 1]), *samples(["dir/c"], [7]))
    (path / "classes.txt").write_text("ant\nbee\ncat\ndog\nemu\n")


def no_such_name(path):
    shard(path / "x.tar", *samples("ab", ["ant", "wolf"], ".txt"))
    (path / "classes.txt").write_text("ant\nbee\ncat\ndog\nemu\nfox\n")


def not_a_number(path):
    shard(path / "x.tar", *samples("ab", [0, "cat"]))


def list_for_a_label(path):
    shard(path / "x.tar", *samples("a", ['{"label": [1]}'], ".json"))


def compressed(path):
    shard(path / "x.tar", *samples("ab", [0, 1]))
    os.rename(path / "x.tar", path / "x.tar.gz")
    (path / "x.tar.gz").write_bytes(b"\x1f\x8b\x08" + bytes(99))


MISTAKES = {
    r"x.tar has two images for the key 'c', .jpg and .png; each key must have one": two_images,
    r"x.tar has two images for the key 'a', not side by side": two_images_of_one_name,
    r"x.tar has two labels for the key 'b', both .cls": two_labels,
    r"x.tar: dir/c.jpg has the label 7; labels must be 0 to 4, as 5 classes have names": no_such_class,
    r"x.tar: b.jpg has the label 'wolf'; it must be one of the 6 classes ant, bee, cat, dog, emu, ...": no_such_name,
    r"x.tar: b.cls holds 'cat'; it must hold the label as an integer": not_a_number,
    r"x.tar: a.cls is not text in UTF-8": lambda path: shard(path / "x.tar", ("a.jpg", ""), ("a.cls", b"\xff\x80")),
    r"x.tar: a.json cannot be read: it is not JSON": lambda path: shard(path / "x.tar", *samples("a", ["{"], ".json")),
    r"x.tar: a.json has the label \[1\]; it must be an integer": list_for_a_label,
    r"x.tar.gz is compressed by gzip, .*`gunzip -k ": compressed,
    r"no shards \(\*.tar\), nor have its folders": lambda path: (path / "train").mkdir(),
    r"no images with labels in its 1 shards": lambda path: shard(path / "x.tar", ("a.jpg", "image"), ("b.cls", "1")),
    r"no images with labels in its 1 shards ": lambda path: shard(path / "x.tar"),
    r"has only '3' as classes": lambda path: shard(path / "x.tar", *samples("ab", [3, 3])),
    r"is called after train and validation": lambda path: shard(path / "train-val-0.tar", *samples("ab", [0, 1])),
    r"60 different labels for 60 images, such as 'a cat 0': are they captions": lambda path: shard(
        path / "x.tar", *samples(map(str, range(60)), [f"a cat {i}" for i in range(60)], ".txt")),
    r"x.tar is not a tar archive": lambda path: (path / "x.tar").write_bytes(b"\1" * 2000),
}  # fmt: skip


@pytest.mark.parametrize("message", MISTAKES)
def test_shards_that_cannot_be_trained_on_are_refused_in_one_line(tmp_path, message):
    (tmp_path / "data").mkdir()
    MISTAKES[message](tmp_path / "data")
    with pytest.raises(UserError, match=message.strip()) as caught:
        list_webdataset(tmp_path / "data")
    assert "\n" not in str(caught.value)


def test_an_unlabeled_test_split_is_left_out(tmp_path):
    shard(tmp_path / "train-0.tar", *samples("ab", [0, 1]))
    shard(tmp_path / "test-0.tar", *samples("cd", [-1, -1]))
    listing = list_webdataset(tmp_path)
    assert list(listing.splits) == ["train"]
    assert "the test split of" in listing.notes[0]


def test_labels_are_kept_from_one_start_to_the_next(tmp_path):
    """Catches a cached index whose labels, of any text, are not those that were read."""
    path = shard(tmp_path / "x.tar", *samples("abc", ["caf\u00e9", "\u732b", "caf\u00e9"], ".txt"))
    os.utime(path, ns=(1, 1))
    first, second = (list_webdataset(tmp_path) for _ in range(2))
    assert first.class_names == second.class_names == ("caf\u00e9", "\u732b")
    np.testing.assert_array_equal(first.splits["train"].labels, second.splits["train"].labels)
    assert listed(first) == listed(second)
    assert len(list((tmp_path / "cache").rglob("*.npz"))) == 1
