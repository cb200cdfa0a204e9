"""Models as their makers save them: by the names of other libraries, with heads of their own, one inside another."""

import re

import keras

from keras_resnet.models.builder import build
from keras_resnet.models.naming import UnitLayer
from keras_resnet.models.options import ModelOptions
from keras_resnet.models.variants import Variant

layers = keras.layers

SIZE = 8  # pixels a side
CLASSES = 5


def bottlenecks(include_top, name="bottlenecks", width_multiplier=0.25):
    """The smallest network of bottlenecks: three stages of one unit each, of order `original`."""
    return build(
        Variant("cifar", 11, "bottleneck", "original", "B"),
        ModelOptions(width_multiplier=width_multiplier),
        include_top=include_top,
        input_tensor=None,
        input_shape=(SIZE, SIZE, 3),
        pooling=None,
        classes=CLASSES,
        classifier_activation="softmax",
        name=name,
    )


def renamed(model, rename):
    """The model with `rename(name of a layer)` for the names of its layers."""

    def clone(layer):
        return type(layer).from_config({**layer.get_config(), "name": rename(layer.name)})

    copy = keras.models.clone_model(model, clone_function=clone)
    copy.set_weights(model.get_weights())
    return copy


def by_applications_name(name):
    """A layer of a bottleneck network of order `original`, as keras.applications' ResNet calls it."""
    if unit := UnitLayer.parse(name):
        operation = unit.operation.replace("shortcut_", "0").replace("norm", "bn")
        kind, number = re.fullmatch(r"(0?[a-z]+)(\d*)", operation).groups()
        number, kind = ("0", kind[1:]) if kind[0] == "0" else (number or "out", kind)
        return f"conv{unit.stage + 1}_block{unit.unit}_{number}_{kind}"
    return {"stem_conv": "conv1_conv", "stem_norm": "conv1_bn", "head_dense": "predictions"}.get(name, f"other_{name}")


def torch_state(model, shortcut="downsample", head="fc"):
    """The state dict, as NumPy arrays, that torchvision's or a CIFAR ResNet has for a network of order `original`."""
    state = {}
    for layer in model.layers:
        unit = UnitLayer.parse(layer.name)
        if unit:
            operation = unit.operation.replace("norm", "bn").replace("shortcut_conv", f"{shortcut}.0")
            name = f"layer{unit.stage}.{unit.unit - 1}.{operation.replace('shortcut_bn', f'{shortcut}.1')}"
        else:
            name = {"stem_conv": "conv1", "stem_norm": "bn1", "head_dense": head}.get(layer.name)
        for weight in layer.weights:
            array = weight.numpy()
            array = array.transpose(3, 2, 0, 1) if array.ndim == 4 else array.T
            variable = {"kernel": "weight", "gamma": "weight", "beta": "bias", "moving_mean": "running_mean"}
            state[f"{name}.{variable.get(weight.name, weight.name.replace('moving_variance', 'running_var'))}"] = array.copy()
    return state


def sequential(inner):
    """As in the guides to transfer learning: scaling, features, pooling, a head."""
    head = [layers.GlobalAveragePooling2D(), layers.Dropout(0.2), layers.Dense(CLASSES)]
    return keras.Sequential([keras.Input((SIZE, SIZE, 3)), layers.Rescaling(1 / 127.5, -1), inner, *head])


def functional(inner):
    """The same as a functional model."""
    inputs = keras.Input((SIZE, SIZE, 3))
    x = layers.RandomFlip("horizontal")(layers.Rescaling(1 / 127.5, -1)(inputs))
    return keras.Model(inputs, layers.Dense(CLASSES)(layers.GlobalAveragePooling2D()(inner(x))))


def nested_twice(inner):
    """A network in the feature extractor of a classifier."""
    extractor = keras.Sequential([keras.Input((SIZE, SIZE, 3)), inner, layers.GlobalAveragePooling2D()], name="extractor")
    return keras.Sequential([keras.Input((SIZE, SIZE, 3)), extractor, layers.Dense(CLASSES)])


def siamese(inner):
    """One network for two images."""
    images = [keras.Input((SIZE, SIZE, 3)), keras.Input((SIZE, SIZE, 3))]
    pooled = [layers.GlobalAveragePooling2D()(inner(image)) for image in images]
    return keras.Model(images, layers.Dense(1)(layers.Subtract()(pooled)))


def in_a_wrapper(inner):
    """A network for each frame of a film."""
    frames = keras.Input((2, SIZE, SIZE, 3))
    return keras.Model(frames, layers.TimeDistributed(inner, name="frames")(frames))


def two_networks(one, other):
    """An ensemble."""
    inputs = keras.Input((SIZE, SIZE, 3))
    return keras.Model(inputs, layers.Average()([one(inputs), other(inputs)]))


def flat(inner):
    """A head on top of the features, in one model with them."""
    x = layers.Dense(8, activation="relu", name="hidden")(layers.GlobalAveragePooling2D()(inner.output))
    return keras.Model(inner.input, layers.Dense(CLASSES)(layers.BatchNormalization()(x)))


INSIDE = {
    "sequential": sequential,
    "functional": functional,
    "nested twice": nested_twice,
    "siamese": siamese,
    "in a wrapper": in_a_wrapper,
    "flat": flat,
}


def save(model, path):
    """In the format of the file's suffix."""
    (model.save_weights if path.name.endswith(".weights.h5") else model.save)(path)
    return path
