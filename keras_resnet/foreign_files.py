"""Files that anybody may have written: only regular ones are opened, and what a library says of a bad one is one line."""

import contextlib
import io
import os
from collections.abc import Iterator

from keras_resnet.errors import UserError, first_line
from keras_resnet.remote_copies import local


def check_is_file(path: str | os.PathLike[str]) -> None:
    """Raises a `UserError` unless `open_file` opens the path."""
    with open_file(path):
        pass


def special_kind(path: str | os.PathLike[str]) -> str:
    """What a path is that is no regular file; "" for one, and for nothing."""
    if os.path.isfile(path) or not os.path.exists(path):
        return ""
    return "a folder" if os.path.isdir(path) else "a pipe, a socket or a device"


@contextlib.contextmanager
def open_file(path: str | os.PathLike[str]) -> Iterator[io.BufferedReader]:
    """Opens a regular file for reading bytes; of what is at a URL, a copy.

    Raises:
        UserError: for a folder, a pipe, a device, nothing, and a file that this user may not read. Opening a pipe would wait
            for its writer for ever.
    """
    path = local(path)
    if not os.path.isfile(path):
        found = special_kind(path)
        raise UserError(f"{path} cannot be read: {f'it is {found}' if found else 'there is no file of that name'}")
    try:
        file = open(path, "rb")  # noqa: SIM115  what is raised in the block below is not about opening
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror or first_line(error)}") from error
    with file:
        yield file


@contextlib.contextmanager
def library_errors(path: str | os.PathLike[str], what: str = "cannot be read, it may be damaged") -> Iterator[None]:
    """Raises whatever a library raises on the file's content as a `UserError` about `path`.

    Libraries raise anything at all on content that they did not expect: `struct.error`, `KeyError`, `RecursionError`. It
    belongs around the calls that read a file, and not around what is then done with its content.
    """
    try:
        yield
    except UserError:
        raise
    except Exception as error:
        raise UserError(f"{path} {what}: {first_line(error)}") from error
