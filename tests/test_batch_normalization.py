"""Catches a fused layer that is not Keras' layer: other outputs, gradients, moving statistics, weights or configuration."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_resnet import BatchNormalization

SHAPE = (6, 5, 4, 3)


def pair(shape=SHAPE, **options):
    """Our layer and Keras' with the same random weights."""
    ours, stock = BatchNormalization(**options), keras.layers.BatchNormalization(**options)
    generator = np.random.default_rng(1)
    for layer in (ours, stock):
        layer.build(shape)
    values = [generator.uniform(0.5, 1.5, weight.shape) for weight in ours.weights]
    ours.set_weights(values)
    stock.set_weights(values)
    return ours, stock


def step(layer, x, training):
    """Outputs, gradients of a curved loss for input and weights, and all weights afterwards."""
    x = tf.convert_to_tensor(x)
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = layer(x, training=training)
        loss = tf.reduce_sum(tf.cast(y, tf.float32) ** 3 + tf.cast(y, tf.float32))
    variables = [weight.value for weight in layer.trainable_weights]
    gradients = tape.gradient(loss, [x, *variables])
    return [np.asarray(tf.cast(value, tf.float64)) for value in (y, *gradients, *(w.value for w in layer.weights))]


def assert_same(ours, stock, tolerance):
    for one, other in zip(ours, stock, strict=True):
        np.testing.assert_allclose(one, other, rtol=tolerance, atol=tolerance * max(1, np.abs(other).max()))


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize(
    "options", [{}, {"momentum": 0.9, "epsilon": 1e-5}, {"scale": False}, {"center": False}, {"scale": False, "center": False}]
)
def test_outputs_gradients_and_statistics_are_keras(training, options, rng):
    ours, stock = pair(**options)
    x = rng.normal(3, 2, SHAPE).astype("float32")
    assert_same(step(ours, x, training), step(stock, x, training), 2e-5)


def test_it_is_the_fused_kernel_that_runs_in_both_modes():
    layer = BatchNormalization()
    layer.build(SHAPE)
    for training in (True, False):
        graph = (
            tf.function(lambda x, training=training: layer(x, training=training)).get_concrete_function(tf.zeros(SHAPE)).graph
        )
        assert "FusedBatchNormV3" in [operation.type for operation in graph.get_operations()]


def test_moving_variance_is_not_bessel_corrected(rng):
    """With two values per channel the kernel's own variance is twice the one that Keras averages."""
    layer = BatchNormalization(momentum=0.0)
    x = rng.normal(size=(2, 1, 1, 3)).astype("float32")
    layer(x, training=True)
    np.testing.assert_allclose(layer.moving_variance, x.var(axis=(0, 1, 2)), rtol=1e-5)


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16", "bfloat16", "float16"])
@pytest.mark.parametrize("training", [True, False])
def test_half_precision_differs_from_keras_by_rounding_only(policy, training, rng):
    ours, stock = pair(dtype=policy)
    x = tf.cast(rng.normal(1, 2, SHAPE), keras.DTypePolicy(policy).compute_dtype)
    mine, theirs = step(ours, x, training), step(stock, x, training)
    assert ours(x).dtype == x.dtype
    assert_same(mine, theirs, 2e-2 if "bfloat16" in policy else 4e-3)


def test_a_frozen_layer_normalizes_by_its_moving_statistics_and_keeps_them(rng):
    ours, stock = pair()
    ours.trainable = stock.trainable = False
    x = rng.normal(size=SHAPE).astype("float32")
    before = ours.get_weights()
    np.testing.assert_allclose(ours(x, training=True), stock(x, training=False), rtol=1e-5, atol=1e-5)
    np.testing.assert_array_equal(before, ours.get_weights())


@pytest.mark.parametrize("shape", [(8, 3), (6, 5, 3), (2, 3, 4, 5, 3)])
def test_other_ranks_fall_back(shape, rng):
    ours, stock = pair(shape)
    x = rng.normal(size=shape).astype("float32")
    assert_same(step(ours, x, True), step(stock, x, True), 1e-6)


def test_channels_first_float64_and_masks_fall_back(rng):
    x = rng.normal(size=SHAPE).astype("float32")
    assert_same(*(step(layer, x, True) for layer in pair((6, 5, 4, 3), axis=1)), 1e-6)
    assert_same(*(step(layer, x.astype("float64"), True) for layer in pair(dtype="float64")), 1e-12)
    mask = rng.uniform(size=SHAPE[:-1]) < 0.5
    ours, stock = pair()
    np.testing.assert_allclose(ours(x, training=True, mask=mask), stock(x, training=True, mask=mask), rtol=1e-6)
    np.testing.assert_allclose(ours.moving_mean, stock.moving_mean, rtol=1e-6)


def test_an_empty_batch_leaves_the_statistics_alone():
    layer, _ = pair()
    before = layer.get_weights()
    layer(tf.zeros((0, 5, 4, 3)), training=True)
    np.testing.assert_array_equal(before, layer.get_weights())


def test_unknown_batch_and_image_size_inside_a_graph(rng):
    ours, stock = pair((None, None, None, 3))
    x = rng.normal(size=SHAPE).astype("float32")
    signature = [tf.TensorSpec((None, None, None, 3))]
    for layer in (ours, stock):
        tf.function(lambda x, layer=layer: layer(x, training=True), input_signature=signature)(x)
    for one, other in zip(ours.get_weights(), stock.get_weights(), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5)


@pytest.mark.parametrize("synchronized", [True, False])
def test_on_two_replicas_it_is_keras_synchronized_or_not(synchronized, rng, mirrored):
    """Catches statistics of one replica where those of both were asked for, and the other way round."""
    x = rng.normal(size=(8, 5, 4, 3)).astype("float32")
    halves = [tf.constant(x[:4]), tf.constant(x[4:] + 5)]
    values = mirrored.experimental_distribute_values_from_function(lambda context: halves[context.replica_id_in_sync_group])

    def results(make):
        with mirrored.scope():
            layer = make(synchronized=synchronized, momentum=0.5)
            layer.build((None, 5, 4, 3))
        run = tf.function(lambda: mirrored.run(layer, args=(values,), kwargs={"training": True}))
        both = (*mirrored.experimental_local_results(run()), *mirrored.experimental_local_results(layer.moving_mean.value))
        return [np.asarray(value) for value in both]

    ours = results(BatchNormalization)
    assert_same(ours, results(keras.layers.BatchNormalization), 1e-4)
    assert np.allclose(*ours[-2:]) == synchronized


@pytest.mark.parametrize("jit_compile", [True, False])
def test_fit_follows_keras(jit_compile, rng):
    x, y = rng.normal(size=(32, 6, 6, 2)).astype("float32"), rng.normal(size=(32, 3)).astype("float32")
    weights = []
    for make in (BatchNormalization, keras.layers.BatchNormalization):
        keras.utils.set_random_seed(0)
        model = keras.Sequential(
            [
                keras.Input((6, 6, 2)),
                keras.layers.Conv2D(3, 3),
                make(),
                keras.layers.ReLU(),
                keras.layers.GlobalAveragePooling2D(),
            ]
        )
        model.compile(keras.optimizers.SGD(0.1), "mse", jit_compile=jit_compile)
        model.fit(x, y, batch_size=8, epochs=3, shuffle=False, verbose=0)
        weights.append(model.get_weights())
    assert_same(*weights, 1e-4)


def test_configuration_and_weight_files_are_interchangeable(tmp_path):
    ours, stock = pair(momentum=0.7, epsilon=1e-4, scale=False)
    mine, theirs = ours.get_config(), stock.get_config()
    assert {**mine, "name": 0} == {**theirs, "name": 0}
    models = [keras.Sequential([keras.Input(SHAPE[1:]), layer]) for layer in (ours, BatchNormalization(scale=False))]
    plain = keras.Sequential([keras.Input(SHAPE[1:]), keras.layers.BatchNormalization(scale=False)])
    models[0].save_weights(tmp_path / "a.weights.h5")
    for model in (plain, models[1]):
        model.load_weights(tmp_path / "a.weights.h5")
        np.testing.assert_array_equal(model.get_weights(), models[0].get_weights())
