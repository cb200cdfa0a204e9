"""`.keras` files that hold something else than a network, or a damaged one."""

import warnings

import h5py
import keras
from life.weight_files import members_of, with_config, with_member, write_keras, write_members
from life.wrong_weights import claims_shape, external_link, external_storage, keras_bomb, virtual


def saved(make):
    """Saves what `make()` returns, by Keras."""

    def write(model, path):
        with warnings.catch_warnings(action="ignore"):  # of what was not built
            keras.saving.save_model(make(), path.with_suffix(".tmp.keras"))
        path.with_suffix(".tmp.keras").rename(path)

    return write


def dense(*layers):
    inputs = keras.Input((2,))
    x = inputs
    for layer in layers or (keras.layers.Dense(2),):
        x = layer(x)
    return keras.Model(inputs, x)


def dictionary_output():
    inputs = keras.Input((8, 8, 3))
    return keras.Model(inputs, {"a": keras.layers.Flatten()(inputs)})


def low_rank():
    model = dense(keras.layers.Dense(4, name="first"), keras.layers.Dense(2))
    model.get_layer("first").enable_lora(2)
    return model


def in_config(change):
    """A network's `.keras` file with another configuration."""

    def write(model, path):
        write_keras(model, path)
        with_config(path, change)

    return write


def renamed(name):
    def change(config):
        config["config"]["layers"][3]["config"]["name"] = name
        return config

    return change


def in_layer(**values):
    def change(config):
        config["config"]["layers"][3]["config"] |= values
        return config

    return change


def in_conv(**values):
    """Changes the configuration of a convolution, which load_weights does not look at."""

    def change(config):
        layer = next(layer for layer in config["config"]["layers"] if layer["config"]["name"] == "stage2_unit1_conv2")
        layer["config"] |= values
        return config

    return change


BAD_KERAS = {
    "a layer": (saved(lambda: keras.layers.Dense(3)), "holds a Dense"),
    "an optimizer": (saved(lambda: keras.optimizers.SGD()), "holds a SGD"),
    "Lambda": (saved(lambda: dense(keras.layers.Lambda(lambda x: x * 2))), "Lambda"),
    "name of 4,301 digits": (in_config(renamed("stage1_unit" + "1" * 4301 + "_conv1")), "no name"),
    "name that is a number": (in_config(renamed(7)), "no name"),
    "name that is null": (in_config(renamed(None)), "no name"),
    "layers are a number": (in_config(lambda config: config | {"config": {"layers": 7}}), "must be a list"),
    "a layer is null": (in_config(lambda config: config | {"config": {"layers": [None]}}), "describes no Keras object"),
    "config is a list": (in_config(lambda config: config | {"config": []}), "describes no Keras object"),
    "strides are text": (in_config(in_layer(strides="two")), "cannot be loaded|strides"),
    "10**9 filters": (in_config(in_conv(filters=10**9)), "weights"),
    "a kernel of 10**9": (in_config(in_conv(kernel_size=[10**9, 10**9])), "weights"),
    "a bomb": (keras_bomb, "claims to unpack"),
    "deep": (in_config(lambda config: '{"config":' * 100_000 + "1" + "}" * 100_000), "nested"),
    "long number": (in_config(lambda config: '{"class_name": "A", "config": {"a": ' + "9" * 5000 + "}}"), "digits"),
    "null": (in_config(lambda config: "null"), "describes no Keras object"),
    "list": (in_config(lambda config: "[]"), "describes no Keras object"),
    "text": (in_config(lambda config: '"a"'), "describes no Keras object"),
    "not UTF-8": (in_config(lambda config: b"\xff\xfe\xe9{}"), "not JSON"),
    "external link": (lambda model, path: keras_with_h5(model, path, external_link), "link to elsewhere"),
    "external storage": (lambda model, path: keras_with_h5(model, path, external_storage), "another file"),
    "virtual dataset": (lambda model, path: keras_with_h5(model, path, virtual), "another file"),
    "claimed shape": (lambda model, path: keras_with_h5(model, path, claims_shape(chunks=(1024, 1024))), "claims"),
    "weights are not HDF5": (lambda model, path: keras_with(model, path, lambda content: b"weights" * 100), "cannot be read"),
    "weights are missing": (lambda model, path: without_member(model, path, "model.weights.h5"), "model.weights"),
    "truncated": (lambda model, path: (write_keras(model, path), path.write_bytes(path.read_bytes()[:-5000])), "truncated"),
}


def keras_with(model, path, change):
    """A `.keras` file with its weights member changed."""
    write_keras(model, path)
    with_member(path, "model.weights.h5", change)


def keras_with_h5(model, path, change):
    """A `.keras` file whose weights `change(file, path)` was done to."""

    def changed(content):
        inner = path.with_name("inner.h5")
        inner.write_bytes(content)
        with h5py.File(inner, "a") as file:
            change(file, inner)
        return inner.read_bytes()

    keras_with(model, path, changed)


def without_member(model, path, name):
    write_keras(model, path)
    write_members(path, {key: content for key, content in members_of(path).items() if key != name})
