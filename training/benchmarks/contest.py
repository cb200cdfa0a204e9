"""The contest: all contestants alive at once, and one of them at work."""

import contextlib
import dataclasses

from keras_resnet.benchmarks.processes import Process
from keras_resnet.benchmarks.rounds import failures_noted, rotated

from .contestants import MATRIX_MULTIPLY, chosen
from .result import Entry, Result

SESSION = f"{__package__}.session.Session"


def benchmark(config, verbosity="quiet", say=lambda line: None):
    """Measures what `config` says; returns a `Result`. `say` hears how far it is.

    The environment must not have been prepared: the contestants get it as it is, and some prepare it for themselves. One that
    fails is listed with the reason; only ours must not.
    """
    contestants = chosen(config)
    entries = {key: Entry(key, contestant.title) for key, contestant in contestants.items()}
    with contextlib.ExitStack() as stack:
        processes = {key: stack.enter_context(Process(SESSION, verbosity)) for key in contestants}
        for key, process in processes.items():
            say(f"{entries[key].title}: preparing")
            with noted(entries[key]):
                graph = processes["ours"].ask("graph") if contestants[key].needs_graph else None
                entries[key].note_facts(prepare(process, contestants[key], dataclasses.asdict(config), graph))
        ruler = None
        if config.what == "train":
            ruler = Ruler(stack.enter_context(Process(SESSION, verbosity)), config)
        for round_ in range(config.rounds):
            for key in rotated(processes, round_):
                if not entries[key].failure:
                    with noted(entries[key]):
                        entries[key].note(processes[key].ask("measure"), config)
            if ruler:
                ruler.measure()
            say(f"round {round_ + 1} of {config.rounds}")
        for key, entry in entries.items():
            if not entry.failure:
                with noted(entry):
                    entry.peak_memory = processes[key].ask("peak_memory")
    return Result(config, tuple(entries.values()), ruler.best if ruler else None)


def noted(entry):
    return failures_noted(entry, essential=entry.key == "ours")


def prepare(process, contestant, config, graph=None):
    """Has the contestant built; `config`: a record of it. Returns the seconds to the first step, and facts."""
    given = {name: getattr(contestant, name) for name in ("home", "our_environment", "variables")}
    return process.ask("prepare", **given, verbosity=process.verbosity, config=config, graph=graph)


class Ruler:
    """What the machine can do, measured in every round like the contestants. best: operations per second."""

    def __init__(self, process, config):
        self._process, self.best = process, 0.0
        self._operations = prepare(process, MATRIX_MULTIPLY, {**dataclasses.asdict(config), "steps": 1})["operations"]

    def measure(self):
        measured = self._process.ask("measure")
        self.best = max(self.best, self._operations * measured["steps"] / measured["seconds"])
