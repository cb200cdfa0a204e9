"""Writes the file of trained weights and its row of the index: the same bytes every time, whole or not at all."""

import dataclasses
from pathlib import Path

import keras
import numpy as np
from safetensors.numpy import save

from keras_resnet.errors import UserError, comma_join
from keras_resnet.files import json_text, write_text
from keras_resnet.models.naming import part_of
from keras_resnet.models.variants import VARIANTS

from .entries import PretrainedWeights
from .lookup import INDEX, read_index

MAX_BYTES = 6_000_000  # of all files together: they are in every wheel
MAX_DROP = 0.1  # percentage points that rounding may cost or bring


def write_weights(model: keras.Model, path: Path) -> None:
    """Writes the weights of a network, or of a classifier that has one inside, as a safetensors file.

    Kernels are rounded to float16, which halves the file. All else, about a hundredth of the numbers, stays float32: variances
    may lie outside of what float16 holds, from 6e-8 to 65504, and a few kilobytes are no reason to round them.

    Raises:
        UserError: for kernels that float16 cannot hold.
    """
    layers = [layer for layer in model.layers if part_of(layer.name)]
    tensors = {f"{layer.name}.{weight.name}": np.array(weight, np.float32) for layer in layers for weight in layer.weights}
    with np.errstate(over="ignore"):
        halves = {name: array.astype(np.float16) for name, array in tensors.items() if name.endswith(".kernel")}
    if too_large := [name for name, array in halves.items() if not np.isfinite(array).all()]:
        raise UserError(f"{model.name} has kernels beyond the range of float16, in {comma_join(too_large, 3)}")
    path.write_bytes(save({**tensors, **halves}))


def check_rounding(correct: int, correct_in_float32: int, images: int) -> None:
    """Raises a `UserError` if rounding has changed the accuracy by more than `MAX_DROP`."""
    if 100 * abs(correct - correct_in_float32) > MAX_DROP * images:
        raise UserError(
            f"with kernels in float16 {correct} of {images} test images are classified correctly, and {correct_in_float32} "
            f"in float32: more than {MAX_DROP} percentage points apart"
        )


def check_size(entry: PretrainedWeights, folder: Path) -> None:
    """Raises a `UserError` if the files of a folder would be too large with that of the entry."""
    if (total := entry.bytes + sum(other.bytes for other in others(entry, folder))) > MAX_BYTES:
        raise UserError(f"with {entry.full_name} the trained weights have {total:,} bytes; they have at most {MAX_BYTES:,}")


def write_entry(entry: PretrainedWeights, folder: Path) -> None:
    """Writes the entry into the index in a folder, in the place of an earlier one for the same weights."""
    ordered = sorted([*others(entry, folder), entry], key=lambda entry: (entry.name, list(VARIANTS).index(entry.model)))
    write_text(folder / INDEX, f"{json_text([dataclasses.asdict(each) for each in ordered], indent=2)}\n")
    read_index.cache_clear()


def others(entry: PretrainedWeights, folder: Path) -> list[PretrainedWeights]:
    """The other entries of the index in a folder, if it has one."""
    path = folder / INDEX
    return [other for other in (read_index(path) if path.exists() else ()) if other.full_name != entry.full_name]
