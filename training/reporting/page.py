"""What the reports of a run and of an experiment have in common: their style, and how a template is filled."""

import html
import json
import string
from collections.abc import Iterable
from importlib import resources
from importlib.resources.abc import Traversable
from typing import Any

STYLE = "style.css"


def fill_template(template: Traversable, **fields: str) -> str:
    """A page from its template, in the style of all reports. fields: HTML."""
    style = (resources.files(__package__ or "") / STYLE).read_text(encoding="utf-8").rstrip()
    return string.Template(template.read_text(encoding="utf-8")).substitute(style=style, **fields)


def definitions(pairs: Iterable[tuple[str, str]]) -> str:
    return "\n".join(f"<div><dt>{html.escape(key)}<dd>{html.escape(value)}</div>" for key, value in pairs)


def as_text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, default=str)
