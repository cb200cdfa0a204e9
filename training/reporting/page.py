"""What the reports of a run and of an experiment have in common: head and style, and how a template is filled."""

import html
import json
import string
from collections.abc import Iterable
from importlib import resources
from importlib.resources.abc import Traversable
from typing import Any

STYLE = "style.css"
PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>$title</title>
<style>
$style
</style>
$body</html>
"""


def fill_template(template: Traversable, title: str, **fields: str) -> str:
    """A page in the style of all reports, whose body is a template. title, fields: HTML; the template may have the title."""
    style = (resources.files(__package__ or "") / STYLE).read_text(encoding="utf-8").rstrip()
    body = string.Template(template.read_text(encoding="utf-8")).substitute(title=title, **fields)
    return string.Template(PAGE).substitute(title=title, style=style, body=body)


def definitions(pairs: Iterable[tuple[str, str]]) -> str:
    return "\n".join(f"<div><dt>{html.escape(key)}<dd>{html.escape(value)}</div>" for key, value in pairs)


def as_text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, default=str)
