"""Catches TFRecord shards whose images, labels or classes are not those that TensorFlow reads, and damage unnoticed."""

import gzip
import os

import numpy as np
import pytest
import tensorflow as tf

from keras_resnet import UserError
from keras_resnet.training.data.containers.indexes.examples import index_examples
from keras_resnet.training.data.containers.records import DamagedRecordError
from keras_resnet.training.data.containers.tfrecord import list_tfrecord


@pytest.fixture(autouse=True)
def _cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("LOCALAPPDATA", str(tmp_path / "cache"))


def feature(value):
    if isinstance(value, list):
        return tf.train.Feature(float_list=tf.train.FloatList(value=value))
    if isinstance(value, int):
        return tf.train.Feature(int64_list=tf.train.Int64List(value=[value]))
    value = value.encode() if isinstance(value, str) else value
    return tf.train.Feature(bytes_list=tf.train.BytesList(value=[value]))


def example(**values):
    """An example whose features have the names and values; "__" stands for "/"."""
    features = {key.replace("__", "/"): feature(value) for key, value in values.items()}
    return tf.train.Example(features=tf.train.Features(feature=features))


def imagenet(label, name, text=None, synset=None):
    """An example as TF-Slim's build_imagenet_data.py writes it."""
    more = {} if text is None else {"image__class__text": text}
    more |= {} if synset is None else {"image__class__synset": synset}
    return example(
        image__height=500, image__width=375, image__colorspace="RGB", image__channels=3, image__format="JPEG",
        image__object__bbox__xmin=[0.1, 0.5], image__object__bbox__label=label, image__class__label=label,
        image__filename=name, image__encoded=f"image {name}" * 40, **more,
    )  # fmt: skip


def shard(path, *examples):
    path.parent.mkdir(parents=True, exist_ok=True)
    with tf.io.TFRecordWriter(str(path)) as writer:
        for each in examples:
            writer.write(each if isinstance(each, bytes) else each.SerializeToString())
    return path


def listed(listing, split="train"):
    """[(name, label, bytes)]"""
    records, labels = listing.splits[split].records, listing.splits[split].labels
    return [(records.name(i), int(labels[i]), records.read(i)) for i in range(len(records))]


def content(name):
    return f"image {name}".encode() * 40


def test_imagenet_as_tf_slim_writes_it_has_its_synsets_for_classes(tmp_path):
    """Catches labels that are off by one: 1 to 1000 in these files, as 0 is the background."""
    shard(
        tmp_path / "train-00000-of-00002",
        imagenet(2, "b.JPEG", "goldfish", "n01443537"),
        imagenet(1, "c.JPEG", "tench", "n01440764"),
    )
    shard(tmp_path / "train-00001-of-00002", imagenet(1, "a.JPEG", "tench", "n01440764"))
    shard(tmp_path / "validation-00000-of-00001", imagenet(2, "d.JPEG", "goldfish", "n01443537"))
    listing = list_tfrecord(tmp_path)
    assert listing.class_names == ("n01440764", "n01443537")
    assert listed(listing) == [(f"{n}.JPEG", label, content(f"{n}.JPEG")) for n, label in (("a", 0), ("c", 0), ("b", 1))]
    assert listed(listing, "validation") == [("d.JPEG", 1, content("d.JPEG"))]
    assert listing.splits["train"].records.location(0) == f"{tmp_path}/train-00001-of-00002: a.JPEG"
    assert listing.notes == ()


@pytest.mark.parametrize(
    ("labels", "names", "classes", "note"),
    [
        ([0, 1, 2], None, {0: "0", 1: "1", 2: "2"}, False),
        ([5, 3, 10], None, {3: "3", 5: "5", 10: "10"}, False),
        ([0, 1, 2], "ant\nbee\ncat\n", {0: "ant", 1: "bee", 2: "cat"}, False),
        ([1, 2, 3], "ant\nbee\ncat\n", {1: "ant", 2: "bee", 3: "cat"}, True),
        ([1, 2], "ant\nbee\ncat\n", {1: "bee", 2: "cat"}, False),
        ([1, 2], "0:background\n1:ant\n2:bee\n", {1: "ant", 2: "bee"}, True),
    ],
)
def test_labels_begin_at_0_or_1_as_the_names_beside_them_say(tmp_path, labels, names, classes, note):
    shard(tmp_path / "x.tfrecord", *(example(image=f"image {label}", label=label) for label in labels))
    if names:
        (tmp_path / "labels.txt").write_text(names)
    listing = list_tfrecord(tmp_path)
    found = {int(data.decode().removeprefix("image ")): listing.class_names[label] for _, label, data in listed(listing)}
    assert found == classes
    assert bool(listing.notes) == note
    if note:
        assert "labels are counted from 1: label 1 is 'ant'" in listing.notes[0]


def test_classes_that_are_called_alike_stay_two(tmp_path):
    """As ImageNet's two cranes, the bird and the machine, in shards without synsets."""
    shard(tmp_path / "x.tfrecord", imagenet(135, "a", "crane"), imagenet(518, "b", "crane"), imagenet(2, "c", "goldfish"))
    assert list_tfrecord(tmp_path).class_names == ("goldfish", "crane (135)", "crane (518)")


def test_examples_without_names_are_called_by_their_positions(tmp_path):
    for number in range(2):
        shard(tmp_path / f"train-{number:05d}-of-00002", example(image="a", label=0), example(image="b", label=1))
    names = [name for name, _, _ in listed(list_tfrecord(tmp_path))]
    assert names == [f"train-{number:05d}-of-00002/00000{position}" for position in (0, 1) for number in (0, 1)]


def test_labels_may_be_the_names_of_classes(tmp_path):
    shard(tmp_path / "x.tfrecord", *(example(image="x", label=label) for label in ("wolf", "ant", "wolf")))
    listing = list_tfrecord(tmp_path)
    assert (listing.class_names, listing.splits["train"].labels.tolist()) == (("ant", "wolf"), [0, 1, 1])


def test_images_are_found_in_whatever_order_and_way_an_example_is_written(tmp_path, rng):
    """Against TensorFlow's own parser: protocol buffers may repeat, reorder and split what they hold, and hold more."""
    usual = [imagenet(label, f"{label}.JPEG").SerializeToString() for label in (0, 1, -1, 2**62, -(2**62))]
    large = example(image__encoded=rng.bytes(70_000), image__class__label=5, image__filename="l" * 300).SerializeToString()
    entry = b"\x12\x08\x0a\x06\x0a\x04data\x0a\x0dimage/encoded"  # the feature before its key
    label = b"\x0a\x11image/class/label\x12\x04\x1a\x02\x08\x07"  # an integer that is not packed
    odd = b"".join(b"\x0a" + bytes([len(part)]) + part for part in (entry, label))
    odd = b"\x0a" + bytes([len(odd)]) + odd
    twice = usual[0] + example(image__encoded="other", image__class__label=9).SerializeToString()
    unknown = b"\x50\x07" + usual[1] + b"\x5a\x02xx" + b"\x61" + bytes(8) + b"\x6d" + bytes(4)
    path = shard(tmp_path / "x", *usual, large, odd, twice, unknown)
    index = index_examples(str(path), "image/encoded", "image/class/label", "", "image/filename")
    raw = path.read_bytes()
    parsed = [tf.train.Example.FromString(each.numpy()).features.feature for each in tf.data.TFRecordDataset(str(path))]
    assert len(parsed) == len(index.offsets) == 9
    for i, features in enumerate(parsed):
        start, stop = index.offsets[i], index.offsets[i] + index.lengths[i]
        assert raw[start:stop] == features["image/encoded"].bytes_list.value[0]
        assert int(index.labels[index.label_of[i]]) == features["image/class/label"].int64_list.value[0]
        names = features["image/filename"].bytes_list.value
        assert index.names[i] == (names[0] if names else b"")
    assert index.end == ""


def test_an_example_without_an_image_is_damaged_and_the_others_are_used(tmp_path):
    shard(
        tmp_path / "x.tfrecord",
        example(image="a", label=0),
        example(label=0),
        example(image="c", label=1),
        example(image=3, label=1),
    )
    records = list_tfrecord(tmp_path).splits["train"].records
    assert [records.read(0), records.read(2)] == [b"a", b"c"]
    for index in (1, 3):
        with pytest.raises(DamagedRecordError, match="has no image"):
            records.read(index)
    assert records.total_bytes(99) == 2


def test_a_shard_that_is_cut_off_or_damaged_keeps_what_stands_before(tmp_path):
    path = shard(tmp_path / "x.tfrecord", *(example(image=f"image {i}", label=i % 2) for i in range(6)))
    raw = path.read_bytes()
    record = len(raw) // 6
    for damaged, said in (
        (raw[:-3], "it ends at byte "),
        (raw[: -record + 5], "it ends at byte "),
        (raw[: 5 * record] + b"\1" + raw[5 * record + 1 :], "does not have its checksum"),
        (raw[: 5 * record + 12] + b"\xff" * 9 + raw[5 * record + 21 :], "there is no example at byte"),
    ):
        path.write_bytes(damaged)
        listing = list_tfrecord(tmp_path)
        assert len(listing.splits["train"]) == 5
        assert said in listing.notes[0]
        assert listing.notes[0].startswith(f"{path} is damaged: ")


def test_missing_shards_are_counted_and_named(tmp_path):
    shard(tmp_path / "train-00001-of-01024", example(image="a", label=0), example(image="b", label=1))
    (note,) = list_tfrecord(tmp_path).notes
    assert note.startswith("1023 of 1024 shards are missing, such as ")
    assert "train-00000-of-01024; the others are used" in note


def test_shards_in_a_bucket_are_read_there(tmp_path):
    examples = [imagenet(label, f"{label}.JPEG", synset=f"n{label}") for label in (1, 2, 1)]
    shard(tmp_path / "val-00000-of-00001", *examples[:2])
    local = list_tfrecord(shard(tmp_path / "train-00000-of-00001", *examples[:2]).parent)
    for name in ("train-00000-of-00001", "val-00000-of-00001"):
        with tf.io.gfile.GFile(f"ram://imagenet/{name}", "wb") as file:
            file.write((tmp_path / name).read_bytes())
    remote = list_tfrecord("ram://imagenet")
    assert remote.class_names == local.class_names
    assert all(listed(remote, split) == listed(local, split) for split in ("train", "validation"))


def compressed(path):
    with gzip.open(path / "x.tfrecord.gz", "wb") as file:
        file.write(shard(path / "y", example(image="a", label=0)).read_bytes())


def two_names(path):
    shard(path / "train-00000-of-00002", imagenet(1, "a", "tench"), imagenet(2, "b", "goldfish"))
    shard(path / "train-00001-of-00002", imagenet(1, "c", "shark"))


def no_such_class(path):
    shard(path / "x.tfrecord", *(example(image="x", label=label) for label in (0, 1, 7)))
    (path / "classes.txt").write_text("ant\nbee\ncat\ndog\nemu\n")


def partly_unlabeled(path):
    shard(path / "x.tfrecord", example(image="a", label=0), example(image="b", label=1), example(image="c"))


MISTAKES = {
    r"x.tfrecord.gz is compressed by gzip, .*: `gunzip -k ": compressed,
    r"calls the label 1 'tench', but 'shark' in .*train-00001-of-00002": two_names,
    r"the label 7; labels must be 0 to 4, as 5 classes have names": no_such_class,
    r"1 of 3 images in its train split without a label": partly_unlabeled,
    r"has no feature with an encoded image, which may be image/encoded, image, image_raw, ...; there are label, photo":
        lambda path: shard(path / "x.tfrecord", example(photo="a", label=0)),
    r"has no feature with a label, which may be image/class/label, label, class, ...; there are image, kind":
        lambda path: shard(path / "x.tfrecord", example(image="a", kind=0)),
    r"x.tfrecord is not a TFRecord file of examples, or a damaged one: the length":
        lambda path: (path / "x.tfrecord").write_bytes(b"no records" * 9),
    r"x.tfrecord is not a TFRecord file of examples, or a damaged one: there is no example":
        lambda path: shard(path / "x.tfrecord", b"not a protocol buffer"),
    r"x.tfrecord is not a TFRecord file of examples, or a damaged one: it ends at byte 5":
        lambda path: (path / "x.tfrecord").write_bytes(b"\1\0\0\0\0"),
    r"is empty: its shards have no examples": lambda path: (path / "x.tfrecord").touch(),
    r"has no shards \(\*-00000-of-00010 or \*.tfrecord\)": lambda path: (path / "notes.txt").touch(),
    r"has only '3' as classes": lambda path: shard(path / "x.tfrecord", example(image="a", label=3)),
}  # fmt: skip


@pytest.mark.parametrize("message", MISTAKES)
def test_shards_that_cannot_be_trained_on_are_refused_in_one_line(tmp_path, message):
    (tmp_path / "data").mkdir()
    MISTAKES[message](tmp_path / "data")
    with pytest.raises(UserError, match=message) as caught:
        list_tfrecord(tmp_path / "data")
    assert "\n" not in str(caught.value)


def test_what_is_kept_of_an_index_is_what_was_found(tmp_path):
    """Catches labels and names that a cached index loses."""
    path = shard(
        tmp_path / "x.tfrecord", imagenet(2, "b", "w\u00f6lfe"), imagenet(1, "a", "\u732b"), imagenet(2, "c", "w\u00f6lfe")
    )
    os.utime(path, ns=(1, 1))
    first, second = (list_tfrecord(tmp_path) for _ in range(2))
    assert len(list((tmp_path / "cache").rglob("*.npz"))) == 1
    assert first.class_names == second.class_names == ("\u732b", "w\u00f6lfe")
    assert listed(first) == listed(second)
    np.testing.assert_array_equal(first.splits["train"].labels, second.splits["train"].labels)
