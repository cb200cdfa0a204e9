"""Good weight files of every kind, and what is done to archives."""

import functools
import json
import re
import struct
import zipfile
from importlib import util

import h5py
import keras
import numpy as np
from safetensors.numpy import save

import keras_resnet

NAMES = (  # ours, and akamaster's
    (r"stem_conv", "conv1"),
    (r"stem_norm", "bn1"),
    (r"stage(\d)_unit(\d)_conv(\d)", lambda m: f"layer{m[1]}.{int(m[2]) - 1}.conv{m[3]}"),
    (r"stage(\d)_unit(\d)_norm(\d)", lambda m: f"layer{m[1]}.{int(m[2]) - 1}.bn{m[3]}"),
    (r"head_dense", "linear"),
)
VARIABLES = {
    "kernel": "weight",
    "gamma": "weight",
    "beta": "bias",
    "moving_mean": "running_mean",
    "moving_variance": "running_var",
}


def small_network(seed=0, dtype="float32"):
    """A ResNet20V1 of 5,000 weights on 8x8 images, whose every weight has a value of its own."""
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(dtype)
    try:
        model = keras_resnet.ResNet20V1(width_multiplier=0.125, input_shape=(8, 8, 3), classes=3)
    finally:
        keras.config.set_dtype_policy(before)
    generator = np.random.default_rng(seed)
    model.set_weights([generator.uniform(0.5, 1.5, weight.shape) for weight in model.weights])
    return model


def state_dict(model):
    """Its weights as PyTorch has them, by akamaster's names."""
    state = {}
    for layer in model.layers:
        for weight in layer.weights:
            name = next(re.sub(pattern, theirs, layer.name) for pattern, theirs in NAMES if re.fullmatch(pattern, layer.name))
            array = np.asarray(weight)
            axes = {4: (3, 2, 0, 1), 2: (1, 0)}.get(array.ndim)
            variable = weight.path.rsplit("/", 1)[-1]
            state[f"{name}.{VARIABLES.get(variable, variable)}"] = np.ascontiguousarray(
                array.transpose(axes) if axes else array
            )
    return state


# Good files of every kind


def once(write):
    """Writes a file of a model once, and copies it after that."""
    contents = {}

    @functools.wraps(write)
    def copy(model, path):
        if id(model) in contents:
            path.write_bytes(contents[id(model)][1])
        else:
            write(model, path)
            contents[id(model)] = model, path.read_bytes()

    return copy


@once
def write_keras(model, path):
    model.save(path.with_suffix(".tmp.keras"))
    path.with_suffix(".tmp.keras").rename(path)


@once
def write_weights_h5(model, path):
    model.save_weights(path.with_suffix(".tmp.weights.h5"))
    path.with_suffix(".tmp.weights.h5").rename(path)


@once
def write_legacy_h5(model, path):
    """As Keras 2 did."""
    with h5py.File(path, "w") as file:
        layers = [layer for layer in model.layers if layer.weights]
        file.attrs["layer_names"] = [layer.name.encode() for layer in layers]
        for layer in layers:
            group = file.create_group(layer.name)
            names = [f"{layer.name}/{weight.path.rsplit('/', 1)[-1]}:0" for weight in layer.weights]
            group.attrs["weight_names"] = [name.encode() for name in names]
            for name, weight in zip(names, layer.weights, strict=True):
                group.create_dataset(name, data=np.asarray(weight))


@once
def write_safetensors(model, path):
    path.write_bytes(save(state_dict(model)))


@once
def write_torch(model, path):
    save_torch(model, path)


def save_torch(model, path, legacy=False, change=lambda content: content):
    import torch

    tensors = {name: torch.from_numpy(array.copy()) for name, array in state_dict(model).items()}
    torch.save(change({"state_dict": tensors, "epoch": 3}), path, _use_new_zipfile_serialization=not legacy)


@once
def write_torch_legacy(model, path):
    save_torch(model, path, legacy=True)


WRITERS = {
    "keras": write_keras,
    "weights.h5": write_weights_h5,
    "legacy.h5": write_legacy_h5,
    "safetensors": write_safetensors,
    "torch": write_torch,
    "torch_legacy": write_torch_legacy,
}


# Archives


def members_of(path):
    """{name: content} of a zip archive."""
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def write_members(path, members, method=zipfile.ZIP_STORED, mode="w"):
    """members: pairs of names and contents, or a dictionary."""
    with zipfile.ZipFile(path, mode, method) as archive:
        for name, content in dict(members).items() if isinstance(members, dict) else members:
            archive.writestr(name, content)


def with_member(path, name, change):
    """Rewrites an archive with one member changed, and its checksum right."""
    members = members_of(path)
    write_members(path, members | {name: change(members[name])})


def with_config(path, change):
    """Rewrites a `.keras` file with its configuration changed: `change(config)` returns the new one, or text."""

    def changed(content):
        config = change(json.loads(content))
        return config if isinstance(config, (str, bytes)) else json.dumps(config)

    with_member(path, "config.json", changed)


def with_entries(path, name, **values):
    """Overwrites what an archive's list and a member's own header say of the member, and nothing else.

    values: of `method`, `flags`, `size`, `stored`.
    """
    content = bytearray(path.read_bytes())
    fields = {"flags": (6, 8, "<H"), "method": (8, 10, "<H"), "stored": (18, 20, "<L"), "size": (22, 24, "<L")}
    for signature, place, name_at in ((b"PK\3\4", 0, 30), (b"PK\1\2", 1, 46)):
        start = content.find(signature)
        while start >= 0:
            if content[start + name_at : start + name_at + len(name)] == name.encode():
                for field, value in values.items():
                    struct.pack_into(fields[field][2], content, start + fields[field][place], value)
            start = content.find(signature, start + 4)
    path.write_bytes(content)


def flip_in(path, piece, at=0):
    """Flips a bit in the first place where `piece` is found in a file."""
    content = bytearray(path.read_bytes())
    content[content.index(piece) + at] ^= 1
    path.write_bytes(content)


# Without PyTorch

TORCH_KINDS = ("torch", "torch_legacy")
TORCH = ("torch", ".pth", "PyTorch", "TorchScript", "in 8 bytes", "module", "variances")  # in titles of files that it writes
HAS_TORCH = util.find_spec("torch") is not None


def can_be_made(title):
    """Whether the libraries are installed that write a file of this title, or kind."""
    return HAS_TORCH or not any(word in title for word in TORCH)
