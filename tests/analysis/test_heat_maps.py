"""Catches a heat map of another class or layer, or one that lies elsewhere than the pixels that matter."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from conftest import scramble

import keras_resnet
from keras_resnet.analysis import grad_cam
from keras_resnet.classifier import with_preprocessing
from keras_resnet.preprocessing import Preprocessing

SHAPE = (16, 16, 3)


@pytest.fixture
def images(rng):
    return rng.normal(size=(4, *SHAPE)).astype("float32")


def network(**options):
    return scramble(keras_resnet.ResNet20V2(input_shape=SHAPE, classes=3, **options))


def bright_pixels_for_class_1():
    """A network whose branches are zero and whose first channel is the image: bright pixels speak for class 1, against 0."""
    model = keras_resnet.ResNet20V1(input_shape=(32, 32, 1), classes=2, zero_init_residual=True)
    kernel = np.zeros(model.get_layer("stem_conv").kernel.shape)
    kernel[1, 1, 0, 0] = 1
    model.get_layer("stem_conv").kernel.assign(kernel)
    top = np.zeros((64, 2))
    top[8 + 16, 1], top[8 + 16, 0] = 1, -1  # option A has put 8 and 16 channels of zeros before it
    model.get_layer("head_dense").kernel.assign(top)
    return model


def test_the_map_is_not_where_the_pixels_are_that_speak_for_a_class():
    images = np.zeros((2, 32, 32, 1))
    images[0, 4:9, 20:29], images[1] = 1, 0
    found = grad_cam(bright_pixels_for_class_1(), images, class_index=1)
    assert found.layer == "stage3_unit3_relu2"
    assert found.maps.shape == (2, 32, 32)
    assert found.maps[0].max() == 1
    rows, columns = np.nonzero(found.maps[0] > 0.5)
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (
        4,
        11,
        20,
        31,
    )  # every fourth pixel was read: 4, 8; 20, 24, 28
    assert not found.maps[1].any()
    assert found.probabilities[0] > 0.5 > 1 - found.probabilities[0]


def test_what_speaks_against_a_class_is_in_its_map():
    images = np.zeros((1, 32, 32, 1))
    images[0, 4:9, 20:29] = 1
    model = bright_pixels_for_class_1()
    assert not grad_cam(model, images, class_index=0).maps.any()
    assert grad_cam(model, images).classes == (1,)


@pytest.mark.parametrize("layer", [None, "stage2_unit3_add", "stage1_unit2"])
def test_the_map_is_not_the_papers_formula(layer, images):
    """Against a tape over two models that Keras cuts out of the network, before the resizing."""
    model = network(classifier_activation=None)
    found = grad_cam(model, images, class_index=(0, 1, 2, 0), layer=layer)
    name = {None: "head_relu", "stage1_unit2": "stage1_unit2_add"}.get(layer, layer)
    assert found.layer == (layer or name)
    features = keras.Model(model.input, model.get_layer(name).output)(images)
    rest = keras.Model(model.get_layer(name).output, model.output)
    with tf.GradientTape() as tape:
        tape.watch(features)
        logits = rest(features)
        score = tf.reduce_sum(tf.gather(logits, [0, 1, 2, 0], axis=1, batch_dims=1))
    weights = tape.gradient(score, features).numpy().mean(axis=(1, 2))
    maps = np.maximum(np.einsum("nhwc,nc->nhw", features.numpy(), weights), 0)
    maps = tf.image.resize(maps[..., None], SHAPE[:2]).numpy()[..., 0]
    maps /= np.where(maps.max(axis=(1, 2)) > 0, maps.max(axis=(1, 2)), 1)[:, None, None]
    np.testing.assert_allclose(found.maps, maps, atol=1e-3)
    probabilities = keras.ops.softmax(model(images)).numpy()
    np.testing.assert_allclose(found.probabilities, probabilities[range(4), (0, 1, 2, 0)], rtol=1e-3)


def test_a_softmax_or_preprocessing_around_changes_the_maps(rng):
    pixels = rng.integers(0, 256, size=(2, *SHAPE)).astype("uint8")
    preprocessing = Preprocessing(*SHAPE, mean=(0.5, 0.4, 0.3), std=(0.2, 0.3, 0.2))
    model = network()
    expected = grad_cam(model, preprocessing.normalize(pixels), class_index=2)
    classifier = keras_resnet.to_stock(with_preprocessing(model, preprocessing))
    np.testing.assert_allclose(grad_cam(classifier, pixels, class_index=2).maps, expected.maps, atol=1e-3)


def test_an_own_top_with_a_softmax_inside_its_dense_layer_changes_the_maps(images):
    """Catches the gradient of probabilities in place of that of logits."""
    model = network(classifier_activation=None)
    pooled = model.get_layer("head_pool").output
    own = keras.layers.Dense(3, activation="softmax", name="own")
    mine = keras.Model(model.input, own(pooled))
    own.set_weights(model.get_layer("head_dense").get_weights())
    np.testing.assert_allclose(grad_cam(mine, images).maps, grad_cam(model, images).maps, atol=1e-4)


@pytest.mark.parametrize("shape", [(16, 16, 3), (16, 16, 1)])
def test_the_plot_lacks_an_image(shape, rng):
    model = keras_resnet.ResNet20V2(input_shape=shape, classes=2)
    found = grad_cam(model, rng.normal(size=(6, *shape)), class_index=1)
    titles = [axes.get_title() for axes in found.plot(["cat", "dog"]).axes]
    assert sum(title.startswith("dog: ") for title in titles) == 6
    assert found.to_dict()["classes"] == [1] * 6
