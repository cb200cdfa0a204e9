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


def small(*end, before=(), shape=(SIZE, SIZE, 3), **options):
    """A convolution, a norm, a pooling and what comes after; `before` comes before them."""
    x = inputs = keras.Input(shape, **options)
    for layer in before:
        x = layer(x)
    x = layers.ReLU()(layers.BatchNormalization()(layers.Conv2D(4, 3, padding="same")(x)))
    x = layers.GlobalAveragePooling2D()(x)
    for layer in end:
        x = layer(x)
    return keras.Model(inputs, x)


def pooled(*end):
    """The same with maps of one pixel instead of vectors."""
    inputs = keras.Input((SIZE, SIZE, 3))
    x = layers.GlobalAveragePooling2D(keepdims=True)(layers.Conv2D(4, 3)(inputs))
    for layer in end:
        x = layer(x)
    return keras.Model(inputs, x)


def with_outputs(model, outputs):
    return keras.Model(model.inputs, outputs(model.outputs[0]))


def softmax_over(axis):
    return lambda x: keras.ops.softmax(x, axis=axis)


PROBABILITIES = {  # ends whose outputs are the probabilities of three classes
    "keras.ops.softmax": lambda: small(layers.Dense(3), keras.ops.softmax),
    "keras.activations.softmax": lambda: small(layers.Dense(3), keras.activations.softmax),
    "an activation": lambda: small(layers.Dense(3), layers.Activation("softmax")),
    "inside the dense layer": lambda: small(layers.Dense(3, activation="softmax")),
    "a temperature": lambda: small(layers.Dense(3), lambda x: x / 2.5, keras.ops.softmax),
    "a temperature as a layer": lambda: small(layers.Dense(3), layers.Rescaling(0.4), layers.Softmax()),
    "a cast after it": lambda: small(layers.Dense(3), keras.ops.softmax, lambda x: keras.ops.cast(x, "float32")),
    "a shape after it": lambda: small(layers.Dense(3, activation="softmax"), layers.Reshape((3,))),
    "maps of one pixel": lambda: pooled(layers.Conv2D(3, 1), layers.Softmax()),
    "maps of one pixel, flattened": lambda: pooled(layers.Conv2D(3, 1, activation="softmax"), layers.Flatten()),
    "sigmoids": lambda: small(layers.Dense(3), keras.ops.sigmoid),
    "in a dictionary": lambda: with_outputs(small(layers.Dense(3), layers.Softmax()), lambda x: {"scores": x}),
    "in a list": lambda: with_outputs(small(layers.Dense(3), layers.Softmax()), lambda x: [x]),
}

LOGITS = {  # ends whose outputs are logits of three classes
    "logits": lambda: small(layers.Dense(3)),
    "a temperature": lambda: small(layers.Dense(3), lambda x: x / 2.5),
    "logits between 0 and 1": lambda: small(layers.Dense(3, kernel_initializer="zeros", bias_initializer="ones")),
    "maps of one pixel": lambda: pooled(layers.Conv2D(3, 1)),
    "log_softmax": lambda: small(layers.Dense(3), keras.ops.log_softmax),
    "log_softmax inside the dense layer": lambda: small(layers.Dense(3, activation="log_softmax")),
}


def dictionary_of_one():
    image = keras.Input((SIZE, SIZE, 3), name="image")
    return keras.Model({"image": image}, layers.Dense(3, activation="softmax")(layers.Flatten()(image)))


def squeeze_and_excite():
    """As in EfficientNet: depthwise, swish, and a product of maps and of numbers per channel."""
    x = inputs = keras.Input((SIZE, SIZE, 3))
    x = layers.BatchNormalization()(layers.DepthwiseConv2D(3, depth_multiplier=2)(x))
    x = layers.Activation("swish")(x)
    y = layers.Reshape((1, 1, 6))(layers.GlobalAveragePooling2D()(x))
    y = layers.Conv2D(6, 1, activation="sigmoid")(layers.Conv2D(2, 1, activation="swish")(y))
    x = layers.GlobalAveragePooling2D()(layers.Multiply()([x, y]))
    return keras.Model(inputs, layers.Dense(3, activation="softmax")(x))


def with_lora():
    """Matrices of LoRA that are not merged."""
    model = small(layers.Dense(3, activation="softmax"))
    for layer in (model.layers[1], model.layers[-1]):
        layer.enable_lora(2)
        layer.lora_kernel_b.assign(keras.random.normal(layer.lora_kernel_b.shape, seed=1))
    return model


def over_pixels():
    inputs = keras.Input((SIZE, SIZE, 3))
    x = layers.GlobalAveragePooling2D()(layers.TimeDistributed(layers.Dense(4, activation="relu"))(inputs))
    return keras.Model(inputs, layers.Dense(3, activation="softmax")(x))


def end():
    return layers.Dense(3, activation="softmax")


def named(name):
    model = small(layers.Dense(3, activation="softmax", name=f"{name} layer"))
    model.name = name
    return model


OTHERS = {  # models with something unusual inside, that give the probabilities of three classes
    "uint8 images": lambda: small(end(), before=[layers.Rescaling(1 / 255)], dtype="uint8"),
    "a batch size": lambda: small(end(), shape=None, batch_shape=(5, SIZE, SIZE, 3)),
    "not square": lambda: small(end(), shape=(8, 12, 3)),
    "gray": lambda: small(end(), shape=(SIZE, SIZE, 1)),
    "a dictionary of images": dictionary_of_one,
    "augmentation": lambda: small(end(), before=[layers.RandomFlip(), layers.RandomRotation(0.1), layers.RandomContrast(0.1)]),
    "RandAugment": lambda: small(end(), before=[layers.RandAugment()]),
    "a pipeline": lambda: small(end(), before=[layers.Pipeline([layers.RandomFlip(), layers.Rescaling(1 / 255)])]),
    "resizing": lambda: small(end(), before=[layers.Resizing(6, 6), layers.CenterCrop(4, 4)]),
    "two scalings": lambda: small(end(), before=[layers.Rescaling(1 / 255), layers.Rescaling(2.0, -1.0)]),
    "preprocess_input": lambda: small(end(), before=[keras.applications.resnet.preprocess_input]),
    "arithmetic": lambda: small(end(), before=[lambda x: x / 127.5, lambda x: x - 1.0]),
    "squeeze and excite": squeeze_and_excite,
    "LoRA": with_lora,
    "a wrapper": over_pixels,
    "odd names": lambda: named("größe 1/2".replace("/", ":")),
    "a long name": lambda: named("n" * 300),
}
