"""The process of one candidate: answers one request per line of standard input, until the input ends.

Its argument is MODULE.CLASS, of which it makes one object. A `Request` names a method of the object and its arguments; the
reply is an `Answer` or a `Failure`. Standard output is reserved for replies: what a library prints there goes to standard
error.
"""

import importlib
import json
import os
import sys
import traceback
from typing import Any, TypedDict

from keras_resnet.errors import UserError, first_line


class Request(TypedDict):
    call: str
    arguments: dict[str, Any]


class Answer(TypedDict):
    answer: Any


class Failure(TypedDict):
    """is_user_error: whether `error` tells of a mistake of the user's, not of a bug or a broken library."""

    error: str
    is_user_error: bool


def main(class_path: str) -> None:
    replies = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    session = None
    for line in sys.stdin:
        request: Request = json.loads(line)
        try:
            session = session or load_class(class_path)()
            reply: Answer | Failure = {"answer": getattr(session, request["call"])(**request["arguments"])}
        except Exception as error:
            traceback.print_exc()
            is_user_error = isinstance(error, UserError)
            message = first_line(error) if is_user_error else f"{type(error).__name__}: {first_line(error)}"
            reply = {"error": message, "is_user_error": is_user_error}
        print(json.dumps(reply), file=replies, flush=True)


def load_class(class_path: str) -> type:
    """Imports the class's module and nothing else: the object configures the environment before it imports the rest."""
    module, _, name = class_path.rpartition(".")
    return getattr(importlib.import_module(module), name)


if __name__ == "__main__":
    main(*sys.argv[1:])
