"""Catches a split that leaks or moves, and pixels that are not 0 to 255."""

import hashlib

import numpy as np
import pytest
from conftest import ROOT

from keras_resnet import UserError
from keras_resnet.training.batches import evaluation_batches, training_batches
from keras_resnet.training.datasets import Dataset, Split
from keras_resnet.training.recipes import find

SHARED = ROOT.parent / "shared" / "data" / "tfds"


@pytest.fixture(scope="module")
def digits(data_dir):
    return Dataset("digits", data_dir)


def test_digits_has_the_fixed_split(digits):
    training, validation = digits.train_and_validation(0.1, seed=0)
    assert (len(training), len(validation), len(digits.test)) == (1293, 144, 360)
    assert digits.labels == tuple("0123456789")
    assert np.all(np.bincount(digits.test.labels) == 36)
    assert digits.test.images.shape == (360, 8, 8, 1)
    assert digits.test.images.dtype == np.uint8
    assert (digits.test.images.min(), digits.test.images.max()) == (0, 255)
    found = hashlib.sha256(digits.test.images.tobytes() + digits.test.labels.astype("int64").tobytes()).hexdigest()
    assert found == "2990c32aeb64c36fb08f6bad109dede02f16842c63e1f80616d4a6686b8819c0"


def test_validation_is_cut_from_training_without_overlap_by_the_seed(digits):
    def rows(split):
        return sorted(image.tobytes() for image in split.images)

    one, two = digits.train_and_validation(0.1, seed=1)
    again, _ = digits.train_and_validation(0.1, seed=1)
    other, _ = digits.train_and_validation(0.1, seed=2)
    np.testing.assert_array_equal(one.images, again.images)
    assert rows(one) != rows(other)
    whole, nothing = digits.train_and_validation(1e-9, seed=3)
    assert sorted(rows(one) + rows(two)) == sorted(rows(whole) + rows(nothing))


@pytest.mark.parametrize("name", ["digts", "no_such_set_at_all"])
def test_an_unknown_dataset_is_refused(name, data_dir):
    with pytest.raises(UserError, match=f"unknown dataset '{name}'"):
        Dataset(name, data_dir)


@pytest.mark.skipif(
    not SHARED.is_dir(), reason="needs Fashion-MNIST as tensorflow-datasets lays it down, in ../shared/data/tfds"
)
def test_any_prepared_set_of_tensorflow_datasets_loads():
    fashion = Dataset("fashion_mnist", SHARED)
    assert fashion.labels[9] == "Ankle boot"
    assert fashion.test.images.shape == (10_000, 28, 28, 1)


def numbered(count):
    """A split in which image i is filled with i."""
    return Split(np.arange(count, dtype=np.uint8)[:, None, None, None] * np.ones((1, 4, 4, 1), np.uint8), np.arange(count))


def collect(batches):
    return [[np.asarray(part) for part in batch] for batch in batches]


def test_an_epoch_is_a_function_of_seed_and_epoch():
    """Catches a continued run that sees other batches than the run that was never stopped."""

    def epoch(seed, epoch):
        batches = training_batches(numbered(40), find("digits", batch_size=8, pad=1, flip=True), [0], seed=seed, epoch=epoch)
        return np.concatenate([np.concatenate([x.ravel(), y]) for x, y in collect(batches)])

    np.testing.assert_array_equal(epoch(0, 3), epoch(0, 3))
    assert not np.array_equal(epoch(0, 3), epoch(0, 4))
    assert not np.array_equal(epoch(0, 3), epoch(1, 3))


def test_every_training_image_comes_once_per_epoch_with_its_label():
    batches = collect(training_batches(numbered(43), find("digits", batch_size=8), [0], seed=0, epoch=0))
    assert [len(labels) for _, labels in batches] == [8] * 5
    labels = np.concatenate([labels for _, labels in batches])
    assert len(set(labels)) == 40
    np.testing.assert_array_equal(np.concatenate([images[:, 0, 0, 0] for images, _ in batches]), labels)


@pytest.mark.parametrize(("count", "batch_size"), [(10, 4), (8, 4), (3, 8)])
def test_evaluation_sees_every_image_once_whatever_the_batch_size(count, batch_size):
    batches = collect(evaluation_batches(numbered(count), batch_size))
    assert {len(labels) for _, labels, _ in batches} == {batch_size}
    seen = np.concatenate([labels[weights > 0] for _, labels, weights in batches])
    np.testing.assert_array_equal(seen, np.arange(count))
