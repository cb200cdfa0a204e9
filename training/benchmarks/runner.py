"""The contest: all contestants alive at once, and one of them at work."""

import contextlib
import dataclasses

from keras_resnet.benchmarks.processes import Process
from keras_resnet.benchmarks.rounds import failures_noted, rotated

from .candidates import MATRIX_MULTIPLY, chosen
from .result import Entry, Result

SESSION = f"{__package__}.session.Session"


def benchmark(config, verbosity="quiet", say=lambda line: None):
    """Measures what `config` says; returns a `Result`. `say` hears how far it is.

    The environment must not have been prepared: the contestants get it as it is, and some prepare it for themselves. One that
    fails is listed with the reason; only ours must not.
    """
    candidates = chosen(config)
    entries = {key: Entry(key, candidate.title) for key, candidate in candidates.items()}
    with contextlib.ExitStack() as stack:
        processes = {key: stack.enter_context(Process(SESSION, verbosity)) for key in candidates}
        for key, process in processes.items():
            say(f"{entries[key].title}: preparing")
            with noted(entries[key]):
                graph = processes["ours"].call("graph") if candidates[key].needs_graph else None
                entries[key].note_facts(prepare(process, candidates[key], dataclasses.asdict(config), graph))
        peak = None
        if config.task == "train":
            peak = MatmulPeak(stack.enter_context(Process(SESSION, verbosity)), config)
        for round_ in range(config.rounds):
            for key in rotated(processes, round_):
                if not entries[key].failure:
                    with noted(entries[key]):
                        entries[key].note(processes[key].call("measure"), config)
            if peak:
                peak.measure()
            say(f"round {round_ + 1} of {config.rounds}")
        for key, entry in entries.items():
            if not entry.failure:
                with noted(entry):
                    entry.peak_memory = processes[key].call("peak_memory")
    return Result(config, tuple(entries.values()), peak.best if peak else None)


def noted(entry):
    return failures_noted(entry, essential=entry.key == "ours")


def prepare(process, candidate, config, graph=None):
    """Has the contestant built; `config`: a record of it. Returns the seconds to the first step, and facts."""
    given = {name: getattr(candidate, name) for name in ("class_path", "our_environment", "variables")}
    return process.call("prepare", **given, verbosity=process.verbosity, config=config, graph=graph)


class MatmulPeak:
    """What the machine can do, measured in every round like the contestants. best: operations per second."""

    def __init__(self, process, config):
        self._process, self.best = process, 0.0
        self._operations = prepare(process, MATRIX_MULTIPLY, {**dataclasses.asdict(config), "steps": 1})["operations"]

    def measure(self):
        measured = self._process.call("measure")
        self.best = max(self.best, self._operations * measured["steps"] / measured["seconds"])
