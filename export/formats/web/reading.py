"""A page that was written, read back: its model, and what it says about itself."""

import base64
import functools
import gzip
import json
import re
import urllib.parse
from pathlib import Path
from typing import Any

from keras_resnet.errors import UserError
from keras_resnet.metadata import ClassifierMetadata
from keras_resnet.records import from_record, parse_json

from . import application, litertjs

ORIGIN = "http://localhost/"  # which browsers trust with what they give to https:// only; no server is asked


class Application:
    """The page in a folder.

    Attributes:
        folder: As given.
        is_single_file: Whether the page carries the other files.
        url: Under which a browser is to open it.
    """

    def __init__(self, folder: Path) -> None:
        self.folder, self.is_single_file = folder, not (folder / application.MODEL).exists()
        self.url = (folder / application.PAGE).resolve().as_uri() if self.is_single_file else f"{ORIGIN}{application.PAGE}"

    @property
    def model(self) -> bytes:
        """The `.tflite` file."""
        return self._read(application.MODEL)

    @property
    def metadata(self) -> ClassifierMetadata:
        return from_record(self._description, ClassifierMetadata, ignore_unknown=True)

    @property
    def outputs(self) -> dict[str, Any]:
        """What the page knows of the model's outputs, by their names."""
        return self._description["outputs"]

    @property
    def samples(self) -> int:
        """How many images it shows as samples."""
        return len(json.loads(self._read(application.SAMPLES)))

    @property
    def has_runtime(self) -> bool:
        return self.is_single_file or (self.folder / litertjs.FOLDER / litertjs.CORE).is_file()

    def owns(self, url: str) -> bool:
        """Whether an address is one of the page's."""
        if self.is_single_file:  # browsers and Python write addresses of files with other characters as %XX
            return urllib.parse.unquote(url) == urllib.parse.unquote(self.url)
        return url.startswith(ORIGIN)

    def file_at(self, url: str) -> bytes | None:
        """The content of the page's file with an address that it owns, or None where there is no such file."""
        if self.is_single_file:
            return (self.folder / application.PAGE).read_bytes()
        path = self.folder / urllib.parse.unquote(url.removeprefix(ORIGIN))
        inside = path.resolve().is_relative_to(self.folder.resolve())
        return path.read_bytes() if inside and path.is_file() else None

    @functools.cached_property
    def _description(self) -> Any:
        return parse_json(self._read(application.DESCRIPTION))

    def _read(self, name: str) -> bytes:
        if not self.is_single_file:
            return (self.folder / name).read_bytes()
        page = (self.folder / application.PAGE).read_text(encoding="utf-8")
        found = re.search(f'<script type="text/plain" id="{re.escape(name)}">([A-Za-z0-9+/=]*)</script>', page)
        if found is None:
            raise UserError(f"its {application.PAGE} carries no {name}: it is not a page that keras-resnet wrote")
        return gzip.decompress(base64.b64decode(found[1]))
