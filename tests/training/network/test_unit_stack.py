"""Catches units that get each other's weights, random numbers or gradients when they are stacked, looped or computed again.

`SAME` is the most by which any tensor may differ after a few steps, as a share of its largest value. On two CPU cores all ways
of running the units gave the same bits, but for 3e-7 with XLA; with TensorFlow's optimization of graphs, 7e-5 in a plain
network. Against the whole network it is 1e-6, and 5e-4 in the bottlenecks here, whose gradients are large. What is mixed up
differs by more than 1.
"""

import itertools

import keras
import numpy as np
import pytest
import tensorflow as tf
from conftest import scramble, weights_of
from small_loops import (
    BATCH,
    LEARNING_RATE,
    config_of,
    epoch_of,
    largest_difference,
    loop_of,
    random_split,
    trained,
    whole_model,
)

from keras_resnet import UserError
from keras_resnet._keras_internals import seed_generators
from keras_resnet.models import variants
from keras_resnet.models.orders import ORDERS
from keras_resnet.models.shortcuts import SHORTCUTS
from keras_resnet.training.config import STACK_UNITS
from keras_resnet.training.context import looped_from
from keras_resnet.training.data.batches import EvalBatches, InputShard
from keras_resnet.training.loop import grappler_disabled

SAME = 1e-3
WAYS = {
    "off": {"stack_units": "off"},
    "on": {"stack_units": "on"},
    "rematerialized": {"stack_units": "on", "rematerialize": True},
    "rematerialized one by one": {"stack_units": "off", "rematerialize": True},
}
SPLIT = random_split(3)


@pytest.fixture
def quickly():
    """Without the optimization of the graph, which takes a third of the time; the other tests have it."""
    with grappler_disabled():
        yield


def assert_same(ways, split=SPLIT, strategy=None, **options):
    """The ways of running the units end with the same weights, moving statistics and losses."""
    first, *others = [trained(config_of(**options, **WAYS[way]), split, strategy)[:2] for way in ways]
    for way, other in zip(ways[1:], others, strict=True):
        assert largest_difference(other[0], first[0]) < SAME, way
        assert other[1]["loss"] == pytest.approx(first[1]["loss"], rel=SAME), way
    return first[0]


def test_ten_steps_are_the_same_however_the_units_run():
    """Five units in a stage, four of them in a loop: catches an order of gradients that only two units would hide."""
    config = config_of("ResNet32V2", **WAYS["on"])
    before = weights_of(loop_of(config, SPLIT).step.network)
    after = assert_same([*WAYS], random_split(10), model="ResNet32V2")
    assert min(np.abs(after[place] - value).max() for place, value in before.items()) > 1e-3  # all have moved


@pytest.mark.parametrize(("shortcut", "unit"), [*zip(SHORTCUTS, itertools.cycle(ORDERS))])
@pytest.mark.usefixtures("quickly")
def test_every_order_and_every_shortcut_is_the_same(shortcut, unit):
    assert_same(["off", "rematerialized"], model="ResNet20V1", unit=unit, shortcut=shortcut)


VARIATIONS = {
    "dropouts": {"options": {"stochastic_depth": 0.3, "classifier_dropout": 0.3}, "shortcut": "dropout"},
    "bottleneck": {"model": "ResNet56V2", "block": "bottleneck"},
    "dilations": {"options": {"output_stride": 2}},
    "frozen with their norms": {"recipe": {"freeze": ("stem", "stage1"), "norm_layers": "with_parts"}},
    "frozen without their norms": {"recipe": {"freeze": ("stem", "stage1"), "norm_layers": "trained"}},
    "all norms frozen": {"recipe": {"norm_layers": "frozen", "freeze": ("stage2",)}},
    "clipped in pieces": {"recipe": {"global_clipnorm": 0.1, "gradient_accumulation_steps": 2}},
    "coupled decay and an average": {"recipe": {"weight_decay": 0.1, "weight_decay_mode": "coupled", "ema_momentum": 0.9}},
    "AdamW and layer decay": {"recipe": {"optimizer": "adamw", "learning_rate": 0.003, "layer_decay": 0.5}},
    "Muon": {"recipe": {"optimizer": "muon", "learning_rate": 0.003}},
    "attention and filters": {"model": "ResNet20V1", "shortcut": "B", "attention": "se", "antialias": "blur"},
    "standardized kernels": {"normalization": "group_standardized", "attention": "eca", "shortcut": "B"},
    "bfloat16": {"precision": "mixed_bfloat16"},
    "float16": {"precision": "mixed_float16"},
}


@pytest.mark.parametrize("variation", VARIATIONS)
@pytest.mark.usefixtures("quickly")
def test_every_way_of_training_is_the_same(variation):
    assert_same(["off", "rematerialized"], **VARIATIONS[variation])


@pytest.mark.usefixtures("quickly")
def test_groups_of_channels_are_the_same_however_the_units_run(monkeypatch):
    """As in ResNeXt: catches kernels of a loop's other units, and gradients that a loop has no kernels for."""
    row = variants.Variant("cifar", 29, "bottleneck", "original", "B", groups=8, group_width=8)
    monkeypatch.setitem(variants.VARIANTS, "ResNeXt29", row)
    assert_same([*WAYS], model="ResNeXt29")


def test_a_compiled_step_is_the_same_however_the_units_run():
    assert_same(["off", "on"], jit_compile=True)


def test_two_replicas_are_the_same_however_the_units_run(mirrored):
    """Each has moving statistics and random numbers of its own."""
    assert_same(["off", "rematerialized"], strategy=mirrored, options={"stochastic_depth": 0.5})


def test_with_synchronized_norms_two_replicas_follow_one_device(mirrored):
    """One by one there; catches a collective in a loop, and statistics of half of a batch."""
    one = trained(config_of(**WAYS["on"]), SPLIT)[0]
    two = trained(config_of(sync_batch_norm=True), SPLIT, mirrored)[0]
    assert largest_difference(two, one) < SAME


def test_a_network_of_many_units_computes_the_start_of_each_again_and_is_the_same(monkeypatch):
    """As ResNet-1001 does by itself, for those of its first stage."""
    whole = trained(config_of(**WAYS["on"]), SPLIT)[0]
    monkeypatch.setattr("keras_resnet.training.network.trainable.START_REMATERIALIZED_FROM", 2)
    starts = trained(config_of(**WAYS["on"]), SPLIT)[0]
    assert largest_difference(starts, whole) < SAME


def reference(config, model, split):
    """The weights of a whole network after an epoch of Keras' own optimizer, in the straightforward way."""
    recipe = config.recipe
    optimizer = keras.optimizers.SGD(LEARNING_RATE, recipe.momentum, recipe.nesterov, weight_decay=recipe.weight_decay)

    def gradients(images, targets):
        with tf.GradientTape() as tape:
            logits = model(tf.cast(images, tf.float32), training=True)
            loss = tf.reduce_mean(tf.nn.softmax_cross_entropy_with_logits(targets, logits))
        return tape.gradient(loss, [weight.value for weight in model.trainable_weights])

    for images, targets in epoch_of(split, recipe).dataset(InputShard()):
        optimizer.apply_gradients(zip(gradients(images, targets), model.trainable_weights, strict=True))
    return {(layer.name, index): value for layer in model.layers for index, value in enumerate(layer.get_weights())}


REFERENCES = {
    "full_preactivation": {"model": "ResNet32V2"},
    "original": {"model": "ResNet20V1"},
    "bottleneck": {"model": "ResNet56V2", "block": "bottleneck"},
    "Slim": {"model": "ResNet50V2Slim", "options": {"width_multiplier": 0.0625}},
}


@pytest.mark.parametrize("name", REFERENCES)
def test_it_trains_as_the_whole_network_does(name):
    """Catches weights, statistics or gradients of one unit that end in another's."""
    split = random_split(1) if name == "Slim" else SPLIT  # after two steps its statistics of single pixels are too far off
    config = config_of(**REFERENCES[name], **WAYS["on"])
    loop = loop_of(config, split)
    model = whole_model(config, loop.step.network, lambda model: scramble(model, seed=1))
    loop.step.network.copy_from(model)
    before = weights_of(loop.step.network)
    list(loop.train(epoch_of(split, config.recipe)))
    after, expected = weights_of(loop.step.network), reference(config, model, split)
    assert largest_difference(after, expected) < 10 * SAME
    assert np.median([np.abs(after[place] - value).max() for place, value in before.items()]) > 10 * SAME


@pytest.mark.parametrize("stack_units", ["off", "on"])
def test_evaluation_is_that_of_the_whole_network(stack_units):
    config = config_of("ResNet32V2", stack_units=stack_units, options={"stochastic_depth": 0.5})
    loop = loop_of(config, SPLIT)
    logits = whole_model(config, loop.step.network).predict(SPLIT.images[:], verbose=0)
    np.testing.assert_allclose(loop.step.network(tf.cast(SPLIT.images[:], tf.float32), training=False), logits, atol=1e-5)
    losses = tf.nn.sparse_softmax_cross_entropy_with_logits(SPLIT.labels, logits).numpy()
    found = loop.evaluate(EvalBatches(SPLIT, BATCH))
    assert found["loss"] == pytest.approx(losses.mean(), rel=1e-5)
    assert found["accuracy"] == pytest.approx(np.mean(logits.argmax(axis=1) == SPLIT.labels))


@pytest.mark.parametrize("stack_units", ["off", "on"])
def test_random_numbers_are_those_of_the_whole_network(stack_units):
    """Catches dropouts that all draw the same numbers, and a unit that drops its branch at the first one's rate."""
    options = {"stochastic_depth": 0.5, "classifier_dropout": 0.5}
    config = config_of("ResNet32V2", stack_units=stack_units, options=options)
    network = loop_of(config, SPLIT).step.network
    model = whole_model(config, network)
    images, seed, count = tf.cast(SPLIT.images[:], tf.float32), 5, tf.constant(7, tf.int64)
    network.set_seeds(seed, count)
    states = [generator.state for generator in seed_generators(model)]
    assert len(states) == 16
    for number, state in enumerate(states):
        state.assign([(seed * 1_000_003 + number) % 2**32, 7])
    expected = model(images, training=True)
    np.testing.assert_allclose(network(images, training=True), expected, rtol=1e-4, atol=1e-5)
    for state in states:
        state.assign([seed, 7])
    assert not np.allclose(model(images, training=True), expected, rtol=0.1)


def test_weights_go_to_the_whole_network_and_back():
    config = config_of("ResNet32V2")
    network = loop_of(config, SPLIT).step.network
    model = whole_model(config, network)
    changed = whole_model(config, network, lambda model: scramble(model, seed=1))
    network.copy_from(changed)
    assert not np.array_equal(model.get_layer("stage2_unit4_norm1").gamma, changed.get_layer("stage2_unit4_norm1").gamma)
    network.copy_to(model)
    for one, other in zip(model.get_weights(), changed.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


def test_units_are_traced_once_where_they_are_looped():
    """Auto loops eight and more: ResNet-56's stages have nine units, of which eight are alike."""

    def units(model, stack_units):
        return loop_of(config_of(model, stack_units=stack_units), SPLIT).step.network.units_one_by_one

    assert [units("ResNet56V2", stack_units) for stack_units in STACK_UNITS] == [6, 6, 27]
    assert units("ResNet50V2Slim", "auto") == 16


def test_a_loop_over_synchronized_norms_is_refused(mirrored):
    """TensorFlow would wait for ever, or for the replicas' loops in another order."""
    config = config_of(stack_units="on", sync_batch_norm=True)
    message = r"^stack_units is 'on', but the statistics of sync_batch_norm cannot be summed .*: it must be 'auto' or 'off'$"
    with pytest.raises(UserError, match=message):
        looped_from(config, mirrored)
    assert looped_from(config, tf.distribute.get_strategy()) == 2
    assert looped_from(config_of("ResNet56V2", sync_batch_norm=True), mirrored) is None


@pytest.mark.parametrize("value", ["yes", True, None, ""])
def test_an_unknown_way_is_refused(value):
    with pytest.raises(UserError, match=r"^unknown stack_units .*; it must be one of auto, on, off$"):
        config_of(stack_units=value)
