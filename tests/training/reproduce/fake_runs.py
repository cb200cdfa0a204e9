"""Runs that need no TensorFlow: what one does is the first word of its label. Runs itself in the processes of the tests.

done: ends at once. diverged: its loss is NaN. mistaken: the user can mend it. broken: a bug. killed: the system kills its
process, the first time. slow: goes on until there is a file `go` in the folder of the runs, and saves when it is stopped, as
`train` does.
"""

import json
import os
import signal
import threading
import time
from pathlib import Path

from keras_resnet.errors import UserError
from keras_resnet.training.reproduce import report, runner
from keras_resnet.training.reproduce.claims import Larger
from keras_resnet.training.reproduce.experiments import EXPERIMENTS
from keras_resnet.training.reproduce.plan import Arm, Experiment, Plan
from keras_resnet.training.reproduce.results import DIVERGED, DONE, RunResult
from keras_resnet.training.reproduce.session import RunSession, result_path, stop_without
from keras_resnet.training.signals import StopSignal

SESSION = f"{__name__}.FakeSession"


class FakeSession(RunSession):
    def start(self, verbosity, threads):
        threading.Thread(target=stop_without, args=(os.getppid(),), daemon=True).start()

    def run(self, arm, config, workdir, trains):
        folder = Path(workdir)
        folder.mkdir(exist_ok=True)
        with (folder / "tries").open("a") as file:
            print(os.getpid(), file=file)
        getattr(self, arm.split()[0])(folder)
        error = 0.05 if arm.startswith("done") else 0.01
        epochs = tuple({"epoch": epoch, "loss": error, "accuracy": 0.9, "val_accuracy": 0.9} for epoch in (1, 2))
        result = RunResult(arm, config["seed"], config, DONE, "", 1.0, epochs, {"accuracy": 1 - error})
        if arm.startswith("diverged"):
            result = RunResult(arm, config["seed"], config, DIVERGED, "the loss is nan at step 3", 1.0, epochs[:1])
        result.write(result_path(folder))

    def done(self, folder): ...

    def diverged(self, folder): ...

    def mistaken(self, folder):
        raise UserError("unknown dataset 'digts'; the datasets are digits")

    def broken(self, folder):
        raise ZeroDivisionError("a bug")

    def killed(self, folder):
        if len((folder / "tries").read_text().split()) == 1:
            os.kill(os.getpid(), signal.SIGKILL)

    def slow(self, folder):
        with StopSignal() as stop_signal, stop_signal.polled():
            (folder / "begun").touch()
            while not (folder.parent / "go").exists() and not stop_signal.received:
                time.sleep(0.02)
            if stop_signal.received:
                (folder / "saved").touch()
                raise InterruptedError(f"stopped by {signal.Signals(stop_signal.received).name}")


def install(*labels, seeds=(0,), session=SESSION, pictures=True):
    """Puts an experiment `tiny` of such runs into the table of this process; without `pictures`, which take longest."""
    arms = tuple(Arm(label, "ResNet20V2") for label in labels)
    plan = Plan(arms, "digits", "digits", {"epochs": 2}, seeds)
    claims = ()
    if len(labels) > 1:
        claims = (Larger("The first is larger.", "test_error", *labels[:2], "Figure 1", "It is made up."),)
    EXPERIMENTS["tiny"] = Experiment("Does it work?", "this test", {"small": plan, "full": plan}, claims)
    runner.SESSION = session
    if not pictures:
        report.png, report.save = lambda *given, **named: b"", lambda *given: None


def tries(folder):
    """How often each run was begun, by the name of its folder."""
    return {path.parent.name: len(path.read_text().split()) for path in sorted(folder.glob("**/tries"))}


def before(*labels, **given):
    """Python that installs them in another process."""
    here = str(Path(__file__).parent)
    return f"import sys; sys.path.insert(0, {here!r}); import fake_runs; fake_runs.install(*{labels!r}, **{given!r})"


def results(folder):
    """The results of the runs, by the name of their folder."""
    return {path.stem: json.loads(path.read_text()) for path in sorted((folder / "runs").glob("*.json"))}
