"""Which columns of a parquet file hold an image and its class: as Hugging Face's metadata says, or by name and type."""

import contextlib
import json
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from keras_resnet.errors import UserError, comma_join

from ..labels import LABEL_COLUMNS, find_column

IMAGE_COLUMNS = ("image", "img", "images", "picture", "photo", "jpg", "jpeg", "png", "webp", "pixel_values", "pixels", "bytes")
PARQUET_LABEL_COLUMNS = (*LABEL_COLUMNS, "fine_label", "cls")
FEATURES = b"huggingface"  # the key of the metadata
MAX_COLUMNS_NAMED = 8  # in an error


class Columns(NamedTuple):
    """Where images and classes are.

    Attributes:
        image: The name of a column.
        in_struct: Whether it has the bytes beside a path, not alone.
        has_path: Whether there is such a path.
        label: The name of a column; None if there is none.
        class_names: In the order of the labels; None if the file does not say.
        other_labels: The names of further columns with a class.
        all_names: Those of all columns, for messages.
    """

    image: str
    in_struct: bool
    has_path: bool
    label: str | None
    class_names: tuple[str, ...] | None
    other_labels: tuple[str, ...]
    all_names: str

    @property
    def content(self) -> str:
        """The path of the bytes in the schema."""
        return f"{self.image}.bytes" if self.in_struct else self.image


def columns_of(path: str, schema: Any) -> Columns:
    """Finds the columns in a `pyarrow.Schema`.

    Raises:
        UserError: There is no column with images, or those columns have types that cannot be used.
    """
    import pyarrow as pa

    features = features_of(schema)
    image = column_of(schema, features, "Image", IMAGE_COLUMNS)
    if image is None:
        binary = [field.name for field in schema if is_binary(field.type) or is_encoded(field.type)]
        image = binary[0] if len(binary) == 1 else None
    columns = comma_join(schema.names, MAX_COLUMNS_NAMED)
    if image is None:
        raise UserError(
            f"{path} has the columns {columns}; it must have one with images, such as {comma_join(IMAGE_COLUMNS, 3)}"
        )
    kind = schema.field(image).type
    if not (is_binary(kind) or is_encoded(kind)):
        raise UserError(
            f"{path} has values of type {kind} in its column {image}; they must be encoded images, binary or "
            "struct<bytes: binary, path: string>"
        )
    in_struct = pa.types.is_struct(kind)
    fields = {kind.field(number).name: kind.field(number).type for number in range(kind.num_fields)} if in_struct else {}
    label = column_of(schema, features, "ClassLabel", PARQUET_LABEL_COLUMNS)
    if label is not None:
        check_label_type(path, label, schema.field(label).type)
    labels = [
        name for name in schema.names if name.casefold() in PARQUET_LABEL_COLUMNS or is_feature(features, name, "ClassLabel")
    ]
    names = features.get(label or "", {}).get("names")
    return Columns(
        image,
        in_struct,
        pa.types.is_string(fields.get("path", pa.null())) or pa.types.is_large_string(fields.get("path", pa.null())),
        label,
        tuple(map(str, names)) if isinstance(names, list) and names else None,
        tuple(name for name in labels if name != label),
        columns,
    )


def other_labels(where: object, columns: Columns) -> Iterator[str]:
    """Yields a line if the class could also be in another column."""
    if columns.other_labels:
        yield f"{where}: the class is in the column {columns.label}, not in {comma_join(columns.other_labels)}"


def features_of(schema: Any) -> dict[str, dict[str, Any]]:
    """Returns what Hugging Face's metadata says of the columns; nothing if there is none, or none that can be read."""
    with contextlib.suppress(ValueError, KeyError, TypeError, AttributeError, RecursionError):
        features = json.loads(schema.metadata[FEATURES])["info"]["features"]
        return {name: feature for name, feature in features.items() if isinstance(feature, dict) and name in schema.names}
    return {}


def is_feature(features: dict[str, dict[str, Any]], name: str, kind: str) -> bool:
    return features.get(name, {}).get("_type") == kind


def column_of(schema: Any, features: dict[str, dict[str, Any]], kind: str, names: Sequence[str]) -> str | None:
    """Returns the column that is a feature of this kind, or is called so, in that order; of several, the first of `names`."""
    of_kind = [name for name in schema.names if is_feature(features, name, kind)]
    for candidates in (of_kind, schema.names):
        found = find_column(candidates, names)
        if found is not None:
            return candidates[found]
        if candidates is of_kind and of_kind:
            return of_kind[0]
    return None


def is_binary(kind: Any) -> bool:
    import pyarrow as pa

    return pa.types.is_binary(kind) or pa.types.is_large_binary(kind)


def is_encoded(kind: Any) -> bool:
    """Whether a type is a struct that has bytes."""
    import pyarrow as pa

    if not pa.types.is_struct(kind):
        return False
    position = kind.get_field_index("bytes")
    return position >= 0 and is_binary(kind.field(position).type)


def check_label_type(path: str, label: str, kind: Any) -> None:
    """Raises a `UserError` unless a column can have the classes of single labels."""
    import pyarrow as pa

    types = pa.types
    if types.is_list(kind) or types.is_large_list(kind) or types.is_fixed_size_list(kind):
        raise UserError(f"{path} has lists of labels in its column {label}; each image must have one label")
    value = kind.value_type if types.is_dictionary(kind) else kind
    known = (types.is_integer, types.is_string, types.is_large_string, types.is_floating, types.is_boolean, types.is_null)
    if not any(is_known(value) for is_known in known):
        raise UserError(f"{path} has values of type {kind} in its column {label}; labels must be integers or text")
