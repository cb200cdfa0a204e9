"""The contest: the files of all routes for one number of threads alive at once, and one of them at work."""

import contextlib
import tempfile
from pathlib import Path

from keras_resnet.benchmarks.processes import Process
from keras_resnet.benchmarks.rounds import failures_noted, rotated
from keras_resnet.errors import UserError

from .files import FORMATS, OURS, exported
from .result import Entry, Result
from .routes import written

SESSION = f"{__package__}.session.Session"


def benchmark(config, verbosity="quiet", say=lambda line: None):
    """Measures what `config` says; returns a `Result`. `say` hears how far it is.

    A file that fails is listed with the reason; only if all of ours do there is nothing to tell.
    """
    with tempfile.TemporaryDirectory(prefix="keras-resnet-") as folder:
        files = exported(config.output_dir, OURS)
        formats = {file.format for file in files}
        for other in config.folders:
            files += [file for file in exported(other, str(other)) if file.format in formats]
        files += written(config, formats, Path(folder), verbosity, say)
        files.sort(key=lambda file: list(FORMATS).index(file.format))  # beside what it is compared with
        entries = [entry for threads in config.threads for entry in measured(config, files, threads, verbosity, say)]
    ours = [entry for entry in entries if entry.file.route == OURS]
    if all(entry.failure for entry in ours):
        raise UserError(f"nothing in {config.output_dir} could be measured: {ours[0].title}: {ours[0].failure}")
    return Result(config, tuple(entries))


def measured(config, files, threads, verbosity, say):
    """An `Entry` for each file, each in a process of its own."""
    entries = [Entry(file, threads, failure=file.failure) for file in files]
    with contextlib.ExitStack() as stack:
        alive = [(entry, stack.enter_context(Process(SESSION, verbosity))) for entry in entries if not entry.failure]
        for entry, process in alive:
            say(f"{entry.title}, {threads} threads: preparing")
            with failures_noted(entry):
                entry.prepare(process, config)
        for round_ in range(config.rounds):
            for entry, process in rotated(alive, round_):
                if not entry.failure:
                    with failures_noted(entry):
                        entry.turns.append(process.call("measure"))
            say(f"{threads} threads: round {round_ + 1} of {config.rounds}")
        for entry, process in alive:
            if not entry.failure:
                with failures_noted(entry):
                    entry.peak_memory = process.call("peak_memory")
    return entries
