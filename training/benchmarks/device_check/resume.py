"""Whether a run with --deterministic that was interrupted ends with the bits of one that was not."""

import hashlib
import os
import shutil
import signal
from typing import Any

from keras_resnet.benchmarks.session import Session
from keras_resnet.errors import TrainingInterrupted

from .bench import Bench, CheckFailed, Figures

SESSION = f"{__name__}.ResumeSession"
BATCH_SIZE = 128  # of the embedded digits: ten steps per epoch
STOP_AFTER = 4  # steps, in the middle of an epoch


class ResumeSession(Session):
    def train(self, workdir: str, epochs: int, stop: bool, variables: dict[str, str]) -> dict[str, Any] | None:
        """Runs, or continues, a training; with `stop`, a signal ends it in its middle.

        Returns:
            A digest of its weights and the loss on the test split; None if it was stopped.
        """
        os.environ.update(variables)
        import keras

        from keras_resnet.models.options import ModelOptions

        from ... import recipes
        from ...config import TrainConfig
        from ...train import MODEL_FILE, train

        class Stop(keras.callbacks.Callback):
            def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
                if batch + 1 == STOP_AFTER:
                    signal.raise_signal(signal.SIGTERM)

        config = TrainConfig(
            model="ResNet20V2",
            dataset="digits",
            recipe_name="digits",
            recipe=recipes.get_recipe("digits", batch_size=BATCH_SIZE, epochs=epochs, crop_padding=1),
            options=ModelOptions(width_multiplier=0.5, classifier_dropout=0.1),
            deterministic=True,
            steps_per_execution=1,
        )
        try:
            metrics = train(config, workdir, [Stop()] if stop else [])
        except TrainingInterrupted:
            return None
        model: Any = keras.saving.load_model(os.path.join(workdir, MODEL_FILE))
        assert metrics
        digest = hashlib.sha256(b"".join(weight.tobytes() for weight in model.get_weights()))
        return {"weights": digest.hexdigest(), "loss": metrics["loss"]}


def resume_exactly(bench: Bench) -> Figures:
    """Interrupts a run, resumes it in another process, and compares it with one that was left alone there."""
    arguments = {"epochs": bench.sizes.epochs, "variables": bench.variables("tensorflow")}
    interrupted, undisturbed = (bench.folder / name for name in ("interrupted", "undisturbed"))
    for workdir in (interrupted, undisturbed):
        shutil.rmtree(workdir, ignore_errors=True)
    with bench.process(SESSION) as process:
        if process.call("train", workdir=os.fspath(interrupted), stop=True, **arguments) is not None:
            raise CheckFailed("the signal did not interrupt the run", {})
    with bench.process(SESSION) as process:
        resumed = process.call("train", workdir=os.fspath(interrupted), stop=False, **arguments)
        straight = process.call("train", workdir=os.fspath(undisturbed), stop=False, **arguments)
    figures = {"same_bits": resumed["weights"] == straight["weights"], "resumed": resumed, "undisturbed": straight}
    if not figures["same_bits"]:
        raise CheckFailed("the resumed run has other weights than the one that was left alone", figures)
    return figures
