"""Catches a split that leaks or moves, and pixels that are not 0 to 255."""

import hashlib

import numpy as np
import pytest
from conftest import ROOT

from keras_resnet import UserError
from keras_resnet.training.data.dataset import Dataset

SHARED = ROOT.parent / "shared" / "data" / "tfds"


@pytest.fixture(scope="module")
def digits(data_dir):
    return Dataset("digits", data_dir)


def test_digits_has_the_fixed_split(digits):
    training, validation = digits.train_and_validation(0.1, seed=0)
    assert (len(training), len(validation), len(digits.test)) == (1293, 144, 360)
    assert digits.class_names == tuple("0123456789")
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
    assert fashion.class_names[9] == "Ankle boot"
    assert fashion.test.images.shape == (10_000, 28, 28, 1)
