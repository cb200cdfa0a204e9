"""Catches batches that depend on who asks for them: on the worker, the replica or the moment a run was resumed."""

import dataclasses

import numpy as np
import pytest

from keras_resnet.training.data import augmentation
from keras_resnet.training.data.augmentation import Augmentation, draw_augmentations, uniforms
from keras_resnet.training.data.batches import EvalBatches, InputShard, TrainBatches
from keras_resnet.training.data.splits import ArraySplit
from keras_resnet.training.recipes import get_recipe

RECIPE = get_recipe("digits", batch_size=8, crop_padding=1, flip=True, cutout=2)
WHOLE = InputShard()


def numbered(count):
    """A split in which image i is filled with i."""
    return ArraySplit(np.arange(count, dtype=np.uint8)[:, None, None, None] * np.ones((1, 4, 4, 1), np.uint8), np.arange(count))


def textured(count):
    return ArraySplit(np.random.default_rng(0).integers(0, 256, (count, 6, 6, 3)).astype(np.uint8), np.arange(count))


def epoch(split, recipe=RECIPE, number=0, seed=0, start=0):
    return TrainBatches(split, recipe, len(split), split.images.shape[1:3], (0,) * split.images.shape[3], seed, number, start)


def collect(batches, shard=WHOLE):
    return [[np.asarray(values) for values in batch] for batch in batches.dataset(shard)]


def joined(batches):
    return [np.concatenate(values) for values in zip(*batches, strict=True)]


@pytest.fixture(scope="module")
def whole_epoch():
    """The batches of `epoch(textured(40))`."""
    return collect(epoch(textured(40)))


def assert_same(one, other):
    for ours, theirs in zip(joined(one), joined(other), strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_an_epoch_is_a_function_of_seed_and_epoch(whole_epoch):
    split = textured(40)
    assert_same(whole_epoch, collect(epoch(split)))
    for other in (epoch(split, number=1), epoch(split, seed=1)):
        assert not np.array_equal(joined(whole_epoch)[0], joined(collect(other))[0])


def test_one_pipeline_goes_through_the_epochs_as_one_for_each_does():
    split = textured(40)
    together = dataclasses.replace(epoch(split, number=1, start=3), epochs=3)
    one_by_one = [epoch(split, number=1, start=3), epoch(split, number=2), epoch(split, number=3)]
    assert_same(collect(together), [batch for batches in one_by_one for batch in collect(batches)])
    assert together.following() == dataclasses.replace(one_by_one[1], epochs=2)
    assert one_by_one[2].following() is None


def test_the_order_of_an_epoch_does_not_depend_on_augmentation():
    """Catches a change of recipe that changes the order, and an order other than that of the published figures."""
    expected = np.random.default_rng([3, 2]).permutation(40)
    for recipe in (RECIPE, get_recipe("digits", batch_size=8)):
        _, targets = joined(collect(epoch(textured(40), recipe, number=2, seed=3)))
        np.testing.assert_array_equal(targets.argmax(axis=1), expected)


def test_a_new_augmentation_leaves_the_numbers_of_the_others_unchanged(monkeypatch):
    """Catches a shared random stream: another row of the table would then change every recipe and every resumed run."""
    everything = {"min_crop_area": 0.5, "crop_padding": 1, "flip": True, "cutout": 2, "mixup": 0.5, "cutmix": 1.0}
    recipe = get_recipe("digits", batch_size=8, **everything)
    before, images_before = draw_augmentations(recipe, 1, 2, 40), collect(epoch(textured(40), recipe))
    seen = []
    first = Augmentation("a_new_one", lambda recipe: True, uniforms(3), lambda batch, draws, recipe: seen.append(draws.shape))
    unused = Augmentation("unused", lambda recipe: False, pytest.fail, pytest.fail)
    monkeypatch.setattr(augmentation, "AUGMENTATIONS", (first, unused, *augmentation.AUGMENTATIONS))
    after = draw_augmentations(recipe, 1, 2, 40)
    assert set(after) - set(before) == {"a_new_one"}
    for name, drawn in before.items():
        np.testing.assert_array_equal(after[name], drawn)
    assert_same(images_before, collect(epoch(textured(40), recipe)))
    assert seen == [(8, 3)]
    firsts = [drawn[0, 0] for drawn in after.values()]
    assert len({*firsts}) == len(firsts)  # no two have the same stream


def test_a_recipe_without_augmentation_draws_nothing():
    assert draw_augmentations(get_recipe("digits"), 0, 0, 10) == {}


def test_every_training_image_comes_once_per_epoch_with_its_label():
    batches = collect(epoch(numbered(43), get_recipe("digits", batch_size=8)))
    assert [len(targets) for _, targets in batches] == [8] * 5
    images, targets = joined(batches)
    labels = targets.argmax(axis=1)
    assert len(set(labels)) == 40
    np.testing.assert_array_equal(images[:, 0, 0, 0], labels)


def test_an_epoch_begun_in_the_middle_is_the_rest_of_the_whole_one(whole_epoch):
    assert_same(collect(epoch(textured(40), start=2)), whole_epoch[2:])


@pytest.mark.parametrize(("pipelines", "replicas"), [(1, 2), (2, 2), (2, 4), (4, 4)])
def test_workers_share_the_same_batches_without_overlap(pipelines, replicas, whole_epoch):
    """Together, replica by replica, they see just what one device sees, augmentation and all."""
    split, local = textured(40), replicas // pipelines
    shards = [collect(epoch(split), InputShard(index, pipelines, replicas)) for index in range(pipelines)]
    together = [shard[step * local + piece] for step in range(5) for shard in shards for piece in range(local)]
    assert_same(together, whole_epoch)


def test_workers_share_an_evaluation_without_overlap():
    shards = [collect(EvalBatches(numbered(10), 4), InputShard(index, 2, 2)) for index in range(2)]
    _, labels, weights = joined([batch for shard in shards for batch in shard])
    assert sorted(labels[weights > 0]) == list(range(10))


@pytest.mark.parametrize(("count", "batch_size"), [(10, 4), (8, 4), (3, 8)])
def test_evaluation_sees_every_image_once_whatever_the_batch_size(count, batch_size):
    batches = collect(EvalBatches(numbered(count), batch_size))
    assert {len(labels) for _, labels, _ in batches} == {batch_size}
    seen = np.concatenate([labels[weights > 0] for _, labels, weights in batches])
    np.testing.assert_array_equal(seen, np.arange(count))


@pytest.mark.parametrize("options", [{"mixup": 0.5}, {"cutmix": 1.0}, {"mixup": 0.5, "cutmix": 1.0}])
def test_mixed_targets_say_what_is_in_the_image(options):
    """Image i is filled with 20 * i, so the mean colour is the mean of the labels, weighted by their fractions."""
    split = numbered(12)
    split = ArraySplit(split.images * 20, split.labels)
    recipe = get_recipe("digits", batch_size=12, **options)
    images, targets = joined(collect(epoch(split, recipe)))
    np.testing.assert_allclose(targets.sum(axis=1), 1, rtol=1e-5)
    np.testing.assert_allclose(images.mean(axis=(1, 2, 3)), targets @ (20.0 * np.arange(12)), atol=0.51)
    assert (np.count_nonzero(targets, axis=1) == 2).any()
