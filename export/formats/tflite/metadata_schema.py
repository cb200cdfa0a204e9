"""TFLite's metadata as bytes and back: the tables that we write, of the public `metadata_schema.fbs`, version 1.5.0.

Google's own writer comes with MediaPipe, which an export is not to need. Records are plain data: a dict by field for a table,
a list for a vector, a name for an enum's value, `{table: record}` for a union. What is empty or 0 is not stored.

Source: github.com/google-ai-edge/mediapipe, mediapipe/tasks/metadata/metadata_schema.fbs.
"""

import dataclasses

import flatbuffers
import numpy as np
from flatbuffers import number_types
from flatbuffers.table import Table

IDENTIFIER = b"M001"
ROOT = "ModelMetadata"


@dataclasses.dataclass(frozen=True)
class Enum:
    """A byte; `names` by its values."""

    names: tuple


@dataclasses.dataclass(frozen=True)
class Union:
    """One of several tables, with its number in a field of its own; 0 is none."""

    tables: tuple


FILE_TYPES = Enum(("UNKNOWN", "DESCRIPTIONS", "TENSOR_AXIS_LABELS"))  # there are more
COLOUR_SPACES = Enum(("UNKNOWN", "RGB", "GRAYSCALE"))

# A field is a str, an int (unsigned, 32 bits), an Enum, a Union or, by its name, a table; in a list it is a vector of such.
# fmt: off
TABLES = {  # fields in the schema's order, which is how they are found: none may be left out in front of one that we write
    "ModelMetadata":        {"name": str, "description": str, "version": str, "subgraph_metadata": ["SubGraphMetadata"],
                             "author": str, "license": str, "associated_files": ["AssociatedFile"], "min_parser_version": str},
    "SubGraphMetadata":     {"name": str, "description": str, "input_tensor_metadata": ["TensorMetadata"],
                             "output_tensor_metadata": ["TensorMetadata"]},
    "TensorMetadata":       {"name": str, "description": str, "dimension_names": [str], "content": "Content",
                             "process_units": ["ProcessUnit"], "stats": "Stats", "associated_files": ["AssociatedFile"]},
    "Content":              {"content_properties": Union((None, "FeatureProperties", "ImageProperties"))},
    "FeatureProperties":    {},
    "ImageProperties":      {"color_space": COLOUR_SPACES, "default_size": "ImageSize"},
    "ImageSize":            {"width": int, "height": int},
    "ProcessUnit":          {"options": Union((None, "NormalizationOptions"))},
    "NormalizationOptions": {"mean": [float], "std": [float]},
    "Stats":                {"max": [float], "min": [float]},
    "AssociatedFile":       {"name": str, "description": str, "type": FILE_TYPES},
}
# fmt: on


def pack(record):
    """The record of a `ModelMetadata` as a flatbuffer."""
    builder = flatbuffers.Builder()
    builder.Finish(_write(builder, ROOT, record), IDENTIFIER)
    return bytes(builder.Output())


def unpack(content):
    """What `pack` was given, less what is empty or 0."""
    return _read(Table(content, 0), ROOT, 0)


def _fields(table):
    """(slot, name, kind) of each field; a union takes a second slot."""
    slot = 0
    for name, kind in TABLES[table].items():
        yield slot, name, kind
        slot += 2 if isinstance(kind, Union) else 1


def _write(builder, kind, value):
    """Writes a string, a vector or a table, its parts first, as flatbuffers want it; returns where it lies."""
    if kind is str:
        return builder.CreateString(value)
    if kind == [float]:
        return builder.CreateNumpyVector(np.array(value, np.float32))
    if isinstance(kind, list):
        places = [_write(builder, kind[0], part) for part in value]
        builder.StartVector(4, len(places), 4)
        for place in reversed(places):
            builder.PrependUOffsetTRelative(place)
        return builder.EndVector()
    if isinstance(kind, Union):
        ((table, value),) = value.items()
        return _write(builder, table, value)
    return _write_table(builder, kind, value)


def _write_table(builder, table, record):
    assert record.keys() <= TABLES[table].keys(), f"{table} has no {record.keys() - TABLES[table].keys()}"
    fields = [(slot, name, kind) for slot, name, kind in _fields(table) if record.get(name)]
    in_place = [name for _, name, kind in fields if kind is int or isinstance(kind, Enum)]
    places = {name: _write(builder, kind, record[name]) for _, name, kind in fields if name not in in_place}
    builder.StartObject(2 * len(TABLES[table]))
    for slot, name, kind in fields:
        if kind is int:
            builder.PrependUint32Slot(slot, record[name], 0)
        elif isinstance(kind, Enum):
            builder.PrependInt8Slot(slot, kind.names.index(record[name]), 0)
        elif isinstance(kind, Union):
            builder.PrependUint8Slot(slot, kind.tables.index(*record[name]), 0)
            builder.PrependUOffsetTRelativeSlot(slot + 1, places[name], 0)
        else:
            builder.PrependUOffsetTRelativeSlot(slot, places[name], 0)
    return builder.EndObject()


def _read(buffer, kind, place):
    """The value of a kind from where it lies, or where the way to it begins."""
    if kind is int:
        return buffer.Get(number_types.Uint32Flags, place)
    if isinstance(kind, Enum):
        return kind.names[buffer.Get(number_types.Int8Flags, place)]
    if kind is str:
        return buffer.String(place).decode()
    start = buffer.Indirect(place)
    if isinstance(kind, str):
        return _read_table(Table(buffer.Bytes, start), kind)
    length = buffer.Get(number_types.Uint32Flags, start)
    if kind == [float]:
        return np.frombuffer(buffer.Bytes, "<f4", length, start + 4).tolist()
    return [_read(buffer, kind[0], start + 4 * (1 + index)) for index in range(length)]


def _read_table(buffer, table):
    record = {}
    for slot, name, kind in _fields(table):
        place = buffer.Offset(4 + 2 * slot)
        if not place:
            continue
        place += buffer.Pos
        if isinstance(kind, Union):
            chosen = kind.tables[buffer.Get(number_types.Uint8Flags, place)]
            record[name] = {chosen: _read(buffer, chosen, buffer.Pos + buffer.Offset(6 + 2 * slot))}
        else:
            record[name] = _read(buffer, kind, place)
    return record
