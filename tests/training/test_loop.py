"""Catches an update that is not SGD's, decay of the wrong kind, replicas that drift apart, and metrics off at the edges."""

import dataclasses

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_resnet import BatchNormalization
from keras_resnet._keras_internals import seed_generators
from keras_resnet.training import recipes
from keras_resnet.training.data.batches import EvalBatches, InputShard, TrainBatches
from keras_resnet.training.data.dataset import ArraySplit
from keras_resnet.training.loop import TrainLoop
from keras_resnet.training.network.classifier import dtype_policy_scope
from keras_resnet.training.network.parts import synchronize_norms
from keras_resnet.training.network.trainable import TrainableNetwork
from keras_resnet.training.optim.ema import ExponentialMovingAverage
from keras_resnet.training.optim.loss_scale import LossScale
from keras_resnet.training.optim.optimizers import make_optimizer
from keras_resnet.training.optim.update import WeightUpdate
from keras_resnet.training.step import HostRequests, TrainStep

PLAIN = {"batch_size": 8, "learning_rate": 0.1, "nesterov": False, "weight_decay": 0.0, "weight_decay_mode": "decoupled"}


@pytest.fixture
def split(rng):
    return ArraySplit(rng.integers(0, 256, (24, 3, 3, 1)).astype(np.uint8), rng.integers(0, 4, 24))


def linear(regularizer=None):
    keras.utils.set_random_seed(7)
    dense = keras.layers.Dense(4, kernel_regularizer=regularizer, bias_regularizer=regularizer)
    return keras.Sequential([keras.Input((3, 3, 1)), keras.layers.Rescaling(1 / 255), keras.layers.Flatten(), dense])


def convolved():
    """`linear` as a convolution: the same weights in another shape."""
    keras.utils.set_random_seed(7)
    layers = [keras.layers.Rescaling(1 / 255), keras.layers.Conv2D(4, 3), keras.layers.Flatten()]
    network = keras.Sequential([keras.Input((3, 3, 1)), *layers])
    kernel, bias = linear().get_weights()
    network.set_weights([kernel.reshape(3, 3, 1, 4), bias])
    return network


def normalized():
    keras.utils.set_random_seed(7)
    x = inputs = keras.Input((3, 3, 1))
    x = keras.layers.Rescaling(1 / 255)(x)
    x = BatchNormalization()(keras.layers.Conv2D(4, 2, use_bias=False)(x))
    return keras.Model(inputs, keras.layers.Dense(4)(keras.layers.Flatten()(keras.layers.ReLU()(x))))


def dropping():
    keras.utils.set_random_seed(7)
    layers = [keras.layers.Rescaling(1 / 255), keras.layers.Flatten(), keras.layers.Dropout(0.5), keras.layers.Dense(4)]
    return keras.Sequential([keras.Input((3, 3, 1)), *layers])


def epoch_of(split, recipe, epoch=0, start=0):
    return TrainBatches(split, recipe, 4, split.images.shape[1:3], (0,), seed=0, epoch=epoch, start=start)


def loop_of(model, strategy=None, *, optimizer=None, prepare=lambda model: None, steps_per_execution=0, step=None, **overrides):
    """`step`: arguments of `TrainStep`. overrides: of the recipe."""
    strategy = strategy or tf.distribute.get_strategy()
    recipe = recipes.get_recipe("he2015_cifar", **{**PLAIN, "crop_padding": 0, "flip": False, **overrides})
    with strategy.scope():
        network = model()
        prepare(network)
        ema = ExponentialMovingAverage(network.weights, recipe.ema_momentum) if recipe.ema_momentum else None
        update = WeightUpdate(optimizer or make_optimizer(recipe, 0.1), network.trainable_variables, recipe, ema=ema)
        return TrainLoop(strategy, TrainStep(TrainableNetwork(network), update, recipe, **step or {}), steps_per_execution)


def run_epochs(loop, split, epochs=2):
    for number in range(epochs):
        *_, output = loop.train(epoch_of(split, loop.step.recipe, number))
    return output


def trained(split, model=linear, strategy=None, **overrides):
    loop = loop_of(model, strategy, **overrides)
    output = run_epochs(loop, split)
    loop.sync_moving_statistics()
    return loop, output.sums.means()


def same_batches(split, epochs=2):
    """What the loop sees, for Keras' `fit`: its labels are not one-hot there."""
    for number in range(epochs):
        for images, targets in epoch_of(
            split, recipes.get_recipe("he2015_cifar", **PLAIN, crop_padding=0, flip=False), number
        ).dataset(InputShard()):
            yield images, tf.argmax(targets, axis=1)


def fitted(split, regularizer=None, **options):
    model = linear(regularizer)
    optimizer = keras.optimizers.SGD(0.1, momentum=0.9, **options)
    model.compile(optimizer, keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    for images, labels in same_batches(split):
        model.train_on_batch(images, labels)
    return model


def assert_same_weights(loop, model, rtol=1e-5):
    for one, other in zip(loop.step.network.model.get_weights(), model.get_weights(), strict=True):
        np.testing.assert_allclose(one, other, rtol=rtol, atol=1e-6)


def test_one_iterator_goes_through_the_epochs_until_one_is_broken_off(split, monkeypatch):
    loop, made = loop_of(linear, steps_per_execution=1), []
    distributed = loop._distributed
    monkeypatch.setattr(loop, "_distributed", lambda batches: [made.append(batches.epoch), distributed(batches)][1])

    def run(epoch, epochs, to_its_end=True):
        for _ in loop.train(dataclasses.replace(epoch_of(split, loop.step.recipe, epoch), epochs=epochs)):
            if not to_its_end:
                break

    run(0, 4)
    run(1, 3)
    assert made == [0]
    run(2, 2, to_its_end=False)
    run(2, 2)
    run(3, 1)
    assert made == [0, 2]  # what was broken off is begun again
    assert loop._next is None


def test_without_decay_it_follows_keras(split):
    assert_same_weights(trained(split)[0], fitted(split))


def test_nesterov_is_keras_too(split):
    assert_same_weights(trained(split, nesterov=True)[0], fitted(split, nesterov=True))


def test_adamw_is_keras_too(split):
    optimizer = keras.optimizers.AdamW(0.1, weight_decay=0.3, beta_1=0.8)
    model = linear()
    model.compile(optimizer, keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    for images, labels in same_batches(split):
        model.train_on_batch(images, labels)
    adamw = recipes.get_recipe("digits", optimizer="adamw", momentum=0.8)
    loop, _ = trained(split, optimizer=make_optimizer(adamw, 0.1), weight_decay=0.3)
    assert_same_weights(loop, model, rtol=1e-4)


@pytest.mark.parametrize("replicas", [1, 2])
def test_muon_takes_a_kernel_as_keras_takes_its_matrix(split, replicas, mirrored):
    optimizer = keras.optimizers.Muon(0.1, momentum=0.8, nesterov=True, weight_decay=0.3, adam_weight_decay=0.3)
    model = linear()
    model.compile(optimizer, keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    for images, labels in same_batches(split):
        model.train_on_batch(images, labels)
    strategy = mirrored if replicas == 2 else tf.distribute.get_strategy()
    with strategy.scope():
        muon = make_optimizer(recipes.get_recipe("digits", optimizer="muon", momentum=0.8), 0.1)
    loop, _ = trained(split, convolved, strategy, optimizer=muon, weight_decay=0.3)
    kernel, bias = loop.step.network.model.get_weights()
    np.testing.assert_allclose(kernel.reshape(9, 4), model.get_weights()[0], rtol=1e-3, atol=1e-5)
    np.testing.assert_allclose(bias, model.get_weights()[1], rtol=1e-3, atol=1e-5)


def test_muon_leaves_the_classifying_layer_to_adam(split):
    muon, adam = (recipes.get_recipe("digits", optimizer=name) for name in ("muon", "adamw"))
    ours, theirs = (trained(split, optimizer=make_optimizer(recipe, 0.1))[0] for recipe in (muon, adam))
    assert_same_weights(ours, theirs.step.network.model, rtol=1e-4)


@pytest.mark.parametrize("shape", [(3, 3, 2, 4), (1, 1, 8, 3), (1, 1, 3, 8)])
def test_muon_takes_each_kernel_of_a_stack_for_itself(shape, rng):
    """Catches a stack taken for one matrix, or for none; a stack of gammas, which is as large as one, takes Adam's step."""
    muon = recipes.get_recipe("digits", optimizer="muon", momentum=0.8)
    kernels, gammas = rng.normal(size=(3, *shape)), rng.normal(size=(3, 4))
    stacked = [keras.Variable(kernels), keras.Variable(gammas)]
    alone = [keras.Variable(value) for value in (*kernels, *gammas)]
    optimizers = [make_optimizer(muon, 0.1) for _ in range(2)]
    for _ in range(3):
        gradients = [rng.normal(size=variable.shape).astype(np.float32) for variable in stacked]
        optimizers[0].apply(gradients, stacked)
        optimizers[1].apply([each for gradient in gradients for each in gradient], alone)
    for one, several in zip(stacked, (alone[:3], alone[3:]), strict=True):
        np.testing.assert_allclose(one, np.stack(several), rtol=1e-4, atol=1e-5)
    assert [velocity is not None for velocity in optimizers[0].adam_velocities] == [False, True]


def test_coupled_decay_is_the_papers_half_squared_norm_in_the_loss(split):
    loop, _ = trained(split, weight_decay=0.3, weight_decay_mode="coupled")
    assert_same_weights(loop, fitted(split, keras.regularizers.L2(0.3 / 2)))


def test_decoupled_decay_stays_out_of_the_momentum(split):
    loop, _ = trained(split, weight_decay=0.3)
    assert_same_weights(loop, fitted(split, weight_decay=0.3))
    coupled, _ = trained(split, weight_decay=0.3, weight_decay_mode="coupled")
    assert not np.allclose(loop.step.network.model.get_weights()[0], coupled.step.network.model.get_weights()[0], rtol=0.05)


REPLICAS = [
    {},
    {"weight_decay": 0.3, "weight_decay_mode": "coupled"},
    {"global_clipnorm": 0.1},
    {"gradient_accumulation_steps": 2},
    {"ema_momentum": 0.9},
]


@pytest.mark.parametrize("options", REPLICAS, ids=lambda options: "-".join(options) or "plain")
def test_two_replicas_follow_one_device_at_the_same_global_batch(split, options, mirrored):
    one, result_one = trained(split, **options)
    two, result_two = trained(split, strategy=mirrored, **options)
    assert_same_weights(two, one.step.network.model)
    assert result_two == pytest.approx(result_one, rel=1e-5)
    if "ema_momentum" in options:
        for ours, theirs in zip(two.step.update.ema.averages, one.step.update.ema.averages, strict=True):
            np.testing.assert_allclose(ours.numpy(), theirs.numpy(), rtol=1e-5, atol=1e-6)


def test_with_synchronized_norms_two_replicas_follow_one_device(split, mirrored):
    """And without they do not: otherwise the test would show nothing."""
    one, _ = trained(split, model=normalized)
    two, _ = trained(split, model=normalized, strategy=mirrored, prepare=synchronize_norms)
    alone, _ = trained(split, model=normalized, strategy=mirrored)
    assert_same_weights(two, one.step.network.model, rtol=1e-4)
    assert not np.allclose(alone.step.network.model.get_weights()[0], one.step.network.model.get_weights()[0], rtol=1e-2)


def test_replicas_agree_on_their_moving_statistics(split, mirrored):
    """Each keeps its own while training; what is evaluated and saved is their mean."""
    loop = loop_of(normalized, mirrored, ema_momentum=0.9)
    run_epochs(loop, split)
    (moving,) = [variable for variable in loop.step.network.model.variables if variable.path.endswith("moving_mean")]
    before = [value.numpy() for value in mirrored.experimental_local_results(moving.value)]
    assert not np.allclose(*before)
    loop.sync_moving_statistics()
    after = [value.numpy() for value in mirrored.experimental_local_results(moving.value)]
    np.testing.assert_allclose(after, [np.mean(before, axis=0)] * 2, rtol=1e-6)


def test_clipping_bounds_the_whole_gradient(split):
    loop = loop_of(linear, global_clipnorm=0.01, momentum=0.0)
    before = loop.step.network.model.get_weights()
    *_, output = loop.train(epoch_of(split.take(np.arange(8)), loop.step.recipe))
    moved = np.sqrt(sum(np.sum((a - b) ** 2) for a, b in zip(loop.step.network.model.get_weights(), before, strict=True)))
    assert moved == pytest.approx(0.1 * 0.01, rel=1e-3)
    assert output.gradient_norm > 0.01


def test_a_batch_in_pieces_is_the_same_step(split):
    whole, result = trained(split)
    pieces, other = trained(split, gradient_accumulation_steps=4)
    assert_same_weights(pieces, whole.step.network.model)
    assert other == pytest.approx(result, rel=1e-5)


def test_the_moving_average_is_the_formulas(split):
    loop = loop_of(linear, ema_momentum=0.5)
    expected = [weight.copy() for weight in loop.step.network.model.get_weights()]
    for step in range(3):
        list(loop.train(epoch_of(split.take(np.arange(8)), loop.step.recipe, epoch=step)))
        rate = 1 - min(0.5, (1 + step) / (10 + step))
        expected = [e + rate * (w - e) for e, w in zip(expected, loop.step.network.model.get_weights(), strict=True)]
    weights = loop.step.network.model.get_weights()
    with loop.step.update.ema_weights():
        for found, wanted in zip(loop.step.network.model.get_weights(), expected, strict=True):
            np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-6)
    for found, wanted in zip(loop.step.network.model.get_weights(), weights, strict=True):
        np.testing.assert_array_equal(found, wanted)


def test_slower_parts_learn_slower(split):
    model = linear()
    recipe = recipes.get_recipe("he2015_cifar", **PLAIN, crop_padding=0, flip=False)
    update = WeightUpdate(make_optimizer(recipe, 0.1), model.trainable_variables, recipe, lr_multipliers=[0.0, 1.0])
    before = model.get_weights()
    list(
        TrainLoop(tf.distribute.get_strategy(), TrainStep(TrainableNetwork(model), update, recipe)).train(
            epoch_of(split, recipe)
        )
    )
    np.testing.assert_array_equal(model.get_weights()[0], before[0])
    assert np.abs(model.get_weights()[1] - before[1]).max() > 0


def losses_of(model, split, **options):
    logits = model(split.images.astype("float32"))
    targets = keras.ops.one_hot(split.labels, 4)
    return keras.losses.CategoricalCrossentropy(from_logits=True, reduction=None, **options)(targets, logits).numpy()


def first_loss(split, class_weights=None, **overrides):
    loop = loop_of(linear, batch_size=24, step={"class_weights": class_weights}, **overrides)
    (output,) = loop.train(epoch_of(split, loop.step.recipe))
    return output.sums.means()["loss"]


def test_label_smoothing_is_keras(split):
    assert first_loss(split, label_smoothing=0.2) == pytest.approx(
        losses_of(linear(), split, label_smoothing=0.2).mean(), rel=1e-5
    )


def test_class_weights_weigh_each_examples_loss(split):
    weights = np.array([0.5, 1.0, 2.0, 4.0], np.float32)
    expected = (weights[split.labels] * losses_of(linear(), split)).mean()
    assert first_loss(split, class_weights=weights) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("batch_size", [5, 24, 100])
def test_evaluation_is_exact_whatever_the_batch_size(split, batch_size):
    loop = loop_of(linear)
    logits = loop.step.network.model(split.images.astype("float32")).numpy()
    found = loop.evaluate(EvalBatches(split, batch_size))
    assert found["loss"] == pytest.approx(losses_of(loop.step.network.model, split).mean(), rel=1e-5)
    assert found["accuracy"] == pytest.approx(np.mean(logits.argmax(axis=1) == split.labels))


@pytest.mark.parametrize("batch_size", [6, 22, 100])
def test_evaluation_on_replicas_sees_every_image_once(split, batch_size, mirrored):
    found = loop_of(linear, mirrored).evaluate(EvalBatches(split, batch_size))
    assert found == pytest.approx(loop_of(linear).evaluate(EvalBatches(split, 24)), rel=1e-5)


def test_steps_are_counted_to_the_last_and_come_in_executions(split):
    loop = loop_of(linear, steps_per_execution=2)
    assert [output.step for output in loop.train(epoch_of(split, loop.step.recipe))] == [2, 3]
    assert int(loop.step.update.optimizer.iterations) == 3


def test_executions_grow_where_steps_are_short(split):
    loop = loop_of(linear, batch_size=1)
    list(loop.train(epoch_of(split, loop.step.recipe)))
    outputs = [output.step for output in loop.train(epoch_of(split, loop.step.recipe, epoch=1))]
    assert len(outputs) < 12


def test_an_epoch_begun_in_the_middle_ends_as_the_whole_one(split):
    """Weights, random numbers and the sums alike; dropout is in it so that they are not all the same anyway."""
    whole = loop_of(dropping)
    (*_, expected) = whole.train(epoch_of(split, whole.step.recipe))
    parts = loop_of(dropping, steps_per_execution=1)
    first = next(parts.train(epoch_of(split, parts.step.recipe)))
    for generator in seed_generators(parts.step.network.model):
        generator.state.assign([99, 99])  # as in a new process
    (*_, last) = parts.train(epoch_of(split, parts.step.recipe, start=1), first.sums)
    assert_same_weights(parts, whole.step.network.model)
    assert last.sums.means() == pytest.approx(expected.sums.means(), rel=1e-6)


def test_random_numbers_differ_from_step_to_step_and_by_replica(split, mirrored):
    loop = loop_of(dropping, mirrored)
    (generator,) = seed_generators(loop.step.network.model)
    list(loop.train(epoch_of(split, loop.step.recipe)))
    one, two = (value.numpy() for value in mirrored.experimental_local_results(generator.state.value))
    assert not np.array_equal(one, two)


def test_a_loss_that_is_not_finite_ends_the_execution_at_its_step(split):
    loop = loop_of(linear, steps_per_execution=3)
    loop.step.network.model.layers[-1].bias.assign([np.nan] * 4)
    output = next(loop.train(epoch_of(split, loop.step.recipe)))
    assert (output.step, np.isnan(output.sums.loss)) == (1, True)


def test_a_request_is_polled_before_the_next_execution(split):
    loop = loop_of(linear, steps_per_execution=1)
    requests = iter([HostRequests(), HostRequests(save=True), HostRequests(stop=True)])
    outputs = list(loop.train(epoch_of(split, loop.step.recipe), poll_requests=lambda: next(requests)))
    assert [(output.stop, output.save) for output in outputs] == [(False, False), (False, True), (True, False)]


@pytest.mark.parametrize("strategy", ["one", "two"])
def test_a_gradient_beyond_float16_leaves_the_step_out_and_halves_the_scale(split, strategy, mirrored):
    strategy = mirrored if strategy == "two" else tf.distribute.get_strategy()
    recipe = recipes.get_recipe("he2015_cifar", **PLAIN, crop_padding=0, flip=False)
    with strategy.scope():
        scale = LossScale()
        loop = loop_of(linear, strategy, weight_decay=0.3, step={"loss_scale": scale})
    before = loop.step.network.model.get_weights()
    scale.factor.assign(np.inf)
    list(loop.train(epoch_of(split.take(np.arange(8)), recipe)))
    for one, other in zip(loop.step.network.model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(one, other)
    scale.factor.assign(2.0**15)
    plain = loop_of(linear, weight_decay=0.3)
    for each in (loop, plain):
        list(each.train(epoch_of(split.take(np.arange(8)), recipe)))
    assert_same_weights(loop, plain.step.network.model)
    assert (scale.factor.numpy(), scale.good_steps.numpy()) == (2.0**15, 1)


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16"])
def test_mixed_precision_stays_near_float32(split, policy):
    expected = trained(split, model=normalized)[1]["loss"]
    with dtype_policy_scope(policy):
        loop = loop_of(normalized, step={"loss_scale": LossScale() if policy == "mixed_float16" else None})
    assert run_epochs(loop, split).sums.means()["loss"] == pytest.approx(expected, rel=0.05)
    assert {variable.dtype for variable in loop.step.network.model.trainable_variables} == {"float32"}


def test_a_compiled_step_is_the_same_step(split):
    plain, result = trained(split, model=normalized)
    compiled = loop_of(normalized, step={"jit_compile": True})
    assert run_epochs(compiled, split).sums.means() == pytest.approx(result, rel=1e-4)
    assert_same_weights(compiled, plain.step.network.model, rtol=1e-3)


def test_a_network_of_many_units_goes_step_by_step_and_the_same_way(split, monkeypatch):
    """It has no loop around its steps, which would take longer to start than to trace."""
    expected, result = trained(split)
    monkeypatch.setattr("keras_resnet.training.loop.MOST_UNITS_IN_A_LOOP", -1)
    loop = loop_of(linear)
    outputs = [output for number in range(2) for output in loop.train(epoch_of(split, loop.step.recipe, number))]
    assert [output.step for output in outputs] == [1, 2, 3] * 2
    assert outputs[-1].sums.means() == pytest.approx(result, rel=1e-6)
    assert_same_weights(loop, expected.step.network.model)
    assert not tf.config.optimizer.get_experimental_options().get("disable_meta_optimizer")
