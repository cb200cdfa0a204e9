"""Catches crops with another content, size or color than the file, or out of order."""

import contextlib
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from keras_resnet.preprocessing import Preprocessing
from keras_resnet.training.data import memory
from keras_resnet.training.data.batches import InputShard, TrainBatches
from keras_resnet.training.data.class_weights import class_weights
from keras_resnet.training.data.containers.indexes.examples import index_examples
from keras_resnet.training.data.containers.packed_strings import PackedStrings
from keras_resnet.training.data.containers.records import FileRecords, RangeRecords
from keras_resnet.training.data.decoding import kept_images, lazy_images
from keras_resnet.training.data.decoding.bad_images import BadImages
from keras_resnet.training.data.decoding.crop_batches import CropBatches
from keras_resnet.training.data.decoding.lazy_images import LazyImages
from keras_resnet.training.data.decoding.random_crops import random_box, random_boxes
from keras_resnet.training.data.parallel import CORES
from keras_resnet.training.data.splits import EncodedSplit
from keras_resnet.training.recipes import get_recipe

WHOLE = np.array([1 - 2**-24, 0.5, 0, 0], np.float32)  # draws for a box that is all of a square image


def encoded_split(records, channels=3, policy="skip"):
    return EncodedSplit(records, np.arange(len(records)), channels, BadImages(policy))


def files(*paths):
    return FileRecords.of("", map(str, paths))


def examples(order, draws, mirror=None):
    """What `CropBatches.batches` takes."""
    mirror = np.zeros(order.shape, bool) if mirror is None else mirror
    return tf.data.Dataset.from_tensor_slices((order.astype(np.int64), draws, mirror))


def random_crops(split, order, draws, size, min_area):
    """The crops one by one, in the order of the examples."""
    order, draws = np.asarray(order)[np.newaxis], np.asarray(draws)[np.newaxis]
    ((crops, used),) = CropBatches(split, size, min_area).batches(examples(order, draws)).as_numpy_iterator()
    np.testing.assert_array_equal(used, order[0])
    return crops


def recorded(paths, file):
    """The same images in a file like those of tensorflow-datasets."""
    with tf.io.TFRecordWriter(str(file)) as writer:
        for path in paths:
            content = tf.train.Feature(bytes_list=tf.train.BytesList(value=[Path(path).read_bytes()]))
            writer.write(tf.train.Example(features=tf.train.Features(feature={"image": content})).SerializeToString())
    index, count = index_examples(str(file), "image"), len(paths)
    return RangeRecords.of([str(file)], PackedStrings.of([b"x"] * count), np.zeros(count, int), index.offsets, index.lengths)


def smooth(mode="RGB", size=40):
    """An image that JPEG hardly changes and whose corners differ."""
    across, down = np.meshgrid(np.linspace(20, 220, size), np.linspace(30, 200, size))
    return Image.fromarray(np.stack([across, down, 255 - across], -1).astype(np.uint8)).convert(mode)


def exif(orientation):
    values = Image.Exif()
    values[0x0112] = orientation
    return values


KINDS = {
    "plain.jpg": ("RGB", {"quality": 95}),
    "progressive.jpg": ("RGB", {"quality": 95, "progressive": True}),
    "gray.jpg": ("L", {"quality": 95}),
    "cmyk.jpg": ("CMYK", {"quality": 95}),
    "turned.jpg": ("RGB", {"quality": 95, "exif": exif(6)}),
    "mirrored.png": ("RGB", {"exif": exif(2)}),
    "plain.png": ("RGB", {}),
    "alpha.png": ("RGBA", {}),
    "gray_alpha.png": ("LA", {}),
    "palette.png": ("P", {}),
    "bits.png": ("1", {}),
    "some.bmp": ("RGB", {}),
    "some.gif": ("P", {}),
    "see_through.gif": ("P", {"transparency": 3}),
}


@pytest.mark.parametrize("in_records", [False, True])
def test_training_sees_every_kind_of_file_as_evaluation_does(tmp_path, in_records):
    for name, (mode, options) in KINDS.items():
        smooth(mode).save(tmp_path / name, **options)
    Image.fromarray(np.asarray(smooth("L")).astype(np.uint16) * 257).save(tmp_path / "sixteen.png")
    paths = [*(str(tmp_path / name) for name in KINDS), str(tmp_path / "sixteen.png")]
    split = encoded_split(recorded(paths, tmp_path / "set.tfrecord") if in_records else files(*paths))
    draws = np.tile(WHOLE, (len(split), 1))
    found = random_crops(split, np.arange(len(split)), draws, (40, 40), 1.0)
    expected = split.prepared(Preprocessing(40, 40, 3, (0.5,) * 3, (0.5,) * 3))
    for name, one, other in zip([*KINDS, "sixteen.png"], found, expected.images, strict=True):
        assert np.abs(one.astype(int) - other).max() <= 2, name
    np.testing.assert_array_equal(expected.labels, split.labels)


def test_gray_images_come_with_one_channel(tmp_path):
    smooth("L").save(tmp_path / "a.jpg", quality=95)
    smooth("LA").save(tmp_path / "b.png")
    split = encoded_split(files(tmp_path / "a.jpg", tmp_path / "b.png"), channels=1)
    for image in random_crops(split, np.arange(2), np.tile(WHOLE, (2, 1)), (40, 40), 1.0):
        assert np.abs(image[..., 0].astype(int) - np.asarray(smooth("L"))).max() <= 2


def test_crops_come_in_the_order_given_and_depend_on_their_draws_alone(tmp_path, rng):
    for index in range(12):
        Image.new("RGB", (20 + index, 30), (20 * index, 0, 0)).save(tmp_path / f"{index}.png")
    split = encoded_split(files(*(tmp_path / f"{index}.png" for index in range(12))))
    order, draws = rng.permutation(12), rng.random((12, 4), np.float32)
    found = random_crops(split, order, draws, (9, 7), 0.1)
    assert (found.shape, found.dtype) == ((12, 9, 7, 3), np.uint8)
    np.testing.assert_array_equal(found[:, 4, 3, 0], 20 * order)
    smooth().save(tmp_path / "0.png")
    pair = encoded_split(files(tmp_path / "0.png"))
    first, again, other = (random_crops(pair, [0], draw[np.newaxis], (9, 9), 0.1)[0] for draw in draws[[0, 0, 1]])
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)


def test_boxes_keep_their_area_and_aspect_and_stay_inside(rng):
    draws = rng.random((200, 4), np.float32)
    draws[0], draws[1] = 0, 1 - 2**-24
    boxes = random_boxes(draws, (300, 400), 0.2).numpy()
    top, left, height, width = boxes.T
    assert boxes.min() >= 0
    assert (top + height).max() <= 300
    assert (left + width).max() <= 400
    assert (height * width).min() >= 0.199 * 300 * 400
    aspects = width / height
    assert 0.74 < aspects.min() < 0.8 < 1.25 < aspects.max() < 1.35
    assert len({*top}) > 50 and len({*left}) > 50  # noqa: PT018
    np.testing.assert_array_equal(random_box(WHOLE, (50, 50), 1.0), [0, 0, 50, 50])
    np.testing.assert_array_equal(random_box(draws[0], (1, 1), 0.01), [0, 0, 1, 1])


def test_what_does_not_fit_into_memory_is_prepared_when_it_is_asked_for(tmp_path, monkeypatch, capfd):
    for index in range(7):
        smooth(size=10 + index).save(tmp_path / f"{index}.png")
    split = encoded_split(files(*(tmp_path / f"{index}.png" for index in range(7))))
    small, large = (Preprocessing(side, side, 3, (0.5,) * 3, (0.5,) * 3) for side in (8, 12))
    order = np.array([[6, 0], [3, 3], [1, 5]])
    whole = split.prepared(small)
    enlarged = whole.prepared(large)
    assert (whole.shape, enlarged.shape) == ((8, 8, 3), (12, 12, 3))
    assert (whole.images.remembered, type(enlarged.images)) == (True, np.ndarray)
    monkeypatch.setattr(lazy_images, "available_memory", lambda: 1000)
    lazy, lazily_enlarged = split.prepared(small), whole.prepared(large)
    said = "7 images of 8x8 pixels take 0.00134 MB, half of the free memory is 0.0005 MB"
    assert said in capfd.readouterr().err
    for found, expected in ((lazy, whole), (lazily_enlarged, enlarged)):
        assert isinstance(found.images, LazyImages)
        assert not found.images.remembered
        assert found.shape == expected.shape
        np.testing.assert_array_equal(found.labels, expected.labels)
        np.testing.assert_array_equal(found.images[2:5], expected.images[2:5])
        batches, used = map(np.stack, zip(*found.batches(order).as_numpy_iterator(), strict=True))
        np.testing.assert_array_equal(batches, np.stack([expected.images[rows] for rows in order]))
        np.testing.assert_array_equal(used, order)


def test_images_kept_in_memory_give_the_same_crops_and_are_not_read_again(tmp_path, rng):
    for index in range(4):
        smooth(size=40 + index).save(tmp_path / f"{index}.jpg", quality=90)
        smooth(size=50 + index).save(tmp_path / f"turned{index}.jpg", exif=exif(6))
        smooth(size=60 + index).save(tmp_path / f"noted{index}.jpg", exif=exif(1))
        smooth(size=30 + index).save(tmp_path / f"{index}.png")
        smooth(size=20 + index).save(tmp_path / f"{index}.gif")
    paths = sorted(tmp_path.iterdir())
    order, draws, mirror = rng.permutation(20).reshape(2, 10), rng.random((2, 10, 4), np.float32), rng.random((2, 10)) < 0.5
    for split in (encoded_split(recorded(paths, tmp_path / "records")), encoded_split(files(*paths))):
        expected = [*CropBatches(split, (9, 7), 0.1).batches(examples(order, draws, mirror)).as_numpy_iterator()]
        batches = CropBatches(split, (9, 7), 0.1, room=10**6)
        np.testing.assert_equal([*batches.batches(examples(order, draws, mirror)).as_numpy_iterator()], expected)
        for path in {split.records.location(index).partition(": ")[0] for index in range(20)}:
            Path(path).unlink()
        other = slice(None, None, -1)
        again = batches.batches(examples(order[other], draws[other], mirror[other]))
        np.testing.assert_equal([*again.as_numpy_iterator()], expected[other])


@pytest.mark.parametrize("room", [20, 90])
def test_images_that_are_kept_stay_and_no_more_than_there_is_room_for(room, tmp_path, rng):
    """Catches a table that loses images, or counts them again, where a piece of a batch has known and new ones."""
    for index in range(40):
        Image.new("RGB", (100, 100), (6 * index, 0, 0)).save(tmp_path / f"{index:02}.png")
    split = encoded_split(files(*sorted(tmp_path.iterdir())))
    batches, kept = CropBatches(split, (8, 8), 0.1, room=room * 30_000), 0
    for _ in range(4):
        order = rng.permutation(40)[:32].reshape(4, 8)  # the last batch is dropped
        crops = np.stack([crops for crops, _ in batches.batches(examples(order, np.full((4, 8, 4), 0.5, np.float32)))])
        np.testing.assert_array_equal(crops[:, :, 4, 4, 0], 6 * order)
        before, kept = kept, (batches._kept.sides(tf.range(40, dtype=tf.int64)).numpy() == 100).all(1).sum()
        assert kept >= before
    assert kept == 40 if room == 90 else room <= kept <= room + 8 * CORES


def test_images_are_kept_if_all_fit_into_a_quarter_of_the_free_memory(tmp_path, monkeypatch):
    for index in range(3):
        Image.new("RGB", (100, 200)).save(tmp_path / f"{index}.png")
    (tmp_path / "bad.png").write_bytes(b"\x89PNG, and no more")
    for free, expected in ((4 * 300_000, 300_000), (4 * 300_000 - 4, 0)):
        monkeypatch.setattr(kept_images, "available_memory", lambda free=free: free)
        assert encoded_split(files(*sorted(tmp_path.iterdir()))).room == expected
    assert encoded_split(files(tmp_path / "bad.png")).room == 0


def test_images_of_an_archive_are_not_read_to_learn_that_they_do_not_fit(tmp_path, monkeypatch):
    """Catches row groups of a parquet file that are all read before the first step."""
    smooth(size=60).save(tmp_path / "0.png")
    records = recorded([tmp_path / "0.png"] * 5, tmp_path / "records")
    asked, read = [], RangeRecords.read
    monkeypatch.setattr(RangeRecords, "read", lambda self, index: [asked.append(index), read(self, index)][1])
    for free, expected in ((4 * records.total_bytes(0) - 4, []), (10**9, [*range(5)])):
        monkeypatch.setattr(kept_images, "available_memory", lambda free=free: free)
        assert bool(encoded_split(records).room) == bool(expected)
        assert asked == expected


def test_images_are_kept_only_where_they_come_again_and_until_they_are_forgotten(tmp_path):
    draws = {"random_resized_crop": np.zeros((1, 1, 4), np.float32), "horizontal_flip": np.zeros((1, 1, 1), np.float32)}
    given, recipe = tf.data.Dataset.from_tensor_slices((np.zeros((1, 1), np.int64), draws)), get_recipe("he2016_imagenet")
    for again in (False, True):
        smooth().save(tmp_path / "0.png")
        split = encoded_split(files(tmp_path / "0.png"))
        next(iter(split.training_batches(given, (9, 9), recipe, again)))
        (tmp_path / "0.png").unlink()
        with contextlib.nullcontext() if again else pytest.raises(tf.errors.OpError):
            next(iter(split.training_batches(given, (9, 9), recipe, again)))
    (batches,) = split._made.values()
    assert [int(table.size()) for table in (batches._kept._images, batches._kept._sides)] == [1, 2]
    split.forget()
    assert [int(table.size()) for table in (batches._kept._images, batches._kept._sides)] == [0, 0]
    assert not split._made


@pytest.mark.parametrize(("epochs", "pipelines", "expected"), [(1, 1, False), (2, 1, True), (2, 2, False)])
def test_images_come_again_in_later_epochs_of_one_pipeline(epochs, pipelines, expected, tmp_path, monkeypatch):
    smooth().save(tmp_path / "0.png")
    split, asked = encoded_split(files(*[tmp_path / "0.png"] * 4)), []
    made = split._crop_batches
    monkeypatch.setattr(EncodedSplit, "_crop_batches", lambda self, *rest: [asked.append(rest[-1]), made(*rest)][1])
    batches = TrainBatches(split, get_recipe("he2016_imagenet", batch_size=4), 4, (9, 9), (0, 0, 0), 0, 0, epochs=epochs)
    next(iter(batches.dataset(InputShard(0, pipelines, pipelines))))
    assert asked == [expected]


def test_every_class_weighs_the_same_and_the_mean_example_one():
    labels = np.array([0] * 6 + [1] * 3 + [2])
    weights = class_weights(labels, 3)
    assert weights.dtype == np.float32
    np.testing.assert_allclose(weights * [6, 3, 1], 10 / 3, rtol=1e-6)
    assert weights[labels].mean() == pytest.approx(1)


def test_a_container_with_less_memory_than_the_machine_counts(tmp_path, monkeypatch):
    monkeypatch.setattr(memory, "CGROUP", tmp_path)
    (tmp_path / "memory.current").write_text("1000\n")
    for limit, expected in (("5000", 4000), ("900", 0)):
        (tmp_path / "memory.max").write_text(limit)
        assert memory.available_memory() == expected
    (tmp_path / "memory.max").write_text("max\n")
    assert memory.available_memory() > 5000
