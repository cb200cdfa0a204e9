"""Weight files and archives: small good ones of every kind, ones that are wrong on purpose, and seeded mutations of any."""

import functools
import json
import re
import struct
import warnings
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


# Files that are wrong on purpose: `make(model, path)`


def torch_with_flipped_byte(model, path):
    """The zip's own checksum tells."""
    write_torch(model, path)
    flip_in(path, state_dict(model)["layer3.1.conv1.weight"].tobytes()[:16], at=1)


def keras_with_flipped_byte(model, path):
    write_keras(model, path)
    flip_in(path, np.asarray(model.get_layer("stage3_unit2_conv1").kernel).tobytes()[:16], at=1)


def encrypted(write, name):
    def make(model, path):
        write(model, path)
        with_entries(path, name(path), flags=1)

    return make


def other_method(write, name):
    def make(model, path):
        write(model, path)
        write_members(path, members_of(path), zipfile.ZIP_LZMA)

    return make


def two_members(model, path):
    write_keras(model, path)
    members = members_of(path)
    with warnings.catch_warnings(action="ignore"):
        write_members(path, [*members.items(), ("model.weights.h5", members["model.weights.h5"])])


def claims_size(write, name):
    def make(model, path):
        write(model, path)
        with_entries(path, name(path), size=3_000_000_000)

    return make


def keras_bomb(model, path):
    """A member of 100 MB of zeros, which takes a thousandth of that in the file."""
    write_keras(model, path)
    members = members_of(path)
    zeros = bytes(1 << 24)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            if name != "model.weights.h5":
                archive.writestr(name, content)
        with archive.open("model.weights.h5", "w", force_zip64=True) as member:
            for _ in range(6):
                member.write(zeros)


def in_h5(change, write=write_weights_h5):
    """A file of HDF5 that `change(file, path)` was done to."""

    def make(model, path):
        write(model, path)
        with h5py.File(path, "a") as file:
            change(file, path)

    return make


def kernel(file):
    """The group and the name of a dataset of a 3x3 convolution."""
    return file["layers/conv2d_3/vars"], "0"


def twice_the_name(file, path):
    file["layers/conv2d_4/vars"].attrs["name"] = file["layers/conv2d_3/vars"].attrs["name"]


def external_storage(file, path):
    group, name = kernel(file)
    shape = group[name].shape
    del group[name]
    secret = path.with_name("secret")
    secret.write_bytes(np.ones(shape, "float32").tobytes())
    group.create_dataset(name, shape, "float32", external=[(str(secret), 0, h5py.h5f.UNLIMITED)])


def external_link(file, path):
    group, name = kernel(file)
    with h5py.File(path.with_name("other.h5"), "w") as other:
        other["values"] = np.asarray(group[name])
    del group[name]
    group[name] = h5py.ExternalLink(str(path.with_name("other.h5")), "values")


def soft_link(file, path):
    group, name = kernel(file)
    del group[name]
    group[name] = h5py.SoftLink("/layers/conv2d_4/vars/0")


def virtual(file, path):
    group, name = kernel(file)
    shape = group[name].shape
    with h5py.File(path.with_name("other.h5"), "w") as other:
        other["values"] = np.ones(shape, "float32")
    del group[name]
    layout = h5py.VirtualLayout(shape, "float32")
    layout[...] = h5py.VirtualSource(str(path.with_name("other.h5")), "values", shape)
    group.create_virtual_dataset(name, layout)


def claims_shape(**storage):
    def change(file, path):
        group, name = kernel(file)
        del group[name]
        group.create_dataset(name, (65536, 65536), "float32", **storage)

    return change


def large_chunk(file, path):
    """A tensor of the right shape in a chunk that has two gigabytes of zeros."""
    group, name = kernel(file)
    shape = group[name].shape
    del group[name]
    group.create_dataset(name, shape, "float32", maxshape=(None,) * 4, chunks=(512, 1024, 32, 32), compression="gzip")


def text_in_h5(file, path):
    group, name = kernel(file)
    del group[name]
    group[name] = "text"


def strange_dtype(dtype):
    def change(file, path):
        variances = file["layers/batch_normalization_1/vars"]
        values = np.asarray(variances["3"])
        del variances["3"]
        variances["3"] = (values > 1).astype(dtype)

    return change


def a_cycle(file, path):
    file["layers/again"] = file["/"]


def torch_with(change):
    """change: of the dictionary that is saved."""

    def make(model, path):
        save_torch(model, path, change=change)

    return make


def many_values(name):
    """Eight bytes seen as 2**31 values."""

    def change(content):
        import torch

        content["state_dict"][name] = torch.zeros(2).as_strided((2**31,), (0,))
        return content

    return change


def whole_module(content):
    import torch

    return {"model": torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3))}


def integers(content):
    content["state_dict"]["layer1.0.bn1.running_var"] = content["state_dict"]["layer1.0.bn1.running_var"].int()
    return content


def booleans(content):
    content["state_dict"]["layer1.0.bn1.running_var"] = content["state_dict"]["layer1.0.bn1.running_var"] > 0
    return content


def torchscript(model, path):
    import torch

    with warnings.catch_warnings(action="ignore"):
        torch.jit.save(torch.jit.script(torch.nn.Conv2d(3, 4, 3)), path)


def safetensors_header(change):
    """change: of the header's text."""

    def make(model, path):
        content = save(state_dict(model))
        length = int.from_bytes(content[:8], "little")
        header = change(content[8 : 8 + length])
        path.write_bytes(len(header).to_bytes(8, "little") + header + content[8 + length :])

    return make


def same_name_twice(header):
    return header.rstrip()[:-1] + b',"conv1.weight":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}'


def long_name(header):
    return header.replace(b"layer2.1.conv2.weight", b"layer2." + b"1" * 4301 + b".conv2.weight")


def zeros(size):
    """A file of zeros, which takes no room on most disks."""

    def make(model, path):
        with path.open("wb") as file:
            file.truncate(size)

    return make


def content(data):
    return lambda model, path: path.write_bytes(data)


def member_of(prefix):
    """The first member of an archive whose name ends so."""
    return lambda path: next(name for name in members_of(path) if name.endswith(prefix))


def tar_with_large_header(model, path):
    """A pax header that claims three gigabytes."""
    header = bytearray(512)
    header[:9] = b"PaxHeader"
    header[124:136] = b"27000000000\0"
    header[156:157] = b"x"
    header[257:265] = b"ustar\x0000"
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header)
    path.write_bytes(bytes(header) + bytes(1024))


BAD_WEIGHTS = {  # what the message says
    "flipped byte in a .pth": (torch_with_flipped_byte, "does not have its checksum"),
    "flipped byte in a .keras": (keras_with_flipped_byte, "Bad CRC|checksum"),
    "encrypted .pth": (encrypted(write_torch, member_of("data.pkl")), "is encrypted"),
    "encrypted .keras": (encrypted(write_keras, member_of("model.weights.h5")), "is encrypted"),
    ".pth of another method": (other_method(write_torch, None), "method 14"),
    ".keras of another method": (other_method(write_keras, None), "method 14"),
    "two members of one name": (two_members, "several members"),
    "3 GB member of a .pth": (claims_size(write_torch, member_of("data.pkl")), "claims"),
    "3 GB member of a .keras": (claims_size(write_keras, member_of("model.weights.h5")), "claims"),
    "two layers of one name": (in_h5(twice_the_name), "two layers called"),
    "external storage": (in_h5(external_storage), "another file"),
    "external link": (in_h5(external_link), "link to elsewhere"),
    "soft link": (in_h5(soft_link), "link to elsewhere"),
    "virtual dataset": (in_h5(virtual), "another file"),
    "claimed shape": (in_h5(claims_shape()), "claims"),
    "claimed shape in chunks": (in_h5(claims_shape(chunks=(1024, 1024))), "claims"),
    "large chunk": (in_h5(large_chunk), "claims"),
    "text in HDF5": (in_h5(text_in_h5), "weights are numbers"),
    "integer variances in HDF5": (in_h5(strange_dtype("int32")), "cannot be weights"),
    "boolean variances in HDF5": (in_h5(strange_dtype("bool")), "cannot be weights"),
    "integer variances": (torch_with(integers), "cannot be weights"),
    "boolean variances": (torch_with(booleans), "cannot be weights"),
    "2**31 values in 8 bytes": (torch_with(many_values("layer1.0.conv1.weight")), "does not fit"),
    "2**31 variances in 8 bytes": (torch_with(many_values("bn1.running_var")), "does not fit"),
    "a whole module": (torch_with(whole_module), r"torch\.nn\.modules\..*state_dict"),
    "TorchScript": (torchscript, "TorchScript"),
    "wrong offsets": (safetensors_header(lambda header: header.replace(b"[0,", b"[4,", 1)), "cannot be read"),
    "huge offsets": (safetensors_header(lambda h: re.sub(rb"(\d+)\]\}", rb"\g<1>999999999]}", h, count=1)), "cannot be read"),
    "odd dtype": (safetensors_header(lambda header: header.replace(b'"F32"', b'"Q32"', 1)), "cannot be read"),
    "name twice": (safetensors_header(same_name_twice), "two entries"),
    "name of 4,301 digits": (safetensors_header(long_name), "characters"),
    "huge header": (content((1 << 40).to_bytes(8, "little") + b"{" + b" " * 1000), "cannot be read|not JSON"),
    "deep header": (content((50_000).to_bytes(8, "little") + b'{"a":' * 10_000), "nested|not JSON"),
    "zeros": (zeros(128 << 20), "is not a weight file"),
    "large file": (zeros(3 << 30), "bytes"),
    "tar": (tar_with_large_header, "tar archive"),
    "gzip": (content(b"\x1f\x8b\x08\x00" + bytes(100)), "gzip"),
    "Git LFS": (content(b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 9\n"), "Git LFS"),
    "web page": (content(b"<!DOCTYPE html>\n<html><body>Sign in</body></html>"), "web page"),
    "empty": (content(b""), "is not a weight file"),
}


# Seeded mutations


def mutated(data, seed):
    """Bytes with one to three of: flipped bits, a cut, an insertion, zeros, two pieces in the other order."""
    rng = np.random.default_rng(seed)
    data = bytearray(data)
    for _ in range(rng.integers(1, 4)):
        size = max(len(data), 1)
        # Half of all places are at the ends, where formats say what they are.
        place = (
            int(rng.integers(size)) if rng.random() < 0.5 else int(rng.integers(min(size, 512))) * rng.choice((1, -1)) % size
        )
        length = int(min(rng.integers(1, 64), size - place))
        piece = bytes(data[place : place + length])
        kind = rng.integers(6)
        if kind == 0 and data:
            data[place] ^= 1 << rng.integers(8)
        elif kind == 1:
            del data[place:]
        elif kind == 2:
            data[place:place] = rng.bytes(length)
        elif kind == 3:
            data[place : place + length] = bytes(length)
        elif kind == 4:
            other = int(rng.integers(size))
            data[place : place + length] = data[other : other + length]
            data[other : other + length] = piece
        else:
            data[place : place + length] = rng.bytes(length)
    return bytes(data)


TORCH_KINDS = ("torch", "torch_legacy")
TORCH = ("torch", ".pth", "PyTorch", "TorchScript", "in 8 bytes", "module", "variances")  # in titles of files that it writes
HAS_TORCH = util.find_spec("torch") is not None


def can_be_made(title):
    """Whether the libraries are installed that write a file of this title, or kind."""
    return HAS_TORCH or not any(word in title for word in TORCH)


def mutate_file(path, seed):
    """Mutates a file: its bytes or, half the time for an archive, one member under a right checksum or the members' names."""
    rng = np.random.default_rng(seed)
    if not zipfile.is_zipfile(path) or rng.random() < 0.5:
        path.write_bytes(mutated(path.read_bytes(), seed))
        return
    members = members_of(path)
    names = list(members)
    name = names[rng.integers(len(names))]
    if rng.random() < 0.2:
        other = names[rng.integers(len(names))]
        members[name], members[other] = members[other], members[name]
    elif rng.random() < 0.2:
        del members[name]
    elif name.endswith(".json"):
        from life.records import mutated_json

        members[name] = mutated_json(members[name].decode(), seed).encode()
    else:
        members[name] = mutated(members[name], seed)
    write_members(path, members)


# `.keras` files that hold something else than a network


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
