"""Starts several workers on this machine, watches them and ends them together: the command `launch`."""

import contextlib
import glob
import itertools
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from types import TracebackType
from typing import IO, Self, TextIO

import psutil

from keras_resnet.environment import describe_exit
from keras_resnet.errors import PREFIX, UserError, check_at_most, print_message

GRACE_SECONDS = 10  # between SIGTERM and SIGKILL, for the others when one worker has failed
POLL_SECONDS = 0.1
USER_ERROR_STATUS = 2  # the exit status of a worker that would fail again
MAX_WORKERS = 1024

# A program that replaces itself by another, which the kernel kills with its parent: Linux' PR_SET_PDEATHSIG survives exec. It
# is a program of its own because nothing may run between fork and exec in a process that has threads.
DIE_WITH_PARENT = """
import ctypes, os, signal, sys
ctypes.CDLL(None).prctl(1, signal.SIGKILL)
signal.signal(signal.SIGPIPE, signal.SIG_DFL)
if os.getppid() == int(sys.argv[1]):
    os.execvp(sys.argv[2], sys.argv[2:])
"""


def launch(command: Sequence[str], workers: int, max_restarts: int = 0) -> int:
    """Runs `command` in `workers` processes that find each other by TF_CONFIG; returns an exit status for the shell.

    Each line of output is prefixed with `[0] `, `[1] ` and so on. When one worker fails, the others are ended, and all start
    again, at most `max_restarts` times; the command is expected to continue from its checkpoint. SIGINT and SIGTERM are
    forwarded to the workers and end it without a restart; a second one kills. Works in the main thread only.
    """
    if workers < 1:
        raise UserError(f"workers is {workers}; it must be at least 1")
    check_at_most("workers", workers, MAX_WORKERS)
    if max_restarts < 0:
        raise UserError(f"max_restarts is {max_restarts}; it must be at least 0")
    gpus = gpus_per_worker(workers)
    with received_signals() as received:
        for restart in itertools.count(1):
            messages: set[bytes] = set()
            statuses = run_once(command, gpus, received, messages)
            failed = [worker for worker, status in enumerate(statuses) if status]
            if received or not failed:
                break
            # A worker that was killed is reported before those that failed because of it.
            first = min(failed, key=lambda worker: (statuses[worker] != USER_ERROR_STATUS, (statuses[worker] or 0) > 0))
            status = statuses[first] or 0
            message = f"worker {first} {describe_exit(status)}"
            if status == USER_ERROR_STATUS or restart > max_restarts:
                if not (status == USER_ERROR_STATUS and messages):  # which has said what is wrong
                    log(message)
                return status if status > 0 else 128 - status
            log(f"{message}: restart {restart} of {max_restarts}")
    return 128 + received[0] if received else 0


def run_once(
    command: Sequence[str], gpus: Sequence[str | None], received: Sequence[int], messages: set[bytes]
) -> list[int | None]:
    """Runs a worker for each of `gpus` until all have ended or one has failed.

    Args:
        command: What each runs.
        gpus: CUDA_VISIBLE_DEVICES for each.
        received: The signals that are to be sent on.
        messages: The errors that were printed; each is printed once, whichever worker has it first.

    Returns:
        Their exit statuses, as `Popen` gives them; None for those that were ended because another failed.
    """
    with reserved_ports(len(gpus)) as ports, contextlib.ExitStack() as stack:
        workers = [
            stack.enter_context(Worker(command, index, worker_environment(ports, index, visible), messages))
            for index, visible in enumerate(gpus)
        ]
        stack.callback(terminate, workers)
        forwarded = 0
        while None in (statuses := [worker.process.poll() for worker in workers]):
            if any(statuses) and not received:
                break
            for number in received[forwarded:]:
                send_signal(workers, None if forwarded else number)
                forwarded += 1
            time.sleep(POLL_SECONDS)
        return statuses


class Worker:
    """A process, and the threads that print its output.

    It has a session of its own, so that a terminal's Ctrl-C reaches it once, from the launcher.
    """

    def __init__(self, command: Sequence[str], index: int, environment: dict[str, str], messages: set[bytes]) -> None:
        prefix = [sys.executable, "-I", "-S", "-c", DIE_WITH_PARENT, str(os.getpid())] if sys.platform == "linux" else []
        self.process = subprocess.Popen(
            [*prefix, *command],
            env=environment,
            start_new_session=True,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        streams = ((self.process.stdout, sys.stdout), (self.process.stderr, sys.stderr))
        rest = (f"[{index}] ".encode(), messages)
        self._printers = [threading.Thread(target=print_lines, args=(*both, *rest), daemon=True) for both in streams]

    def __enter__(self) -> Self:
        for printer in self._printers:
            printer.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        """Kills it and everything that it started, and waits for the last lines."""
        if hasattr(os, "killpg"):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
        else:
            kill_tree(self.process.pid)
        self.process.wait()
        for printer in self._printers:
            printer.join(timeout=1)


def terminate(workers: Sequence[Worker]) -> None:
    """Sends SIGTERM, and waits up to `GRACE_SECONDS` for the workers to end."""
    send_signal(workers, signal.SIGTERM)
    deadline = time.monotonic() + GRACE_SECONDS
    while any(worker.process.poll() is None for worker in workers) and time.monotonic() < deadline:
        time.sleep(POLL_SECONDS)


def send_signal(workers: Sequence[Worker], number: int | None) -> None:
    """Sends a signal to all workers that have not ended, or kills them for None. Windows has no other than SIGTERM to send."""
    for worker in workers:
        if number is None:
            worker.process.kill()
        else:
            worker.process.send_signal(signal.SIGTERM if sys.platform == "win32" else number)


def kill_tree(process: int) -> None:
    """Kills a process and everything that it started, where there are no process groups."""
    with contextlib.suppress(psutil.NoSuchProcess):
        parent = psutil.Process(process)
        for one in (*parent.children(recursive=True), parent):
            with contextlib.suppress(psutil.NoSuchProcess):
                one.kill()


PRINT_LOCK = threading.Lock()


def print_lines(source: IO[bytes], target: TextIO, prefix: bytes, messages: set[bytes]) -> None:
    """Copies line by line, errors in `messages` excepted, and adds new ones to them.

    When nobody reads `target` any more, the worker's pipe is closed as well.
    """
    with contextlib.suppress(BrokenPipeError), source:
        for line in source:
            with PRINT_LOCK:
                if line.startswith(PREFIX.encode()):
                    if line in messages:
                        continue
                    messages.add(line)
                target.buffer.write(prefix + line.rstrip(b"\n") + b"\n")
                target.flush()


def log(line: str) -> None:
    with PRINT_LOCK:
        print_message(line)


@contextlib.contextmanager
def received_signals() -> Iterator[list[int]]:
    """Yields a list that SIGINT and SIGTERM are appended to, instead of what they did before."""
    received: list[int] = []
    numbers = (signal.SIGINT, signal.SIGTERM)
    before = [signal.signal(number, lambda number, frame: received.append(number)) for number in numbers]
    try:
        yield received
    finally:
        for number, handler in zip(numbers, before, strict=True):
            signal.signal(number, handler)


@contextlib.contextmanager
def reserved_ports(count: int) -> Iterator[list[int]]:
    """Yields free ports that no other process is given meanwhile: they stay bound here, shared with the workers' servers."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            if hasattr(socket, "SO_REUSEPORT"):
                one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            one.bind(("", 0))
        yield [one.getsockname()[1] for one in sockets]


def worker_environment(ports: Sequence[int], index: int, gpus: str | None) -> dict[str, str]:
    """The environment of a worker: its place in the cluster, and the GPUs that it sees, by CUDA_VISIBLE_DEVICES."""
    cluster = {"worker": [f"localhost:{port}" for port in ports]}
    config = {"cluster": cluster, "task": {"type": "worker", "index": index}}
    added = {"TF_CONFIG": json.dumps(config), "TF_GRPC_REUSE_PORT": "1", "PYTHONUNBUFFERED": "1"}
    return {**os.environ, **added, **({} if gpus is None else {"CUDA_VISIBLE_DEVICES": gpus})}


def gpus_per_worker(workers: int) -> Sequence[str | None]:
    """CUDA_VISIBLE_DEVICES for each worker: equally many GPUs each, none twice; None where there are none."""
    gpus = visible_gpus()
    if not gpus:
        return [None] * workers
    each = len(gpus) // workers
    if not each:
        raise UserError(f"workers is {workers}, but there are {len(gpus)} GPUs; CUDA_VISIBLE_DEVICES=-1 trains on the CPU")
    return [",".join(gpus[index * each : (index + 1) * each]) for index in range(workers)]


def visible_gpus() -> list[str]:
    """The GPUs as CUDA_VISIBLE_DEVICES counts them, without loading TensorFlow, which would claim them."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is None:
        return [str(index) for index in range(len(glob.glob("/dev/nvidia[0-9]*")))]
    return [gpu for gpu in visible.split(",") if gpu.strip() not in ("", "-1")]
