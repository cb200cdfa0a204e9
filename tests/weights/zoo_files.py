"""Weight files in the layouts of other libraries, with the weights that their names draw, and the logits of the originals."""

import json
import types

import h5py
import numpy as np
import tensorflow as tf
from conftest import ROOT
from safetensors.numpy import save_file
from test_references import deterministic

import keras_resnet

ZOO = ROOT / "tests" / "references" / "zoo"
VALUE = "/.ATTRIBUTES/VARIABLE_VALUE"
OBJECT_GRAPH = "_CHECKPOINTABLE_OBJECT_GRAPH"
NEVER_READ = (".OPTIMIZER_SLOT", "optimizer/", "save_counter", "global_step")  # what of a checkpoint is none of a network's


def reference(name, folder=ZOO):
    """What a reference file says: shapes by tensors' names, sizes of images, logits, and the number of parameters."""
    with np.load(folder / f"{name}.npz") as file:
        found = {key: file[key] for key in file.files}
    shapes = {str(key): tuple(json.loads(str(shape))) for key, shape in zip(found["names"], found["shapes"], strict=True)}
    return types.SimpleNamespace(**{**found, "shapes": shapes, "sizes": [tuple(map(int, size)) for size in found["sizes"]]})


def state_dict(name):
    return {key: deterministic.tensor(key, shape) for key, shape in reference(name).shapes.items()}


def write_safetensors(name, path):
    save_file(state_dict(name), path)
    return path


def write_preset(name, folder):
    """As KerasHub's `save_to_preset` does."""
    found = reference(name)
    folder.mkdir()
    for file, text in json.loads(str(found.texts)).items():
        (folder / file).write_text(text)
    for (key, shape), place in zip(found.shapes.items(), found.places, strict=True):
        file, _, inside = str(place).partition(":")
        with h5py.File(folder / file, "a") as opened:
            opened[inside] = deterministic.tensor(key, shape)
            opened[inside].parent.attrs["name"] = key.rpartition(".")[0]
    return folder


def write_checkpoint(name, prefix, extra=None, old=False):
    """As TensorFlow's savers do; `extra` tensors by name; `old`: in the one file of TensorFlow 1.0's format."""
    found = reference(name)
    tensors = {}
    for key, shape in found.shapes.items():
        network = not any(word in key for word in NEVER_READ)
        tensors[key] = deterministic.tensor(key.removesuffix(VALUE), shape) if network else np.zeros(shape, "float32")
    if hasattr(found, "full_names"):
        from tensorflow.core.protobuf.trackable_object_graph_pb2 import TrackableObjectGraph

        graph = TrackableObjectGraph()
        for key, full_name in zip(found.shapes, found.full_names, strict=True):
            graph.nodes.add().attributes.add(name="VARIABLE_VALUE", checkpoint_key=key, full_name=str(full_name))
        tensors[OBJECT_GRAPH] = graph.SerializeToString()
    tensors |= extra or {}
    values = [tf.constant(value) for value in tensors.values()]
    if old:
        tf.raw_ops.Save(filename=str(prefix), tensor_names=list(tensors), data=values)
    else:
        tf.raw_ops.SaveV2(prefix=str(prefix), tensor_names=list(tensors), shape_and_slices=[""] * len(values), tensors=values)
    return prefix


def write_bit(path, classes=1000, write=np.savez):
    """In the layout in which Google published BiT, the weights of timm's reference file."""
    tensors = {}
    for key, value in state_dict("timm-resnetv2_50x1_bit").items():
        layer, _, variable = key.rpartition(".")
        kernel = variable == "weight" and value.ndim == 4
        tensors[f"resnet/{google_name(layer, kernel)}/{google_variable(variable, value)}"] = (
            value.transpose(2, 3, 1, 0) if kernel else value
        )
    assert len(tensors) == len(state_dict("timm-resnetv2_50x1_bit"))
    write(path, **tensors)
    return path


def google_variable(variable, value):
    if value.ndim == 4:
        return "kernel"
    return {"weight": "gamma", "bias": "beta"}[variable] if value.shape != (1000,) else "bias"


def google_name(layer, kernel):
    """timm's `stages.0.blocks.1.conv2` -> `block1/unit02/b/standardized_conv2d`."""
    if layer in ("stem.conv", "norm", "head.fc"):
        return {"stem.conv": "root_block/standardized_conv2d", "norm": "group_norm", "head.fc": "head/conv2d"}[layer]
    _, stage, _, unit, *rest = layer.split(".")
    part = "a/proj" if rest[0] == "downsample" else "abc"[int(rest[0][-1]) - 1]
    return f"block{int(stage) + 1}/unit{int(unit) + 1:02}/{part}/{'standardized_conv2d' if kernel else 'group_norm'}"


def network(model_name, **arguments):
    """A network of this zoo, for images of any size, to the logits."""
    arguments = {"input_shape": (None, None, 3), "classifier_activation": None} | arguments
    return getattr(keras_resnet, model_name)(**arguments)


def assert_same_network(model, name, folder=ZOO, tolerance=1e-5):
    """As many parameters, and the original's logits at both sizes."""
    found = reference(name, folder)
    assert sum(int(np.prod(weight.shape)) for weight in model.trainable_weights) == int(found.parameters)
    for number, (sides, expected) in enumerate(zip(found.sizes, found.logits, strict=True)):
        logits = np.asarray(model(deterministic.images((1, *sides, 3), number)))[0]
        assert logits.shape == expected.shape
        assert np.abs(logits - expected).max() <= tolerance * np.abs(expected).max(), sides
