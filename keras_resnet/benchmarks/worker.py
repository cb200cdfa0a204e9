"""The process of one contestant: answers one request a line on standard input, until there are no more.

Its argument is MODULE.CLASS, of which it makes one object. A request is `{"call": METHOD of the object, **arguments}`, an answer
`{"answer": ...}` or `{"error": ..., "is_user_error": ...}`. Standard output is for the answers alone: what a library prints goes
where its errors go.
"""

import importlib
import json
import os
import sys
import traceback

from keras_resnet.errors import UserError, first_line


def main(class_path):
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    session = None
    for line in sys.stdin:
        request = json.loads(line)
        try:
            session = session or load_class(class_path)()
            reply = {"answer": getattr(session, request.pop("call"))(**request)}
        except Exception as error:
            traceback.print_exc()
            is_user_error = isinstance(error, UserError)
            reply = {
                "error": first_line(error) if is_user_error else f"{type(error).__name__}: {first_line(error)}",
                "is_user_error": is_user_error,
            }
        print(json.dumps(reply), file=answers, flush=True)


def load_class(class_path):
    """The class of that name, and nothing imported but its module: the object chooses the environment of the rest."""
    module, _, name = class_path.rpartition(".")
    return getattr(importlib.import_module(module), name)


if __name__ == "__main__":
    main(*sys.argv[1:])
