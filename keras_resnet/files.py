"""Files appear whole or not at all: they are written under a temporary name and then renamed."""

import contextlib
import os
import shutil
from pathlib import Path


@contextlib.contextmanager
def atomic(path):
    """Yields a temporary path beside `path`; renames it to `path`, a file or a folder, if nothing was raised."""
    path = Path(path)
    temporary = path.with_name(f".{path.stem}.{os.getpid()}{path.suffix}")
    try:
        yield temporary
        replace(temporary, path)
    finally:
        remove(temporary)


def replace(source, target):
    """Renames a file or a folder over what is at `target`, which goes only once its successor is in place."""
    if target.is_dir():
        old = target.with_name(f".{target.name}.{os.getpid()}.old")
        target.rename(old)
        source.rename(target)
        shutil.rmtree(old)
    else:
        os.replace(source, target)


def remove(path):
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def write_text(path, text):
    with atomic(path) as temporary:
        temporary.write_text(text, encoding="utf-8")
