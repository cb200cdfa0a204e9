"""Reads TensorFlow's checkpoints, by TensorFlow itself: `{layer.variable: array}`, without what only a training needs.

There are three kinds. TensorFlow 1 called variables by their scopes, `resnet_v1_50/conv1/weights`, in one file or, later, in
an index and data files. TensorFlow 2 calls them by the attributes on the way to them, and notes Keras' names beside that.
"""

import functools
import os
import re
from collections.abc import Iterable
from typing import Any

import numpy as np

from keras_resnet.errors import UserError
from keras_resnet.foreign_files import check_is_file, open_file

from .stored_tensors import SizeLimits, StoredTensor, read_tensors

TABLE_MAGIC = bytes.fromhex("57fb808b247547db")  # ends an index, and a whole checkpoint of the oldest kind
INDEX = ".index"
DATA = re.compile(r"\.data-\d{5}-of-\d{5}")
OBJECT_GRAPH, VALUE = "_CHECKPOINTABLE_OBJECT_GRAPH", "/.ATTRIBUTES/VARIABLE_VALUE"

# What a training adds to a network's variables: their averages and momenta, and its own counters.
SLOTS = re.compile(
    r"(?:.*/)?(?:ExponentialMovingAverage|moving_average|Momentum|RMSProp(?:_1)?|Adam(?:_1)?|Adagrad|Ftrl(?:_1)?)|"
    r"(?:.*/)?(?:global_step|save_counter|mean_rgb|beta[12]_power)|(?:.*/)?\.OPTIMIZER_SLOT/.*|optimizers?/.*|.*/optimizers?/.*"
)
# Keras' own names, and the Model Garden's: a layer's number, and the attribute in a block of layers.
AUTOMATIC_NAME = re.compile(r"(?:^|/)(?:conv2d|batch_normalization|dense|sync_batch_normalization)(?:_\d+)?/")
GARDEN_LAYER = re.compile(r"(?P<place>(?:.*/)?)layer_with_weights-(?P<number>\d+)(?:/(?P<inside>_.*))?")
VARIABLES = {"weights": "kernel", "biases": "bias"}  # TF-Slim's names in Keras' words


def checkpoint_prefix(path: str) -> str | None:
    """What TensorFlow calls a checkpoint by, if the path is one's: of its index or data, or what their names begin with.

    None if it is not that of a checkpoint.
    """
    if os.path.isfile(path):
        if is_table(path):
            return path.removesuffix(INDEX)
        path = DATA.sub("", path) if DATA.search(os.path.basename(path)) else ""
    return path if path and os.path.isfile(path + INDEX) else None


def data_files(prefix: str) -> list[str]:
    """The paths of what has the names of a checkpoint's data files; TensorFlow would wait for ever for a pipe among them."""
    folder, start = os.path.split(prefix)
    return [
        os.path.join(folder, name)
        for name in sorted(os.listdir(folder or "."))
        if name.startswith(start) and DATA.fullmatch(name, len(start))
    ]


def is_table(path: str) -> bool:
    """Whether a file ends as an index does."""
    with open_file(path) as file:
        file.seek(max(0, os.path.getsize(path) - len(TABLE_MAGIC)))
        return file.read() == TABLE_MAGIC


def read_checkpoint(path: str, limits: SizeLimits) -> dict[str, np.ndarray]:
    """Reads the network's variables of a checkpoint.

    Raises:
        UserError: if the data files are not next to the index, or are something else than files.
    """
    import tensorflow as tf

    prefix = checkpoint_prefix(path)
    assert prefix is not None, path
    if prefix != path and not os.path.isfile(prefix + INDEX):
        raise UserError(f"{path} is the index of a TensorFlow checkpoint: its name ends in {INDEX!r}, as TensorFlow wrote it")
    for data_file in data_files(prefix):
        check_is_file(data_file)
    try:
        reader = tf.train.load_checkpoint(prefix)
        shapes = reader.get_variable_to_shape_map()
        types = reader.get_variable_to_dtype_map()
        found = keras_names(reader) if OBJECT_GRAPH in shapes else {}
    except tf.errors.OpError as error:
        raise UserError(f"{path} cannot be read: {error.message}") from error
    keys: list[str] = [key for key in sorted(shapes) if key != OBJECT_GRAPH and not SLOTS.fullmatch(key.removesuffix(VALUE))]
    names: dict[str, str] = {key: found.get(key) or key.removesuffix(VALUE) for key in keys}
    layers = by_stage(dict.fromkeys(name.rpartition("/")[0] for name in names.values()))
    stored = {}
    for key, name in names.items():
        layer, _, variable = name.rpartition("/")
        called = f"{layers.get(layer, layer)}.{VARIABLES.get(variable, variable)}"
        if not (types[key].is_floating or types[key].is_integer):
            raise UserError(f"{path} holds {types[key].name} in {name!r}; weights are numbers")
        if called in stored:
            raise UserError(f"{path} has two variables called {name!r}: which of them is meant cannot be told")
        stored[called] = StoredTensor(tuple(shapes[key]), functools.partial(reader.get_tensor, key))
    return read_tensors(stored, limits)


def keras_names(reader: Any) -> dict[str, str]:
    """What Keras called the variables in a checkpoint of TensorFlow 2, by their keys: `{".../kernel/...": "conv1/kernel"}`.

    Empty if some layers have no names of their own: Keras numbers those by all that there ever were.
    """
    from keras_resnet import _tensorflow_internals

    names = _tensorflow_internals.checkpoint_names(reader.get_tensor(OBJECT_GRAPH))
    names = {key: name for key, name in names.items() if not SLOTS.fullmatch(key.removesuffix(VALUE))}
    named = len(set(names.values())) == len(names) and not any(map(AUTOMATIC_NAME.search, names.values()))
    return names if named else {}


def by_stage(names: Iterable[str]) -> dict[str, str]:
    """What the layers of the Model Garden's networks are called here, where they have numbers alone.

    "backbone/layer_with_weights-7/_conv1" is "backbone/stage2/block1/_conv1": a block with a projection begins a stage. The
    classifier, which is outside of the backbone, is "backbone/head".
    """
    layers = [match for name in names if (match := GARDEN_LAYER.fullmatch(name))]
    blocks = {(match["place"], int(match["number"])) for match in layers if match["inside"]}
    if len({place for place, _ in blocks}) != 1:
        return {}
    place = min(blocks)[0]
    first = {int(match["number"]) for match in layers if (match["inside"] or "").startswith("_shortcut")}
    stage = block = 0
    at: dict[int, str] = {}
    for _, number in sorted(blocks):
        stage, block = (stage + 1, 1) if number in first else (stage, block + 1)
        at[number] = f"{place}stage{stage}/block{block}/"
    renamed = {}
    for match in layers:
        number = int(match["number"])
        if match["place"] == place and number in at:
            renamed[match[0]] = at[number] + match["inside"]
        elif not match["place"].startswith(place):
            renamed[match[0]] = f"{place}head"
    return renamed
