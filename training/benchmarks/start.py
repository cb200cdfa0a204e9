"""The time from the start of Python to the end of the first training step, each in a new process, and its memory."""

import json
import os
import subprocess
import sys
import tempfile
import time
from typing import Any

from .candidates import WorkloadInfo
from .config import BenchmarkConfig
from .linked_images import IMAGES, describe_folder


class Digits:
    """The embedded data set, which takes no time to speak of."""

    def __init__(self, config: BenchmarkConfig, folder: str) -> None:
        self.config, self.folder = config, folder
        self.steps, self.peak_memory = 1, 0.0

    @property
    def data(self) -> dict[str, Any]:
        return {"dataset": "digits"}

    def load_data(self, steps: int) -> None:
        """Does nothing: the data is there, and a run takes one step."""

    def build(self) -> None:
        """Does nothing."""

    def run(self) -> float:
        """Trains one step in a new process; returns the seconds that it took from its start."""
        network = {"model": self.config.model, "image_size": self.config.side, "batch_size": self.config.batch_size}
        run = {**network, "changes": self.config.changes, **self.data}
        with tempfile.TemporaryDirectory(prefix="keras-resnet-benchmark-") as folder:
            arguments = json.dumps({**run, "workdir": os.path.join(folder, "run"), "begin": time.time()})
            command = [sys.executable, "-m", __name__, arguments]
            with tempfile.TemporaryFile("w+") as errors:
                with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors, text=True) as process:
                    assert process.stdout
                    line = next((line for line in process.stdout if line.startswith("{")), "")
                    process.kill()  # its work is done, and nobody needs its end
                errors.seek(0)
                said = errors.read().strip().splitlines() or ["it said nothing"]
        if not line:
            raise RuntimeError(said[-1])
        result = json.loads(line)
        self.peak_memory = max(self.peak_memory, result["peak_memory"])
        return result["seconds"]

    def info(self) -> WorkloadInfo:
        return {"macs": None, "versions": {}}


class Folder(Digits):
    """A folder of very many JPEGs."""

    @property
    def data(self) -> dict[str, Any]:
        return {"dataset": "folder", "data_dir": os.path.join(self.folder, IMAGES)}

    def info(self) -> WorkloadInfo:
        return {**super().info(), "notes": [describe_folder(self.folder, self.config.images)]}


def main(arguments: str) -> None:
    """Trains one step, and prints how long that took. What is printed before is not for the caller."""
    run = json.loads(arguments)
    from keras_resnet import environment

    environment.configure("quiet")
    import keras

    from keras_resnet.benchmarks.session import peak_memory
    from keras_resnet.models.options import ModelOptions
    from keras_resnet.models.variants import VARIATIONS

    from .. import recipes
    from ..config import TrainConfig
    from ..train import train

    class EndAfterFirstStep(keras.callbacks.Callback):
        def on_train_batch_end(self, batch: int, logs: dict[str, float] | None = None) -> None:
            print(json.dumps({"seconds": time.time() - run["begin"], "peak_memory": peak_memory()}), flush=True)
            sys.exit()

    recipe = recipes.get_recipe("short", batch_size=run["batch_size"])
    variations = {name: value for name, value in run["changes"].items() if name in VARIATIONS}
    options = ModelOptions(**{name: value for name, value in run["changes"].items() if name not in VARIATIONS})
    given = {name: run[name] for name in ("model", "image_size", "dataset", "data_dir") if name in run}
    config = TrainConfig(**given, **variations, recipe_name="short", recipe=recipe, options=options)
    train(config, run["workdir"], [EndAfterFirstStep()])


if __name__ == "__main__":
    main(sys.argv[1])
