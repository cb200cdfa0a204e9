"""What a network in memory records of its weights: how images are prepared for them, and whose they are.

The record is text in the configuration of this package's own normalization layers. It survives whatever Keras does with that:
`keras.models.clone_model`, `model.save`, `keras.saving.load_model`. `to_stock` and `to_fast` keep it as well, on the model in
memory. Keras' own layers have no place for it in their configuration: a plain `clone_model` or `save` of a network in stock
layers loses it.
"""

import dataclasses
import json
from typing import Any, NamedTuple

import keras

from keras_resnet.errors import UserError
from keras_resnet.metadata import Origin
from keras_resnet.preprocessing import Preprocessing
from keras_resnet.records import from_record, parse_json

ORIGIN = "origin"  # an entry beside those of `Preprocessing`


class Record(NamedTuple):
    """How images are prepared for weights, and whose the weights are, each as far as it is known."""

    preprocessing: Preprocessing | None = None
    origin: Origin | None = None


def set_record(model: keras.Model, record: Record) -> None:
    """Records on the model what is known about its weights; nothing known removes the record.

    It stays with the layers: in models that share them, in clones, and in the files of fast networks, but not in those of
    stock ones.
    """
    norms = norm_layers(model)
    for norm in norms:
        norm.preprocessing = None
    entries = dataclasses.asdict(record.preprocessing) if record.preprocessing else {}
    if record.origin:
        entries[ORIGIN] = dataclasses.asdict(record.origin)
    if entries:
        norms[0].preprocessing = json.dumps(entries)


def record_on(model: keras.Model) -> Record:
    """What is recorded on the model about its weights.

    Raises:
        UserError: if the record is damaged.
    """
    text = next(filter(None, (getattr(norm, "preprocessing", None) for norm in norm_layers(model))), None)
    return Record() if text is None else record_from_json(text)


def norm_layers(model: keras.Model) -> list[Any]:
    """The model's own normalization layers, fast and stock, in order."""
    kinds = (keras.layers.BatchNormalization, keras.layers.GroupNormalization)
    return [layer for layer in model.layers if isinstance(layer, kinds)]


def record_from_json(text: Any) -> Record:
    """Parses the text of a record.

    Raises:
        UserError: if it is damaged.
    """
    if not isinstance(text, str):
        raise UserError(f"the record of preprocessing is damaged: it is of type {type(text).__name__}")
    try:
        entries = parse_json(text)
        origin = entries.pop(ORIGIN, None) if isinstance(entries, dict) else None
        preprocessing = None if origin is not None and not entries else from_record(entries, Preprocessing)
    except UserError as error:
        raise UserError(f"the record of preprocessing is damaged: {error}") from error
    try:
        return Record(preprocessing, None if origin is None else from_record(origin, Origin))
    except UserError as error:
        raise UserError(f"the record of the weights' origin is damaged: {error}") from error
