"""The names of classes as people write them down: in a text file, one per line, or as the names of folders."""

import codecs
import itertools
import os
import re
import unicodedata
from collections.abc import Iterable, Sequence

from keras_resnet.errors import UserError, comma_join
from keras_resnet.foreign_files import check_is_file, special_kind

MAX_BYTES = 16_000_000  # of a file with names
MAX_NAMES_SHOWN = 5  # in an error
UTF_16_MARKS = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
JSON_START = re.compile(r"""\s*[\[{]\s*["'\[{]""")
CONTROL_CATEGORIES = ("Cc", "Cs", "Zl", "Zp")  # control characters, halves of surrogates, line and paragraph separators
NUMBERED = (  # how lists give each name its index: before it, or after it
    re.compile(r"(?P<index>\d+)(?:\s*[:,;|=\t]\s*|\s+)(?P<name>.+)"),
    re.compile(r"(?P<name>.+?)(?:\s*[:,;|=\t]\s*|\s+)(?P<index>\d+)"),
)


def read_class_names(path: str | os.PathLike[str]) -> tuple[str, ...]:
    """The lines of a text file in UTF-8 or marked UTF-16 that are not empty, without spaces at their ends.

    Raises:
        UserError: if there are none, or it is not such a file.
    """
    text = read_text(path)
    if JSON_START.match(text):
        raise UserError(f"{path} looks like JSON or a Python list; it must be a text file with one name per line")
    names = tuple(filter(None, (line.strip() for line in re.split(r"\r\n|\r|\n", text))))
    if not names:
        raise UserError(f"{path} is empty; it must have the name of one class per line")
    check_are_lines(names, f"{path} has names that are not a line of text")
    return names


def read_text(path: str | os.PathLike[str]) -> str:
    """The text of a file of moderate size.

    Raises:
        UserError: if it is not a text file.
    """
    if found := special_kind(path):
        raise UserError(f"{path} is {found}; it must be a text file with one name per line")
    check_is_file(path)
    if (size := os.path.getsize(path)) > MAX_BYTES:
        raise UserError(f"{path} has {size:,} bytes; a text file with one name per line has at most {MAX_BYTES:,}")
    with open(path, "rb") as file:
        content = file.read(MAX_BYTES)
    try:
        return content.decode("utf-16" if content.startswith(UTF_16_MARKS) else "utf-8-sig")
    except UnicodeDecodeError as error:
        raise UserError(f"{path} is not a text file in UTF-8: save it in that encoding") from error


def check_are_lines(names: Iterable[str], problem: str) -> None:
    """Raises a `UserError` that begins with `problem` unless each name is a line of text, as labels.txt and terminals need."""
    if unfit := [ascii(name) for name in names if not is_line(name)]:
        raise UserError(f"{problem}: {comma_join(unfit, MAX_NAMES_SHOWN)}; rename them")


def is_line(name: str) -> bool:
    """Whether a name is visible, and has no control characters but tabs; file systems allow them, and bytes not in UTF-8."""
    return bool(name.strip()) and not any(unicodedata.category(c) in CONTROL_CATEGORIES for c in name.replace("\t", ""))


def normalized(name: str) -> str:
    """A name in the one of its Unicode forms that all but macOS write."""
    return unicodedata.normalize("NFC", name)


def folded(name: str) -> str:
    """A name without what people write in two ways: case, spaces and Unicode forms."""
    return "".join(normalized(name).casefold().split())


def first_difference(known: Sequence[str], found: Sequence[str]) -> tuple[str | None, str | None] | None:
    """The first pair in which two lists of class names differ, None for a name that one of them lacks; None if they agree.

    Case and spaces count only where one list tells classes apart by them, as letters in both cases.
    """
    distinct = all(len({*map(folded, names)}) == len({*map(normalized, names)}) for names in (known, found))
    key = folded if distinct else normalized
    pairs = itertools.zip_longest(known, found)
    return next(((one, other) for one, other in pairs if None in (one, other) or key(one) != key(other)), None)


def without_numbers(names: Sequence[str]) -> tuple[str, ...] | None:
    """The names without their numbers, if each has its own position, from 0 or 1, before or after it; else None.

    Such as "0 cat" and "1 dog", or "cat,0" and "dog,1". Numbers that tell names apart, as in "1 cent" and "2 cent", stay.
    """
    for pattern in NUMBERED:
        found = [match for match in map(pattern.fullmatch, names) if match]
        indices = [int(match["index"]) for match in found if len(match["index"]) < 10]
        if len(names) > 1 and indices in (list(range(len(names))), list(range(1, len(names) + 1))):
            stripped = tuple(match["name"].strip() for match in found)
            if len(set(stripped)) == len(set(names)):
                return stripped
    return None
