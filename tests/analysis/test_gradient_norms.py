"""Catches norms of other gradients than those of training, and an analysis that changes the model."""

import json

import keras
import numpy as np
import pytest
import tensorflow as tf
from conftest import gradients, scramble

import keras_resnet
from keras_resnet.analysis import gradient_norms

SHAPE = (8, 8, 3)


@pytest.fixture
def images(rng):
    return rng.normal(size=(6, *SHAPE)).astype("float32")


LABELS = np.array([0, 1, 2, 0, 1, 2])


def network(name="ResNet20V2", classes=3, **options):
    return scramble(getattr(keras_resnet, name)(input_shape=SHAPE, classes=classes, **options))


def l2(arrays):
    return np.sqrt(sum(float(np.square(array.astype("float64")).sum()) for array in arrays))


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("ResNet20V1", {}),
        ("ResNet20V2", {}),
        ("PlainNet20", {"unit": "full_preactivation"}),
        ("ResNet20V1", {"unit": "bn_after_addition", "shortcut": "exclusive_gating"}),
        ("ResNet20V1", {"unit": "relu_before_addition", "shortcut": "C"}),
        ("ResNet56V2", {"unit": "relu_only_preactivation", "block": "bottleneck", "shortcut": "constant_scaling"}),
    ],
)
def test_the_norms_of_weights_are_not_those_of_a_training_step(name, options, images):
    """Against a tape over the model as Keras calls it, with weights sorted by their layers' names."""
    model = network(name, classifier_activation=None, **options)
    with keras.StatelessScope():
        pairs = [(weight.path, gradient) for weight, gradient in gradients(model, images, LABELS)]
    norms = gradient_norms(model, images, LABELS)
    assert norms.units[:2] == ("stage1_unit1", "stage1_unit2")
    for unit, weights, kernels in zip(norms.units, norms.weight_gradients, norms.kernel_gradients, strict=True):
        own = [(path, gradient) for path, gradient in pairs if path.startswith(f"{unit}_")]
        assert own
        np.testing.assert_allclose(weights, l2(gradient for _, gradient in own), rtol=1e-4)
        np.testing.assert_allclose(kernels, l2(g for path, g in own if path.endswith("/kernel")), rtol=1e-4)


def test_the_norms_of_outputs_are_of_another_tensor(images):
    """Against a tape that watches the input of the network's rest, which begins at the unit."""
    model = network("ResNet20V1")
    features = keras.Model(model.input, model.get_layer("stage2_unit3_relu2").output)
    rest = keras.Model(model.get_layer("stage2_unit3_relu2").output, model.output)
    x = features(images)
    with tf.GradientTape() as tape:
        tape.watch(x)
        probabilities = rest(x)
        loss = -tf.reduce_mean(tf.math.log(tf.gather(probabilities, LABELS, axis=1, batch_dims=1)))
    gradient = tape.gradient(loss, x).numpy()
    norms = gradient_norms(model, images, LABELS, training=False)
    at = norms.units.index("stage2_unit3")
    np.testing.assert_allclose(norms.loss, loss, rtol=1e-5)
    np.testing.assert_allclose(norms.output_gradients[at], l2([gradient]), rtol=1e-4)
    np.testing.assert_allclose(norms.output_gradient_rms[at], l2([gradient]) / np.sqrt(gradient.size), rtol=1e-4)
    np.testing.assert_allclose(norms.outputs[at], l2([x.numpy()]), rtol=1e-5)
    np.testing.assert_allclose(norms.output_rms[at], l2([x.numpy()]) / np.sqrt(x.numpy().size), rtol=1e-5)


def test_the_norm_does_not_say_how_the_loss_changes():
    """Against finite differences by each of the 22 weights of a unit, in double precision."""
    keras.config.set_dtype_policy("float64")
    try:
        model = network(width_multiplier=1 / 16)
        images = np.random.default_rng(3).normal(size=(6, *SHAPE))
        norms = gradient_norms(model, images, LABELS, training=False)
        squares = []
        for weight in (w for w in model.trainable_weights if w.path.startswith("stage1_unit2_")):
            value = weight.numpy()
            for index in np.ndindex(value.shape):
                losses = []
                for step in (1e-5, -1e-5):
                    moved = value.copy()
                    moved[index] += step
                    weight.assign(moved)
                    losses.append(-np.log(model(images).numpy()[range(6), LABELS]).mean())
                squares.append(((losses[0] - losses[1]) / 2e-5) ** 2)
            weight.assign(value)
    finally:
        keras.config.set_dtype_policy("float32")
    assert len(squares) == 22
    assert norms.weight_gradients[1] > 1e-4
    np.testing.assert_allclose(norms.weight_gradients[1], np.sqrt(sum(squares)), rtol=1e-5)


def test_logits_softmax_a_model_around_and_stock_layers_make_a_difference(images):
    logits = network(classifier_activation=None)
    softmax = network()
    softmax.set_weights(logits.get_weights())
    inputs = keras.Input(SHAPE)
    around = keras.Model(inputs, softmax(keras.layers.Rescaling(1.0)(inputs)))
    x = features = keras.Input(SHAPE)
    for layer in (keras.layers.Rescaling(0.5), keras.Sequential([keras.Input(SHAPE), logits]), keras.layers.Softmax()):
        x = layer(x)
    expected = gradient_norms(logits, images, LABELS)
    for model, pixels in ((softmax, images), (around, images), (keras.Model(features, x), images * 2)):
        np.testing.assert_allclose(gradient_norms(model, pixels, LABELS).weight_gradients, expected.weight_gradients, rtol=1e-4)
    stock = gradient_norms(keras_resnet.to_stock(logits), images, LABELS)
    np.testing.assert_allclose(stock.weight_gradients, expected.weight_gradients, rtol=1e-3)


def test_the_model_is_changed(images):
    """Catches moving statistics, seeds or flags that an analysis in training mode leaves behind."""
    model = network(stochastic_depth=0.5, classifier_dropout=0.5)
    model.get_layer("stage1_unit1_conv1").trainable = False
    model.compile(keras.optimizers.SGD(0.1, momentum=0.9), "sparse_categorical_crossentropy")
    model.fit(images, LABELS, verbose=0)

    def state():
        variables = [*model.variables, *model.optimizer.variables]
        return [np.array(v) for v in variables], [layer.trainable for layer in model.layers], id(model.optimizer)

    before = state()
    first, second = (gradient_norms(model, images, LABELS) for _ in range(2))
    assert first == second
    after = state()
    assert before[1:] == after[1:]
    assert len(before[0]) > 150
    for old, new in zip(before[0], after[0], strict=True):
        np.testing.assert_array_equal(old, new)


def test_frozen_units_have_norms_of_weights(images):
    model = network()
    for layer in model.layers:
        layer.trainable = layer.name.startswith("stage3_unit3")
    norms = gradient_norms(model, images, LABELS)
    assert norms.weight_gradients[:8] == (None,) * 8
    assert norms.weight_gradients[8] > 0
    assert min(norms.output_gradients) > 0


def test_the_result_does_not_go_into_json_or_a_figure(images):
    norms = gradient_norms(network(), images, LABELS)
    found = json.loads(json.dumps(norms.to_dict(), allow_nan=False))
    assert found["units"][-1] == "stage3_unit3"
    assert found["loss"] == norms.loss
    assert {len(values) for name, values in found.items() if name != "loss"} == {9}
    figure = norms.plot()
    assert [len(axes.lines[0].get_xdata()) for axes in figure.axes] == [9, 9, 9]
