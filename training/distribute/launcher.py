"""Several workers on this machine, started, watched and ended together: the command `launch`."""

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

from keras_resnet.errors import UserError

GRACE_SECONDS = 10  # between SIGTERM and SIGKILL, for the others when one worker has failed
POLL_SECONDS = 0.1
USERS_MISTAKE = 2  # the exit status of a worker that would fail again

# A program that becomes another one, which the kernel kills with its parent: Linux' PR_SET_PDEATHSIG outlives exec. In a
# program of its own, as nothing may run between fork and exec in a process that has threads.
DIE_WITH_PARENT = """
import ctypes, os, signal, sys
ctypes.CDLL(None).prctl(1, signal.SIGKILL)
signal.signal(signal.SIGPIPE, signal.SIG_DFL)
if os.getppid() == int(sys.argv[1]):
    os.execvp(sys.argv[2], sys.argv[2:])
"""


def launch(command, workers, max_restarts=0):
    """Runs `command` in `workers` processes that find each other by TF_CONFIG; returns an exit status for the shell.

    Output comes with `[0] `, `[1] ` and so on before each line. When one worker fails, the others are ended, and all begin
    anew, at most `max_restarts` times; the command continues from its checkpoint by itself. SIGINT and SIGTERM are handed on
    to the workers and end it without a restart; a second one kills. It runs in the main thread only.
    """
    if workers < 1:
        raise UserError(f"workers is {workers}; it is at least 1")
    if max_restarts < 0:
        raise UserError(f"max_restarts is {max_restarts}; it is at least 0")
    shares = shares_of_gpus(workers)
    with signals_received() as received:
        for restart in itertools.count(1):
            statuses = run_once(command, shares, received)
            failed = [worker for worker, status in enumerate(statuses) if status]
            if received or not failed:
                break
            # A worker that was killed is named before those that missed it.
            first = min(failed, key=lambda worker: (statuses[worker] != USERS_MISTAKE, statuses[worker] > 0))
            status, what = statuses[first], f"worker {first} {ending(statuses[first])}"
            if status == USERS_MISTAKE or restart > max_restarts:
                log(what)
                return status if status > 0 else 128 - status
            log(f"{what}: restart {restart} of {max_restarts}")
    return 128 + received[0] if received else 0


def run_once(command, shares, received):
    """The workers' statuses, as `Popen` gives them, once all have ended or one failed: then None for those it took along."""
    with reserved_ports(len(shares)) as ports, contextlib.ExitStack() as stack:
        workers = [
            stack.enter_context(Worker(command, index, worker_environment(ports, index, gpus)))
            for index, gpus in enumerate(shares)
        ]
        stack.callback(terminate, workers)
        forwarded = 0
        while None in (statuses := [worker.process.poll() for worker in workers]):
            if any(statuses) and not received:
                break
            for number in received[forwarded:]:
                send_signal(workers, signal.SIGKILL if forwarded else number)
                forwarded += 1
            time.sleep(POLL_SECONDS)
        return statuses


class Worker:
    """A process, and the threads that print what it says.

    It has a session of its own, so that a terminal's Ctrl-C reaches it once, from us.
    """

    def __init__(self, command, index, environment):
        bound = [sys.executable, "-I", "-S", "-c", DIE_WITH_PARENT, str(os.getpid())] if sys.platform == "linux" else []
        pipes = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        self.process = subprocess.Popen([*bound, *command], env=environment, start_new_session=True, **pipes)
        streams = ((self.process.stdout, sys.stdout), (self.process.stderr, sys.stderr))
        self._printers = [
            threading.Thread(target=print_lines, args=(*both, f"[{index}] ".encode()), daemon=True) for both in streams
        ]

    def __enter__(self):
        for printer in self._printers:
            printer.start()
        return self

    def __exit__(self, *error):
        """Kills it and what it has started and left behind, and waits for the last lines."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        for printer in self._printers:
            printer.join(timeout=1)


def terminate(workers):
    """SIGTERM, and time to heed it."""
    send_signal(workers, signal.SIGTERM)
    deadline = time.monotonic() + GRACE_SECONDS
    while any(worker.process.poll() is None for worker in workers) and time.monotonic() < deadline:
        time.sleep(POLL_SECONDS)


def send_signal(workers, number):
    for worker in workers:
        worker.process.send_signal(number)  # does nothing where the process has ended


PRINTING = threading.Lock()


def print_lines(source, target, prefix):
    """Copies line by line. When whoever reads us has gone, the worker hears of it as well: its pipe breaks."""
    with contextlib.suppress(BrokenPipeError), source:
        for line in source:
            with PRINTING:
                target.buffer.write(prefix + line.rstrip(b"\n") + b"\n")
                target.flush()


def log(line):
    with PRINTING:
        print(f"keras-resnet: {line}", file=sys.stderr, flush=True)


def ending(status):
    names = {number.value: number.name for number in signal.Signals}
    return f"ended with exit status {status}" if status > 0 else f"was killed by {names.get(-status, -status)}"


@contextlib.contextmanager
def signals_received():
    """A list that SIGINT and SIGTERM are appended to, in place of what they did before."""
    received = []
    numbers = (signal.SIGINT, signal.SIGTERM)
    before = [signal.signal(number, lambda number, frame: received.append(number)) for number in numbers]
    try:
        yield received
    finally:
        for number, handler in zip(numbers, before, strict=True):
            signal.signal(number, handler)


@contextlib.contextmanager
def reserved_ports(count):
    """Free ports that nobody else is given meanwhile: we stay bound to them, and share them with the workers' servers."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            if hasattr(socket, "SO_REUSEPORT"):
                one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            one.bind(("", 0))
        yield [one.getsockname()[1] for one in sockets]


def worker_environment(ports, index, gpus):
    cluster = {"worker": [f"localhost:{port}" for port in ports]}
    config = {"cluster": cluster, "task": {"type": "worker", "index": index}}
    added = {"TF_CONFIG": json.dumps(config), "TF_GRPC_REUSE_PORT": "1", "PYTHONUNBUFFERED": "1"}
    return {**os.environ, **added, **({} if gpus is None else {"CUDA_VISIBLE_DEVICES": gpus})}


def shares_of_gpus(workers):
    """CUDA_VISIBLE_DEVICES for each worker, or None where there are no GPUs: equally many each, none twice."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is None:
        gpus = [str(index) for index in range(len(glob.glob("/dev/nvidia[0-9]*")))]
    else:
        gpus = [gpu for gpu in visible.split(",") if gpu.strip() not in ("", "-1")]
    if not gpus:
        return [None] * workers
    each = len(gpus) // workers
    if not each:
        raise UserError(f"workers is {workers}, but there are {len(gpus)} GPUs; CUDA_VISIBLE_DEVICES=-1 trains on the CPU")
    return [",".join(gpus[index * each : (index + 1) * each]) for index in range(workers)]
