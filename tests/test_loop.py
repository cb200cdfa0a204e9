"""Catches an update that is not SGD's, weight decay of the wrong kind, and metrics that are off at the edges."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_resnet.training.batches import evaluation_batches
from keras_resnet.training.datasets import Split
from keras_resnet.training.loop import Loop


@pytest.fixture
def split(rng):
    return Split(rng.integers(0, 256, (24, 3, 3, 1)).astype(np.uint8), rng.integers(0, 4, 24))


def linear(regularizer=None):
    keras.utils.set_random_seed(7)
    dense = keras.layers.Dense(4, kernel_regularizer=regularizer, bias_regularizer=regularizer)
    return keras.Sequential([keras.Input((3, 3, 1)), keras.layers.Rescaling(1 / 255), keras.layers.Flatten(), dense])


def batches(split, size):
    return tf.data.Dataset.from_tensor_slices((split.images, split.labels)).batch(size, drop_remainder=True)


def sgd(**options):
    return keras.optimizers.SGD(0.1, momentum=0.9, **options)


def trained(split, strategy=None, optimizer=sgd, epochs=2, **options):
    strategy = strategy or tf.distribute.get_strategy()
    with strategy.scope():
        loop = Loop(strategy, linear(), optimizer(), global_batch=8, **options)
        loop.optimizer.build(loop.model.trainable_variables)
    for _ in range(epochs):
        result = loop.train(batches(split, 8))
    return loop, result


def fitted(split, regularizer=None, **options):
    model = linear(regularizer)
    model.compile(sgd(**options), keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    model.fit(batches(split, 8), epochs=2, shuffle=False, verbose=0)
    return model


def assert_same_weights(loop, model):
    for one, other in zip(loop.model.get_weights(), model.get_weights(), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-6)


def test_without_decay_it_follows_keras_fit(split):
    assert_same_weights(trained(split)[0], fitted(split))


def test_coupled_decay_is_the_papers_half_squared_norm_in_the_loss(split):
    assert_same_weights(trained(split, coupled_decay=0.3)[0], fitted(split, keras.regularizers.L2(0.3 / 2)))


def test_decoupled_decay_stays_out_of_the_momentum(split):
    loop, _ = trained(split, optimizer=lambda: sgd(weight_decay=0.3))
    assert_same_weights(loop, fitted(split, weight_decay=0.3))
    coupled, _ = trained(split, coupled_decay=0.3)
    assert not np.allclose(loop.model.get_weights()[0], coupled.model.get_weights()[0], rtol=0.05)


@pytest.mark.parametrize("options", [{}, {"coupled_decay": 0.3}])
def test_two_replicas_follow_one_device_at_the_same_global_batch(split, options, mirrored):
    one, result_one = trained(split, **options)
    two, result_two = trained(split, mirrored, **options)
    assert_same_weights(two, one.model)
    assert result_two == pytest.approx(result_one, rel=1e-5)


@pytest.mark.parametrize("batch_size", [5, 24, 100])
def test_evaluation_is_exact_whatever_the_batch_size(split, batch_size):
    model = linear()
    loop = Loop(tf.distribute.get_strategy(), model, sgd(), global_batch=batch_size)
    logits = model(split.images.astype("float32")).numpy()
    losses = -tf.nn.log_softmax(logits).numpy()[np.arange(24), split.labels]
    found = loop.evaluate(evaluation_batches(split, batch_size))
    assert found["loss"] == pytest.approx(losses.mean(), rel=1e-5)
    assert found["accuracy"] == pytest.approx(np.mean(logits.argmax(axis=1) == split.labels))


def test_steps_are_counted_to_the_last(split):
    heard = []
    loop, _ = trained(split, epochs=1)
    loop.STEPS_PER_CALL = 2
    loop.train(batches(split, 8), heard.append)
    assert heard == [2, 3]
    assert int(loop.optimizer.iterations) == 3 + 3
