"""Runs made-up inputs one after the other in a process of their own, and judges each: one line or a right result, and no harm.

The process has TensorFlow loaded and goes on from case to case; a case that ends it, or that takes too long, is a fault, and
the next one gets a new process.
"""

import contextlib
import dataclasses
import os
import re
import shutil
import sys
import tempfile
import time
import traceback
from pathlib import Path

import numpy as np
import psutil
from forked import CONTEXT

from keras_resnet.cli import command as command_line
from keras_resnet.errors import PREFIX
from keras_resnet.files import sha256_of

SECONDS = 120  # of a case, on a machine that does other things besides
MEGABYTES = 1024  # over what the process had
CODECS = ("Corrupt JPEG data: ",)  # what libjpeg prints inside of TensorFlow, where nothing reaches it
MAX_LINES = 3  # what is wrong, after what was left out until then: entries of a folder, and images
OUTPUT = "out"  # the only folder of a case that it may write to


@dataclasses.dataclass(frozen=True)
class Outcome:
    """What came of a case.

    Attributes:
        status: The exit status of the command; None if an exception reached the user.
        out, err: What it printed.
        error: The traceback.
        harmed: Files that were there before and are gone or changed, and new ones in places that are not the command's.
        megabytes: By how much the largest memory of the process grew.
        children: How many processes it left behind.
    """

    status: int | None
    out: str
    err: str
    error: str
    harmed: list[str]
    megabytes: float
    children: int

    def fault(self) -> str:
        """Why this is no right answer to a user; "" if it is one."""
        if self.error:
            return self.error
        if self.harmed:
            return f"harmed {self.harmed}"
        if self.megabytes > MEGABYTES:
            return f"took {self.megabytes:.0f} MB"
        if self.children:
            return f"left {self.children} processes behind"
        lines = self.err.splitlines()
        if self.status not in (0, 1, 2):
            return f"exit status {self.status}: {self.err}"
        if self.status == 2 and (not 1 <= len(lines) <= MAX_LINES or self.out):
            return f"status 2 comes with a line and no output: {self.out + self.err!r}"
        if self.status == 1 and not self.err + self.out:
            return "status 1 without a word"
        if any(not line.isprintable() or len(line) > 2000 for line in lines):
            return f"prints what a terminal does not take: {self.err!r}"
        if strange := [line for line in lines if not line.startswith((PREFIX, *CODECS))]:
            return f"noise: {strange}"
        return ""


class Worker:
    """A process that runs cases. `cases`: `{name: function(material, folder, seed)}`, see `entries`."""

    def __init__(self, module: str, material: dict[str, Path]) -> None:
        self._arguments = module, material
        self._process = None

    def run(self, name: str, seed: int) -> str:
        """Runs a case and returns its fault, or ""."""
        if self._process is None or not self._process.is_alive():
            self._connection, theirs = CONTEXT.Pipe()
            self._process = CONTEXT.Process(target=_serve, args=(theirs, *self._arguments), daemon=True)
            self._process.start()
            theirs.close()
        self._connection.send((name, seed))
        try:
            answered = self._connection.poll(SECONDS)
            fault = self._connection.recv().fault() if answered else f"no answer within {SECONDS} seconds"
            if not fault:
                return ""
        except EOFError:
            self._process.join()
            return f"the process ended with {self._process.exitcode}"
        self.close()
        return fault

    def close(self) -> None:
        if self._process is not None:
            with contextlib.suppress(psutil.NoSuchProcess):
                for child in psutil.Process(self._process.pid).children(recursive=True):
                    child.kill()
            self._process.kill()
            self._process.join()


def _serve(connection, module, material):
    """What the process does: `{"name": case}` are the `ENTRIES` of a module."""
    entries = __import__(module, fromlist=["ENTRIES"]).ENTRIES
    own = {**material}
    with contextlib.suppress(EOFError):
        while True:
            name, seed = connection.recv()
            connection.send(_outcome(entries[name], own, seed))


def _outcome(case, material, seed) -> Outcome:
    folder = Path(tempfile.mkdtemp(prefix="case"))
    try:
        (folder / OUTPUT).mkdir()
        command = case(material, folder, np.random.default_rng(seed))
        before, largest = _state(folder), _largest_memory()
        with _captured() as printed:
            status, error = None, ""
            try:
                status = command()
            except SystemExit as end:
                status = end.code
            except BaseException:
                error = traceback.format_exc()
        after = _state(folder)
        harmed = sorted(path for path in before.keys() | after.keys() if before.get(path) != after.get(path))
        children = _children()
        return Outcome(status, *printed, error, harmed, _growth(largest), children)
    except BaseException:
        return Outcome(None, "", "", f"the case itself: {traceback.format_exc()}", [], 0, 0)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _children() -> int:
    """How many processes are left a moment after the case."""
    for _ in range(20):
        left = [child for child in psutil.Process().children() if child.status() != psutil.STATUS_ZOMBIE]
        if not left:
            return 0
        time.sleep(0.1)
    return len(left)


def _largest_memory() -> tuple[int, int]:
    """Bytes: the most that this process ever had, and that any one of its finished children had."""
    import resource

    unit = 1 if sys.platform == "darwin" else 1024
    own, children = (resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return unit * own, unit * children


def _growth(before: tuple[int, int]) -> float:
    """By how many megabytes the largest memory grew; that of a child begins as its parent's, of which it was forked."""
    own, children = _largest_memory()
    return max(own - before[0], children - max(before[1], own)) / 2**20


def _state(folder: Path) -> dict[str, str]:
    """`{path: digest}` of all files below a folder, without what the command may write."""
    state = {}
    for path in folder.rglob("*"):
        name = os.fsencode(path.relative_to(folder)).decode("utf-8", "backslashreplace")
        if path.is_file() and not path.is_symlink() and not name.startswith(f"{OUTPUT}{os.sep}"):
            state[name] = sha256_of(path)
    return state


@contextlib.contextmanager
def _captured():
    """Catches what is printed, by C++ too: yields a list that has standard output and error at the end."""
    printed = []
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        kept = os.dup(1), os.dup(2)
        os.dup2(out.fileno(), 1), os.dup2(err.fileno(), 2)
        try:
            yield printed
        finally:
            sys.stdout.flush(), sys.stderr.flush()
            for descriptor, old in zip((1, 2), kept, strict=True):
                os.dup2(old, descriptor)
                os.close(old)
            for file in (out, err):
                file.seek(0)
                printed.append(re.sub("\r", "", file.read().decode("utf-8", "replace")))


def as_command(function):
    """Runs a function as the command runs its own: a mistake is a line and status 2, a bug is raised."""

    def run(flags, arguments):
        """A case."""
        function()

    return command_line.main({"case": command_line.Command(run)}, ["case"])
