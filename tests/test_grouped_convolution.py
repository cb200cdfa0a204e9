"""Catches a convolution in groups that is not Keras' layer: other outputs, gradients, weights or files, or XLA in it."""

import itertools
import os
import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf

import keras_resnet
from keras_resnet import grouped_convolution
from keras_resnet.grouped_convolution import Conv2D
from keras_resnet.saving import to_fast

SHAPE = (2, 7, 6, 12)
TOLERANCES = {"float64": 1e-12, "float32": 1e-5, "mixed_bfloat16": 0.03, "mixed_float16": 0.01}
SETTINGS = {
    "padded": {"padding": "same", "groups": 4},
    "strided": {"strides": 2, "groups": 4},
    "strided, padded unevenly": {"strides": 2, "padding": "same", "groups": 3},
    "dilated": {"dilation_rate": 2, "padding": "same", "groups": 4, "use_bias": False},
    "one channel in each group": {"groups": 12, "padding": "same"},
    "one group": {"groups": 1},
    "1x1": {"kernel_size": 1, "groups": 4},
}


@pytest.fixture(params=["with kernels for the gradient", "without"])
def kernels(request, monkeypatch):
    """Both ways that the gradient is taken. The kernels are there with oneDNN, as on x86."""
    if request.param == "without":
        monkeypatch.setattr(grouped_convolution, "has_gradient", lambda *_: False)


def pair(dtype="float32", **settings):
    """Our layer and Keras' with the same random weights."""
    settings = {"filters": 24, "kernel_size": 3, "dtype": dtype, **settings}
    ours, stock = Conv2D(**settings), keras.layers.Conv2D(**settings)
    generator = np.random.default_rng(1)
    for layer in (ours, stock):
        layer.build(SHAPE)
    values = [generator.normal(size=weight.shape) for weight in ours.weights]
    ours.set_weights(values)
    stock.set_weights(values)
    return ours, stock


def step(layer, x):
    """Outputs, and gradients of a curved loss for the images and the weights."""
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = layer(x)
        loss = tf.reduce_sum(tf.sin(tf.cast(y, tf.float64)))
    return y, tape.gradient(loss, [x, *(weight.value for weight in layer.trainable_weights)])


def assert_same(ours, stock, tolerance):
    for one, other in zip(tf.nest.flatten(ours), tf.nest.flatten(stock), strict=True):
        one, other = np.asarray(tf.cast(one, "float64")), np.asarray(tf.cast(other, "float64"))
        np.testing.assert_allclose(one, other, rtol=tolerance, atol=tolerance * max(1, np.abs(other).max()))


def images(dtype="float64"):
    return tf.cast(np.random.default_rng(2).normal(size=SHAPE), dtype)


@pytest.mark.parametrize(("case", "dtype"), [*itertools.product(SETTINGS, ["float32"]), *(("strided", d) for d in TOLERANCES)])
def test_outputs_and_gradients_are_those_of_keras(case, dtype, kernels):
    ours, stock = pair(dtype, **SETTINGS[case])
    x = images(ours.compute_dtype)
    assert_same(step(ours, x), step(stock, x), TOLERANCES[dtype])


@pytest.mark.parametrize("jit_compile", [False, True])
def test_graphs_and_xla_compute_the_same(jit_compile, kernels):
    ours, stock = pair(padding="same", groups=4)
    x = images("float32")
    for shape in (SHAPE, (None, None, None, SHAPE[-1])):
        graph = tf.function(lambda x: step(ours, x), jit_compile=jit_compile, input_signature=[tf.TensorSpec(shape)])
        assert_same(graph(x), step(stock, x), TOLERANCES["float32"])


def test_channels_first_computes_the_same_where_there_are_kernels(kernels):
    ours, last = pair(data_format="channels_last", padding="same", groups=4, use_bias=False)
    first = Conv2D.from_config({**ours.get_config(), "data_format": "channels_first"})
    first.build((2, 12, 7, 6))
    first.set_weights(ours.get_weights())
    x = images("float32")
    try:
        y, (of_images, of_kernel) = step(first, tf.transpose(x, (0, 3, 1, 2)))
    except tf.errors.UnimplementedError:
        pytest.skip("TensorFlow has no convolutions with the channels first here")
    back = (0, 2, 3, 1)
    assert_same((tf.transpose(y, back), (tf.transpose(of_images, back), of_kernel)), step(last, x), 1e-5)


def test_no_graph_asks_for_xla():
    """A served model that does needs a server with XLA, and is 20 times slower."""
    ours, stock = (tf.function(layer).get_concrete_function(tf.TensorSpec(SHAPE)) for layer in pair(groups=4))
    asking = [
        [
            function.signature.name
            for function in each.graph.as_graph_def().library.function
            if function.attr["_XlaMustCompile"].b
        ]
        for each in (ours, stock)
    ]
    assert not asking[0]
    assert asking[1], "Keras has its own kernels now: this layer has had its day"
    assert [operation.type for operation in ours.graph.get_operations()].count("Conv2D") == 1


def test_the_kernels_of_the_gradient_are_looked_for_once_and_outside_of_graphs():
    grouped_convolution.has_gradient.cache_clear()
    ours, _ = pair(groups=4)
    graph = tf.function(lambda x: step(ours, x))
    graph(images("float32"))
    assert grouped_convolution.has_gradient.cache_info().misses == 1
    kinds = [operation.type for operation in graph.get_concrete_function(images("float32")).graph.get_operations()]
    assert kinds.count("Conv2DBackpropFilter") == (1 if grouped_convolution.has_gradient(tf.float32, "NHWC") else 4)


def test_without_onednn_gradients_are_taken_by_group_and_are_the_same():
    """In a process of its own: TensorFlow asks for oneDNN once."""
    program = """
import numpy, tensorflow as tf
from keras_resnet.grouped_convolution import Conv2D, has_gradient
layer = Conv2D(8, 3, strides=2, groups=4)
x = tf.constant(numpy.random.default_rng(1).normal(size=(2, 7, 6, 8)), "float32")
with tf.GradientTape() as tape:
    tape.watch(x)
    y = layer(x)
    loss = tf.reduce_sum(y ** 2)
of_images, of_kernel, _ = tape.gradient(loss, [x, *(weight.value for weight in layer.trainable_weights)])
rows = numpy.concatenate([x[:, i:i + 5:2, j:j + 4:2] for i in range(3) for j in range(3)], -1).reshape(2, 3, 2, 9, 4, 2)
expected = numpy.einsum("nhwkgc,nhwgf->kcgf", rows, numpy.reshape(2 * y, (2, 3, 2, 4, 2))).reshape(3, 3, 2, 8)
numpy.testing.assert_allclose(of_kernel, expected, rtol=1e-4, atol=1e-4)
assert numpy.abs(of_images).max() > 0
print(has_gradient(tf.float32, "NHWC"))
"""
    environment = {**os.environ, "TF_ENABLE_ONEDNN_OPTS": "0"}
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() in ("False", "True")  # a GPU has them


def test_replicas_reduce_the_gradients(kernels, mirrored):
    """Kernels of variables that are mirrored."""
    with mirrored.scope():
        layer = Conv2D(8, 3, groups=4)
        layer.build(SHAPE)
    x = images("float32")

    def gradient():
        _, (_, of_kernel, _) = step(layer, x)
        return tf.distribute.get_replica_context().all_reduce("mean", of_kernel)

    (of_kernel, *_) = mirrored.experimental_local_results(tf.function(lambda: mirrored.run(gradient))())
    assert_same(of_kernel, step(layer, x)[1][1], 1e-5)


@pytest.mark.parametrize("suffix", [".keras", ".weights.h5"])
def test_files_are_exchanged_with_keras_own_layer(suffix, tmp_path):
    def network(layer_class):
        return keras.Sequential([keras.Input(SHAPE[1:]), layer_class(8, 3, groups=4), layer_class(4, 1)])

    ours, stock, path = network(Conv2D), network(keras.layers.Conv2D), str(tmp_path / f"m{suffix}")
    stock.save(path) if suffix == ".keras" else stock.save_weights(path)
    if suffix == ".keras":
        ours = keras_resnet.load_model(path)
    else:
        ours.load_weights(path)
    x = images("float32")
    np.testing.assert_allclose(ours(x), stock(x), rtol=1e-5, atol=1e-5)
    again = keras.saving.load_model(path) if suffix == ".keras" else None
    assert again is None or {type(layer) for layer in again.layers} == {keras.layers.Conv2D}


def test_conversions_change_the_layers_with_groups_and_no_others():
    inputs = keras.Input(SHAPE[1:])
    hidden = keras.layers.TimeDistributed(keras.layers.Conv2D(2, 1, groups=2))  # stays Keras', which is right everywhere
    x = keras.layers.Conv2D(8, 1)(keras.layers.Conv2D(8, 3, groups=4)(inputs))
    model = keras.Model(inputs, hidden(keras.layers.Reshape((5, 4, 4, 2))(x)))
    fast = to_fast(model)
    stock = keras_resnet.to_stock(fast)
    assert [type(layer) for layer in fast.layers[1:3]] == [Conv2D, keras.layers.Conv2D]
    assert [type(layer) for layer in stock.layers[1:3]] == [keras.layers.Conv2D] * 2
    x = images("float32")
    for other in (fast, stock):
        np.testing.assert_allclose(other(x), model(x), rtol=1e-5, atol=1e-5)
