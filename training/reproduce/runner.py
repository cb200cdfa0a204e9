"""Runs what is left of an experiment, some runs at a time, each process for as many of them as come to it."""

import queue
import threading
import time
from collections.abc import Callable, Sequence

from keras_resnet.benchmarks.processes import WorkerError, WorkerProcess
from keras_resnet.errors import UserError

from ..signals import StopSignal
from .config import PlannedRun
from .plan import Plan
from .results import FAILED, RunResult
from .session import result_path

SESSION = f"{__package__}.session.RunSession"
POLL_SECONDS = 0.2
ALIKE = 3  # failures for one reason, after which no more runs are begun


class RunPool:
    """Does runs in processes of their own.

    Args:
        runs: what to do. Those that take longest should come first.
        plan: that they are of.
        jobs: how many at a time.
        verbosity: of the processes.
        on_result: receives each result, in one thread at a time.
    """

    def __init__(
        self, runs: Sequence[PlannedRun], plan: Plan, jobs: int, verbosity: str, on_result: Callable[[RunResult], None]
    ) -> None:
        self._left: queue.SimpleQueue[PlannedRun] = queue.SimpleQueue()
        for run in runs:
            self._left.put(run)
        self._plan, self._jobs, self._verbosity, self._on_result = plan, jobs, verbosity, on_result
        self._messages = list[str]()
        self._lock, self._ended, self._errors = threading.Lock(), threading.Event(), list[BaseException]()
        self._processes: set[WorkerProcess] = set()

    def run(self, stop_signal: StopSignal) -> None:
        """Returns when all runs are done, or failed.

        Raises:
            UserError: that a run raised; no others are begun then.
            BaseException: that `on_result` raised; no others are begun then.
        """
        threads = [threading.Thread(target=self._work, daemon=True) for _ in range(self._jobs)]
        with stop_signal.polled():
            for thread in threads:
                thread.start()
            while any(thread.is_alive() for thread in threads):
                time.sleep(POLL_SECONDS)
                if stop_signal.received and not self._ended.is_set():
                    self._ended.set()
                    self._stop_processes()
        if self._errors:
            raise self._errors[0]

    def _give_up(self, error: BaseException) -> None:
        """Lets `run` raise an error, once the processes have ended."""
        self._errors.append(error)
        self._ended.set()
        self._stop_processes()

    def _stop_processes(self) -> None:
        """Lets those that train save and end."""
        with self._lock:
            for process in self._processes:
                process.terminate()

    def _work(self) -> None:
        """Takes runs until none is left; a process that has died is followed by another."""
        try:
            while not self._ended.is_set() and not self._left.empty():
                with WorkerProcess(SESSION, self._verbosity, own_session=True) as process:
                    with self._lock:
                        self._processes.add(process)
                    try:
                        self._serve(process)
                    finally:
                        with self._lock:
                            self._processes.discard(process)
        except BaseException as error:
            self._give_up(error)

    def _serve(self, process: WorkerProcess) -> None:
        """Gives a process one run after the other, until it fails."""
        run = None
        try:
            process.call("start", verbosity=self._verbosity, threads=self._plan.threads)
            while not self._ended.is_set():
                try:
                    run = self._left.get_nowait()
                except queue.Empty:
                    return
                self._one(process, run)
        except WorkerError as error:
            if self._ended.is_set():
                return
            if error.is_user_error or run is None:
                self._give_up(UserError(str(error)))
                return
            with self._lock:
                self._on_result(RunResult(run.arm.label, run.config.seed, run.config.to_dict(), FAILED, str(error)))
                self._messages.append(str(error))
                if len(self._messages) >= ALIKE and len(set(self._messages[-ALIKE:])) == 1:  # a full disk, say
                    self._ended.set()

    def _one(self, process: WorkerProcess, run: PlannedRun) -> None:
        config = run.config.to_dict()
        process.call("run", arm=run.arm.label, config=config, workdir=str(run.workdir), trains=self._plan.trains)
        result = RunResult.read(result_path(run.workdir), config)
        assert result is not None
        with self._lock:
            self._on_result(result)
