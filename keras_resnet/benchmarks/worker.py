"""The process of one contestant: answers one request a line on standard input, until there are no more.

Its argument is MODULE.CLASS, of which it makes one object. A request is `{"ask": METHOD of the object, **arguments}`, an answer
`{"answer": ...}` or `{"error": ..., "mistake": ...}`. Standard output is for the answers alone: what a library prints goes
where its errors go.
"""

import importlib
import json
import os
import sys
import traceback

from keras_resnet.errors import UserError, one_line


def main(home):
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    session = None
    for line in sys.stdin:
        request = json.loads(line)
        try:
            session = session or find(home)()
            reply = {"answer": getattr(session, request.pop("ask"))(**request)}
        except Exception as error:
            traceback.print_exc()
            mistake = isinstance(error, UserError)
            reply = {"error": one_line(error) if mistake else f"{type(error).__name__}: {one_line(error)}", "mistake": mistake}
        print(json.dumps(reply), file=answers, flush=True)


def find(home):
    """The class of that name, and nothing imported but its module: the object chooses the environment of the rest."""
    module, _, name = home.rpartition(".")
    return getattr(importlib.import_module(module), name)


if __name__ == "__main__":
    main(*sys.argv[1:])
