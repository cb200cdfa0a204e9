"""The front matter of a model card, `README.md`: entries between two lines of three dashes, in YAML."""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from keras_resnet.foreign_files import open_file

CARD = "README.md"
MAX_BYTES = 1 << 20
ENTRY = re.compile(r"""^(?P<key>[\w-]+):[ \t]*(?P<quote>["']?)(?P<value>[^\n#]*?)(?P=quote)[ \t]*(?:#.*)?$""", re.MULTILINE)
PLAIN = re.compile(r"[A-Za-z][A-Za-z0-9_./ -]*(?<! )")  # what YAML reads as itself, but for the words below
OTHER_TYPES = {"true", "false", "yes", "no", "on", "off", "null", "y", "n"}


def front_matter_texts(path: Path) -> dict[str, str]:
    """The entries of a card's front matter that are one line of text; lists and what is inside of others are left out."""
    with open_file(path) as file:
        text = file.read(MAX_BYTES).decode(errors="replace").replace("\r\n", "\n")
    if not text.startswith("---\n"):
        return {}
    head, end, _ = text.removeprefix("---\n").partition("\n---")
    return {match["key"]: match["value"] for match in ENTRY.finditer(head)} if end else {}


def front_matter(entries: Mapping[str, Any]) -> str:
    """The entries, of JSON's types, as front matter; those that are empty are left out."""
    return "\n".join(
        ["---", *yaml_lines({key: value for key, value in entries.items() if value not in ("", [], {}, ())}), "---"]
    )


def yaml_lines(value: Any) -> list[str]:
    """A value as lines of YAML, in its block style."""
    lines = []
    if isinstance(value, Mapping):
        for key, inner in value.items():
            nested = isinstance(inner, (Mapping, list, tuple))
            lines += [f"{key}:", *(f"  {line}" for line in yaml_lines(inner))] if nested else [f"{key}: {scalar(inner)}"]
    else:
        for inner in value:
            first, *rest = yaml_lines(inner) if isinstance(inner, (Mapping, list, tuple)) else [scalar(inner)]
            lines += [f"- {first}", *(f"  {line}" for line in rest)]
    return lines


def scalar(value: str | float) -> str:
    """A text or a number in YAML, which takes JSON for both."""
    if isinstance(value, str) and PLAIN.fullmatch(value) and value.lower() not in OTHER_TYPES:
        return value
    return json.dumps(value, ensure_ascii=False)
