"""The command in a process of its own that has TensorFlow loaded from the start: forked from one that has done nothing else.

For tests that need a process, to kill it or to take its memory or disk away, and that start many: importing TensorFlow takes
longer than most of what they do. What depends on the import itself, such as silence, needs `conftest.keras_resnet_command`.
"""

import multiprocessing
import os
import sys
import tempfile
import types

CONTEXT = multiprocessing.get_context("forkserver" if "forkserver" in multiprocessing.get_all_start_methods() else "spawn")
if CONTEXT.get_start_method() == "forkserver":
    CONTEXT.set_forkserver_preload(["keras_resnet.training.train", "keras_resnet.export.pipeline"])


def start_command(*arguments, output=os.devnull, errors=os.devnull, before=""):
    """Starts the command and returns its `multiprocessing.Process`; `before` is Python that runs first in it."""
    words = [str(argument) for argument in arguments]
    process = CONTEXT.Process(target=_main, args=(words, output, errors, before, os.getcwd(), dict(os.environ)))
    process.start()
    return process


def forked_command(*arguments, before=""):
    """Runs the command to its end, see `start_command`: its exit status, and what it printed."""
    with tempfile.NamedTemporaryFile("r") as out, tempfile.NamedTemporaryFile("r") as err:
        process = start_command(*arguments, output=out.name, errors=err.name, before=before)
        process.join()
        return types.SimpleNamespace(returncode=process.exitcode, out=out.read(), err=err.read())


def _main(words, output, errors, before, folder, environment):
    """What the process does; its parent, the server, has another folder and environment than the test."""
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    for path, descriptor in ((output, 1), (errors, 2)):
        with open(path, "ab") as file:
            os.dup2(file.fileno(), descriptor)
    exec(before, {})
    from keras_resnet import cli

    sys.argv = ["keras-resnet", *words]
    cli.main()
