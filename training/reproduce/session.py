"""What runs in a process of its own: the runs of an experiment, one after the other."""

import gc
import os
import platform
import shutil
import signal
import threading
import time
from pathlib import Path
from typing import Any

import psutil

from keras_resnet import environment
from keras_resnet.benchmarks.session import Session
from keras_resnet.errors import DivergedError

from ..config import TrainConfig
from .results import DIVERGED, DONE, RunResult

CHECKPOINTS = "checkpoints"
PARENT_POLL_SECONDS = 1.0


class RunSession(Session):
    """Trains networks. `keras_resnet.benchmarks.worker` makes one and calls its methods; all values pass through JSON."""

    def start(self, verbosity: str, threads: int) -> None:
        """Configures the process. threads: that TensorFlow may compute with; 0 for its own choice."""
        if threads:
            os.environ["TF_NUM_INTRAOP_THREADS"] = os.environ["TF_NUM_INTEROP_THREADS"] = str(threads)
        environment.configure(verbosity)
        threading.Thread(target=stop_without, args=(os.getppid(),), daemon=True).start()

    def run(self, arm: str, config: dict[str, Any], workdir: str, trains: bool) -> None:
        """Does a run, or what is left of it, and writes its result to the file `workdir`.json."""
        import keras

        from ..callbacks.loggers import read_metrics
        from ..train import train

        training, folder, began = TrainConfig.from_dict(config), Path(workdir), time.perf_counter()
        remove_remains(folder)
        fields: dict[str, Any] = {"status": DONE, "machine": machine()}
        if trains:
            try:
                fields["test"] = train(training, folder)
            except DivergedError as error:
                fields |= {"status": DIVERGED, "message": str(error)}
            fields["epochs"] = tuple(line for line in read_metrics(folder) if "epoch" in line)
        else:
            from .flow import follow

            fields["flow"] = tuple(follow(training))
        seconds = max(time.perf_counter() - began, (fields.get("test") or {}).get("seconds", 0.0))
        RunResult(arm, training.seed, config, seconds=seconds, **fields).write(result_path(folder))
        shutil.rmtree(folder / CHECKPOINTS, ignore_errors=True)  # of no more use, and most of what a run takes on the disk
        keras.backend.clear_session()
        gc.collect()


def machine() -> str:
    """What this process runs on, and with how many threads."""
    import tensorflow as tf

    threads = os.environ.get("TF_NUM_INTRAOP_THREADS", "any")
    versions = f"TensorFlow {tf.__version__}, Python {platform.python_version()}"
    return f"{platform.machine()}, {environment.cores()} CPU cores, threads per run: {threads}, {versions}"


def remove_remains(folder: Path) -> None:
    """Removes a run that has come to its end, and whose result somebody has removed: it is to be made again."""
    from ..callbacks.loggers import read_metrics

    if folder.is_dir() and read_metrics(folder) and not (folder / CHECKPOINTS).is_dir():
        shutil.rmtree(folder)


def result_path(workdir: Path) -> Path:
    """The file with the result of the run in a folder."""
    return workdir.with_name(f"{workdir.name}.json")


def stop_without(parent: int) -> None:
    """Has this process save and stop, as by SIGTERM, once its parent has ended."""
    while os.getppid() == parent and psutil.pid_exists(parent):  # Windows leaves the number of a parent that has ended
        time.sleep(PARENT_POLL_SECONDS)
    os.kill(os.getpid(), signal.SIGTERM)
