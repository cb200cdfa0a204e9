"""TFLite's metadata as bytes and back: the tables that are written here, of the public `metadata_schema.fbs`, version 1.5.0.

Google's own writer comes with MediaPipe, which an export is not to need. Records are plain data: a dict by field for a table,
a list for a vector, a name for an enum's value, `{table: record}` for a union. What is empty or 0 is not stored.

Source: github.com/google-ai-edge/mediapipe, mediapipe/tasks/metadata/metadata_schema.fbs.
"""

import dataclasses
from collections.abc import Iterator
from typing import Any

import flatbuffers
import numpy as np
from flatbuffers import number_types
from flatbuffers.table import Table

IDENTIFIER = b"M001"
ROOT = "ModelMetadata"

Record = dict[str, Any]


@dataclasses.dataclass(frozen=True)
class Enum:
    """A byte; `names` by its values."""

    names: tuple[str, ...]


@dataclasses.dataclass(frozen=True)
class Union:
    """One of several tables, with its number in a field of its own; 0 is none."""

    tables: tuple[str | None, ...]


FILE_TYPES = Enum(("UNKNOWN", "DESCRIPTIONS", "TENSOR_AXIS_LABELS"))  # there are more
COLOR_SPACES = Enum(("UNKNOWN", "RGB", "GRAYSCALE"))

# A field is a str, an int (unsigned, 32 bits), an Enum, a Union or, by its name, a table; in a list it is a vector of such.
# fmt: off
TABLES: dict[str, dict[str, Any]] = {  # fields in the schema's order, which is how they are found: a field can only be left
    # out if no later one is written
    "ModelMetadata":        {"name": str, "description": str, "version": str, "subgraph_metadata": ["SubGraphMetadata"],
                             "author": str, "license": str, "associated_files": ["AssociatedFile"], "min_parser_version": str},
    "SubGraphMetadata":     {"name": str, "description": str, "input_tensor_metadata": ["TensorMetadata"],
                             "output_tensor_metadata": ["TensorMetadata"]},
    "TensorMetadata":       {"name": str, "description": str, "dimension_names": [str], "content": "Content",
                             "process_units": ["ProcessUnit"], "stats": "Stats", "associated_files": ["AssociatedFile"]},
    "Content":              {"content_properties": Union((None, "FeatureProperties", "ImageProperties"))},
    "FeatureProperties":    {},
    "ImageProperties":      {"color_space": COLOR_SPACES, "default_size": "ImageSize"},
    "ImageSize":            {"width": int, "height": int},
    "ProcessUnit":          {"options": Union((None, "NormalizationOptions"))},
    "NormalizationOptions": {"mean": [float], "std": [float]},
    "Stats":                {"max": [float], "min": [float]},
    "AssociatedFile":       {"name": str, "description": str, "type": FILE_TYPES},
}
# fmt: on


def pack(record: Record) -> bytes:
    """Returns the record of a `ModelMetadata` as a flatbuffer."""
    builder = flatbuffers.Builder()
    builder.Finish(_write(builder, ROOT, record), IDENTIFIER)
    return bytes(builder.Output())


def unpack(content: bytes) -> Record:
    """Returns what `pack` was given, without what is empty or 0."""
    return _read(Table(content, 0), ROOT, 0)


def _fields(table: str) -> Iterator[tuple[int, str, Any]]:
    """Yields (slot, name, type) of each field; a union takes a second slot."""
    slot = 0
    for name, type_ in TABLES[table].items():
        yield slot, name, type_
        slot += 2 if isinstance(type_, Union) else 1


def _write(builder: flatbuffers.Builder, type_: Any, value: Any) -> int:
    """Writes a string, a vector or a table, its parts first, as flatbuffers want it; returns its offset."""
    if type_ is str:
        return builder.CreateString(value)
    if type_ == [float]:
        return builder.CreateNumpyVector(np.array(value, np.float32))
    if isinstance(type_, list):
        offsets = [_write(builder, type_[0], part) for part in value]
        builder.StartVector(4, len(offsets), 4)
        for offset in reversed(offsets):
            builder.PrependUOffsetTRelative(offset)
        return builder.EndVector()
    if isinstance(type_, Union):
        ((table, value),) = value.items()
        return _write(builder, table, value)
    return _write_table(builder, type_, value)


def _write_table(builder: flatbuffers.Builder, table: str, record: Record) -> int:
    assert record.keys() <= TABLES[table].keys(), f"{table} has no {record.keys() - TABLES[table].keys()}"
    fields = [(slot, name, type_) for slot, name, type_ in _fields(table) if record.get(name)]
    inline = [name for _, name, type_ in fields if type_ is int or isinstance(type_, Enum)]
    offsets = {name: _write(builder, type_, record[name]) for _, name, type_ in fields if name not in inline}
    builder.StartObject(2 * len(TABLES[table]))
    for slot, name, type_ in fields:
        if type_ is int:
            builder.PrependUint32Slot(slot, record[name], 0)
        elif isinstance(type_, Enum):
            builder.PrependInt8Slot(slot, type_.names.index(record[name]), 0)
        elif isinstance(type_, Union):
            builder.PrependUint8Slot(slot, type_.tables.index(*record[name]), 0)
            builder.PrependUOffsetTRelativeSlot(slot + 1, offsets[name], 0)
        else:
            builder.PrependUOffsetTRelativeSlot(slot, offsets[name], 0)
    return builder.EndObject()


def _read(buffer: Table, type_: Any, offset: int) -> Any:
    """Reads a value of a type from where it lies, or where the way to it begins."""
    if type_ is int:
        return buffer.Get(number_types.Uint32Flags, offset)
    if isinstance(type_, Enum):
        return type_.names[buffer.Get(number_types.Int8Flags, offset)]
    if type_ is str:
        return buffer.String(offset).decode()
    start = buffer.Indirect(offset)
    if isinstance(type_, str):
        return _read_table(Table(buffer.Bytes, start), type_)
    length = buffer.Get(number_types.Uint32Flags, start)
    if type_ == [float]:
        return np.frombuffer(buffer.Bytes, "<f4", length, start + 4).tolist()
    return [_read(buffer, type_[0], start + 4 * (1 + index)) for index in range(length)]


def _read_table(buffer: Table, table: str) -> Record:
    record = {}
    for slot, name, type_ in _fields(table):
        offset = buffer.Offset(4 + 2 * slot)
        if not offset:
            continue
        offset += buffer.Pos
        if isinstance(type_, Union):
            selected = type_.tables[buffer.Get(number_types.Uint8Flags, offset)]
            record[name] = {selected: _read(buffer, selected, buffer.Pos + buffer.Offset(6 + 2 * slot))}
        else:
            record[name] = _read(buffer, type_, offset)
    return record
