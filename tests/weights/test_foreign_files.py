"""Catches an `.npz`, a checkpoint or a preset that is read wrongly, runs code, or fails at length."""

import json
import os
import pickle
import shutil
import zipfile

import numpy as np
import pytest
import tensorflow as tf
import zoo_files
from safetensors.numpy import save_file
from test_weights import assert_refused

import keras_resnet
from keras_resnet import UserError
from keras_resnet.weights import readers
from keras_resnet.weights.stored_tensors import SizeLimits, is_stand_in
from keras_resnet.weights.tensorflow_checkpoints import checkpoint_prefix

TINY = {"width_multiplier": 0.0625, "classes": 3, "input_shape": (32, 32, 3)}


@pytest.fixture(scope="module")
def model():
    return keras_resnet.BiTR50x1(**TINY)


# NumPy's archives


class Malicious:
    def __reduce__(self):
        return print, ("executed",)


def npz(path, **arrays):
    np.savez(path, **arrays)
    return path.rename(path.with_suffix(".bin")) if path.suffix == ".npz" else path


@pytest.mark.parametrize("write", [np.savez, np.savez_compressed])
def test_an_npz_is_misread(write, tmp_path):
    arrays = {
        "resnet/block1/unit01/a/group_norm/gamma": np.arange(4.0),
        "resnet/head/conv2d/kernel": np.ones((1, 1, 2, 3), "f2"),
    }
    arrays["scale"] = np.asfortranarray(np.arange(6, dtype="float32").reshape(2, 3))
    write(tmp_path / "a.npz", **arrays)
    found = readers.read(str(tmp_path / "a.npz"))
    assert set(found) == {"resnet/block1/unit01/a/group_norm.gamma", "resnet/head/conv2d.kernel", "scale"}
    for name, array in zip(found, arrays.values(), strict=True):
        np.testing.assert_array_equal(found[name], array)
    limited = readers.read(str(tmp_path / "a.npz"), SizeLimits(tensor=4))
    assert is_stand_in(limited["scale"])
    assert not is_stand_in(limited["resnet/block1/unit01/a/group_norm.gamma"])


def test_an_npz_with_objects_is_unpickled(model, tmp_path, capsys):
    np.savez(tmp_path / "a.npz", kernel=np.array([Malicious()], dtype=object), other=np.zeros(3))
    assert_refused(model, tmp_path / "a.npz", "holds object in 'kernel.npy', which is not read")
    assert "executed" not in capsys.readouterr().out
    pickle.loads(pickle.dumps(Malicious()))
    assert "executed" in capsys.readouterr().out  # it would have been


def header(shape, dtype="'<f4'"):
    text = f"{{'descr': {dtype}, 'fortran_order': False, 'shape': {shape}, }}".encode()
    text += b" " * (118 - len(text) - 1) + b"\n"
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (header((10**12,)) + bytes(8), "claims 4,000,000,000,000 bytes, and has 8"),
        (header((1,)) + bytes(8), "claims 4 bytes, and has 8"),
        (b"\x93NUMPY\x09\x00" + header((2,))[8:] + bytes(8), "format .9, 0."),
        (b"", "a.npz"),
        (header((2,))[:40], "a.npz"),
        (header((2,), "[('a', '<f4')]") + bytes(8), "weights are numbers"),
        (header((2,), "'<U1'") + bytes(8), "weights are numbers"),
    ],
)
def test_a_damaged_array_is_believed(content, message, model, tmp_path):
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive:
        archive.writestr("kernel.npy", content)
    assert_refused(model, tmp_path / "a.npz", message)


def test_an_npz_of_something_else_fails_at_length(model, tmp_path):
    np.savez(tmp_path / "a.npz", kernel=np.zeros(3))
    assert_refused(model, tmp_path / "a.npz", "holds no known ResNet; its tensors are kernel")
    np.save(tmp_path / "b.npy", np.zeros(3))
    assert_refused(model, tmp_path / "b.npy", "it is one array of NumPy")


def test_a_bit_of_another_size_or_without_its_projections_is_loaded(tmp_path):
    path = zoo_files.write_bit(tmp_path / "bit.npz")
    error = assert_refused(
        keras_resnet.BiTR101x1(width_multiplier=0.125, include_top=False), path, "Google BiT weights fit BiTR50x1"
    )
    assert "stage3_unit23_conv1/kernel" in error.missing
    assert_refused(
        keras_resnet.ResNet50V2Timm(width_multiplier=0.125), path, "holds Google BiT weights, but .*not standardized.*edges"
    )
    path.unlink()


# TensorFlow's checkpoints


def save_checkpoint(prefix, old=False, **tensors):
    values = [tf.constant(value) for value in tensors.values()]
    if old:
        tf.raw_ops.Save(filename=str(prefix), tensor_names=list(tensors), data=values)
    else:
        tf.raw_ops.SaveV2(prefix=str(prefix), tensor_names=list(tensors), shape_and_slices=[""] * len(values), tensors=values)
    return prefix


def scope(name, *variables):
    return {f"{name}/{variable}": np.full(3, number, "float32") for number, variable in enumerate(variables)}


@pytest.mark.parametrize("path", ["a.ckpt", "a.ckpt.index", "a.ckpt.data-00000-of-00001"])
def test_a_checkpoint_is_known_by_one_of_its_files_only(path, tmp_path):
    save_checkpoint(tmp_path / "a.ckpt", **scope("resnet_v1_50/conv1", "weights", "biases"))
    found = readers.read(str(tmp_path / path))
    assert set(found) == {"resnet_v1_50/conv1.kernel", "resnet_v1_50/conv1.bias"}
    np.testing.assert_array_equal(found["resnet_v1_50/conv1.bias"], [1, 1, 1])


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_a_checkpoint_whose_data_is_a_pipe_is_waited_for(tmp_path):
    save_checkpoint(tmp_path / "a.ckpt", **scope("resnet_v1_50/conv1", "weights"))
    data = tmp_path / "a.ckpt.data-00000-of-00001"
    data.unlink()
    os.mkfifo(data)
    with pytest.raises(UserError, match=r"a\.ckpt\.data-00000-of-00001 cannot be read: it is a pipe"):
        readers.read(str(tmp_path / "a.ckpt.index"))


@pytest.mark.parametrize("name", ["resnet_v1_50.ckpt", "weights.h5", "a"])
def test_a_checkpoint_in_one_file_is_known_by_its_name(name, tmp_path):
    """As TF-Slim's were published in 2016."""
    save_checkpoint(tmp_path / name, old=True, **scope("resnet_v1_50/conv1", "weights"))
    assert set(readers.read(str(tmp_path / name))) == {"resnet_v1_50/conv1.kernel"}


def test_what_only_a_training_needs_is_taken_for_a_networks(tmp_path):
    tensors = scope(
        "resnet_v1_50/conv1", "weights", "weights/Momentum", "weights/ExponentialMovingAverage", "weights/RMSProp_1",
        "BatchNorm/gamma", "BatchNorm/gamma/Adam", "BatchNorm/moving_mean/ExponentialMovingAverage",
    )  # fmt: skip
    tensors |= {"global_step": np.int64(7), "resnet_v1_50/mean_rgb": np.zeros(3, "float32"), "beta1_power": np.float32(0.9)}
    tensors |= {"optimizer/momentum/.ATTRIBUTES/VARIABLE_VALUE": np.float32(0.9), "save_counter/.ATTRIBUTES/VARIABLE_VALUE": 1}
    save_checkpoint(tmp_path / "a", **tensors)
    assert set(readers.read(str(tmp_path / "a"))) == {"resnet_v1_50/conv1.kernel", "resnet_v1_50/conv1/BatchNorm.gamma"}


def test_an_index_without_its_data_fails_at_length(model, tmp_path):
    save_checkpoint(tmp_path / "a.ckpt", **scope("block1/unit_1/bottleneck_v1/conv1", "weights"))
    data = tmp_path / "a.ckpt.data-00000-of-00001"
    content = data.read_bytes()
    data.write_bytes(content[:5])
    assert_refused(model, tmp_path / "a.ckpt", "a.ckpt")
    data.unlink()
    assert_refused(model, tmp_path / "a.ckpt.index", "a.ckpt.index")
    shutil.copy(tmp_path / "a.ckpt.index", tmp_path / "renamed")
    assert_refused(model, tmp_path / "renamed", "renamed")
    data.write_bytes(content)
    (tmp_path / "a.ckpt.index").unlink()
    assert checkpoint_prefix(str(data)) is None
    assert_refused(model, data, "is not a weight file")
    assert_refused(model, tmp_path / "a.ckpt", "no weights")


@pytest.mark.parametrize("at", [10, 60, 0.5, -30])
def test_a_damaged_checkpoint_is_believed_or_fails_at_length(at, model, tmp_path):
    save_checkpoint(tmp_path / "a.ckpt", **scope("block1/unit_1/bottleneck_v1/conv1", "weights"))
    content = bytearray((tmp_path / "a.ckpt.index").read_bytes())
    at = int(at * len(content)) if isinstance(at, float) else at
    content[at] ^= 0xFF
    (tmp_path / "a.ckpt.index").write_bytes(content)
    assert_refused(model, tmp_path / "a.ckpt", "a.ckpt")


def test_texts_in_a_checkpoint_are_taken_for_weights(model, tmp_path):
    save_checkpoint(tmp_path / "a", **{"resnet_v1_50/conv1/weights": np.array([b"a", b"b"])})
    assert_refused(model, tmp_path / "a", "holds string in 'resnet_v1_50/conv1/weights'")


def test_a_large_tensor_is_read_although_the_network_has_none(tmp_path):
    save_checkpoint(tmp_path / "a", **scope("conv1", "weights"), other=np.zeros(1000, "float32"))
    found = readers.read(str(tmp_path / "a"), SizeLimits(tensor=10))
    assert is_stand_in(found[".other"])
    assert not is_stand_in(found["conv1.kernel"])


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "wrong", "message"),
    [
        ("slim-resnet_v1_50", "ResNet50V1_5", "stride in the first unit of a stage, not in the last"),
        ("slim-resnet_v2_50", "ResNet50V2Slim", "other pixels at the edges"),
        ("garden-resnet50", "ResNet50V1_5", "other pixels at the edges"),
        ("garden-resnet50", "ResNet50Garden2019", "other pixels at the edges"),
        ("garden-legacy_resnet50", "ResNet50Garden", "other pixels at the edges"),
    ],
)
def test_a_network_of_other_edges_takes_a_checkpoints_weights(name, wrong, message, tmp_path):
    prefix = zoo_files.write_checkpoint(name, tmp_path / "a")
    assert_refused(getattr(keras_resnet, wrong)(**TINY), prefix, f"but {wrong.lower()} has .*{message}")
    for path in tmp_path.iterdir():
        path.unlink()


def test_early_keras_networks_are_taken_for_the_model_gardens(tmp_path):
    """Of the same layers' names, but with biases."""
    tensors = {"res2a_branch2a.kernel": np.zeros((1, 1, 4, 4), "float32"), "res2a_branch2a.bias": np.zeros(4, "float32")}
    save_file(tensors, tmp_path / "a.safetensors")
    assert_refused(
        keras_resnet.ResNet50V1(**TINY), tmp_path / "a.safetensors", "early Keras ResNet50 weights, which are not read"
    )


# KerasHub's presets


@pytest.fixture
def preset(tmp_path):
    path = zoo_files.write_preset("keras_hub-resnet_18", tmp_path / "preset")
    yield path
    shutil.rmtree(path)


def edit(path, change):
    record = json.loads(path.read_text())
    change(record)
    path.write_text(json.dumps(record))


@pytest.mark.parametrize(
    ("file", "change", "message"),
    [
        ("config.json", lambda c: c.update(class_name="DenseNetBackbone"), "describes 'DenseNetBackbone'"),
        ("config.json", lambda c: c["config"].update(stackwise_num_strides=[1, 2, 2, 1]), "stackwise_num_strides"),
        ("config.json", lambda c: c["config"].update(block_type="basic_block_vd"), "block_type basic_block_vd"),
        ("config.json", lambda c: c.clear(), "config.json"),
        ("preprocessor.json", lambda c: c["config"].clear(), "preprocessor.json is wrong"),
        (
            "preprocessor.json",
            lambda c: c["config"]["image_converter"]["config"].update(scale="x"),
            "preprocessor.json is wrong",
        ),
        (
            "preprocessor.json",
            lambda c: c["config"]["image_converter"]["config"].update(interpolation="nearest"),
            "preprocessor.json is wrong: interpolation is 'nearest'",
        ),
    ],
)
def test_a_preset_of_another_network_or_with_a_wrong_record_is_loaded(file, change, message, preset):
    edit(preset / file, change)
    assert_refused(zoo_files.network("ResNet18V1"), preset, message)


def test_a_preset_without_a_classifier_loads_with_a_random_one_unsaid(preset):
    (preset / "task.weights.h5").unlink()
    (preset / "preprocessor.json").unlink()
    model = zoo_files.network("ResNet18V1")
    error = assert_refused(model, preset, "skip_head=True")
    assert error.missing == ["head_dense/kernel", "head_dense/bias"]
    keras_resnet.load_weights(model, preset, skip_head=True)
    with pytest.raises(UserError, match="does not fit resnet50v1_5"):
        keras_resnet.load_weights(zoo_files.network("ResNet50V1_5", include_top=False), preset)


def test_a_folder_of_something_else_fails_at_length(model, tmp_path):
    assert_refused(model, tmp_path, "it is a folder")
