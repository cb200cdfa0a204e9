"""Weight files that are wrong on purpose: `make(model, path)`, and what the message says."""

import re
import warnings
import zipfile

import h5py
import numpy as np
from life.weight_files import (
    flip_in,
    members_of,
    save_torch,
    state_dict,
    with_entries,
    write_keras,
    write_members,
    write_torch,
    write_weights_h5,
)
from safetensors.numpy import save


def torch_with_flipped_byte(model, path):
    """The zip's own checksum tells."""
    write_torch(model, path)
    flip_in(path, state_dict(model)["layer3.1.conv1.weight"].tobytes()[:16], at=1)


def keras_with_flipped_byte(model, path):
    write_keras(model, path)
    flip_in(path, np.asarray(model.get_layer("stage3_unit2_conv1").kernel).tobytes()[:16], at=1)


def with_entry(write, name, **values):
    """One member's entries say something else, see `with_entries`. name: of the path, returns that of the member."""

    def make(model, path):
        write(model, path)
        with_entries(path, name(path), **values)

    return make


def encrypted(write, name):
    return with_entry(write, name, flags=1)


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
    return with_entry(write, name, size=3_000_000_000)


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
