"""One run from configuration to `model.keras`."""

import dataclasses
import math
import time

import keras

import keras_resnet
from keras_resnet import saving
from keras_resnet.classifier import Classifier
from keras_resnet.errors import UserError
from keras_resnet.layers import LOGITS
from keras_resnet.preprocessing import Preprocessing
from keras_resnet.training import logs
from keras_resnet.training.batches import evaluation_batches, training_batches
from keras_resnet.training.checkpoints import Checkpoints
from keras_resnet.training.config import open_workdir
from keras_resnet.training.datasets import Dataset
from keras_resnet.training.loop import Loop
from keras_resnet.training.plots import draw_curves
from keras_resnet.training.schedules import learning_rate_schedule
from keras_resnet.training.strategies import make_strategy

MODEL_FILE, CURVES_FILE = "model.keras", "curves.png"


def train(config, workdir, data_dir=None):
    """Runs, or continues, the training that `config` describes; returns the loss and accuracy on the test split.

    The checkpoint that is best on the validation part becomes `workdir/model.keras`. What a user got wrong is a `UserError`,
    and nothing is overwritten.
    """
    run = Run(config, Dataset(config.dataset, data_dir))
    with open_workdir(workdir, config):
        return run.train_in(workdir)


class Run:
    """A training that is ready to begin: data split, network and loop made, nothing written yet."""

    def __init__(self, config, dataset):
        self.config, self.dataset, self.recipe = config, dataset, config.settings
        self.training, self.validation = dataset.train_and_validation(config.validation_fraction, config.seed)
        self.preprocessing = Preprocessing.from_images(self.training.images)
        self.steps = len(self.training) // self.recipe.batch_size
        self._check()
        keras.utils.set_random_seed(config.seed)
        self.schedule = learning_rate_schedule(self.recipe, self.steps * self.recipe.epochs)
        self.strategy = make_strategy(config.strategy)
        with self.strategy.scope():
            self.model = build_classifier(config, self.preprocessing, classes=len(dataset.labels))
            self.loop = make_loop(self.strategy, self.model, self.recipe, self.schedule)

    def _check(self):
        """Refuses a recipe that the data does not allow."""
        if not self.steps:
            available = len(self.training)
            raise UserError(f"batch_size is {self.recipe.batch_size}, but there are only {available} images to train on")
        if self.recipe.pad > min(self.preprocessing.height, self.preprocessing.width):
            raise UserError(f"pad is {self.recipe.pad}; it is at most the {self.preprocessing.height} pixels of the images")

    def train_in(self, workdir):
        """Trains in the work directory, from its newest checkpoint if there is one; returns the metrics on the test split."""
        self.workdir = workdir
        with self.strategy.scope():
            self.checkpoints = Checkpoints(workdir / "checkpoints", self.model, self.loop.optimizer)
            done = self.checkpoints.restore_newest()
        progress = logs.Progress(self.recipe.epochs, self.steps, done)
        self.callbacks = keras.callbacks.CallbackList(
            [logs.MetricsFile(workdir, done), logs.EventFile(workdir), progress], model=self.model
        )
        self.callbacks.on_train_begin()
        try:
            for epoch in range(done, self.recipe.epochs):
                self.train_epoch(epoch)
        finally:
            self.callbacks.on_train_end()
        return self.finish()

    def train_epoch(self, epoch):
        """One pass over the training part and one over the validation part, logged and saved."""
        self.callbacks.on_epoch_begin(epoch)
        colour = [255 * mean for mean in self.preprocessing.mean]
        batches = training_batches(self.training, self.recipe, colour, seed=self.config.seed, epoch=epoch)
        start = time.perf_counter()
        trained = self.loop.train(batches, lambda done: self.callbacks.on_train_batch_end(epoch * self.steps + done - 1))
        seconds = time.perf_counter() - start
        rate = float(self.schedule((epoch + 1) * self.steps - 1))  # that of the epoch's last step
        if not math.isfinite(trained["loss"]):
            kept = f"the last good checkpoint is that of epoch {epoch}" if epoch else "there is no checkpoint yet"
            raise UserError(f"the loss is {trained['loss']} in epoch {epoch + 1}, at a learning rate of {rate:.3g}; {kept}")
        validated = self.loop.evaluate(evaluation_batches(self.validation, self.recipe.batch_size))
        logged = {
            **trained,
            **{f"val_{name}": value for name, value in validated.items()},
            "learning_rate": rate,
            "images_per_second": self.steps * self.recipe.batch_size / seconds,
        }
        # Logged first: what stands behind the newest checkpoint is dropped when the run continues, but nothing fills a gap.
        self.callbacks.on_epoch_end(epoch, logged)
        self.checkpoints.save(epoch + 1, validated["accuracy"], validated["loss"])

    def finish(self):
        """Measures the best checkpoint on the test split and writes it as `model.keras`."""
        self.checkpoints.restore_best()
        self.callbacks.on_test_begin()
        test = self.loop.evaluate(evaluation_batches(self.dataset.test, self.recipe.batch_size))
        self.callbacks.on_test_end({**test, "images": len(self.dataset.test)})
        draw_curves(logs.read_metrics(self.workdir), self.workdir / CURVES_FILE)
        record = Classifier(self.config.model, self.dataset.name, self.dataset.labels, self.preprocessing)
        saving.write_classifier(self.model, self.workdir / MODEL_FILE, record)
        return test


def build_classifier(config, preprocessing, classes):
    """Raw pixels 0 to 255 in, (N, H, W, C); class probabilities out, (N, classes)."""
    pixels = keras.Input((preprocessing.height, preprocessing.width, preprocessing.channels), name="pixels")
    return getattr(keras_resnet, config.model)(
        input_tensor=preprocessing.layer()(pixels),
        classes=classes,
        block=config.block,
        unit=config.unit,
        shortcut=config.shortcut,
        **dataclasses.asdict(config.options),
    )


def make_loop(strategy, model, recipe, schedule):
    coupled = recipe.weight_decay_mode == "coupled"
    optimizer = keras.optimizers.SGD(
        schedule,
        momentum=recipe.momentum,
        nesterov=recipe.nesterov,
        weight_decay=None if coupled else recipe.weight_decay,
    )
    return Loop(
        strategy,
        keras.Model(model.input, model.get_layer(LOGITS).output),
        optimizer,
        global_batch=recipe.batch_size,
        coupled_decay=recipe.weight_decay if coupled else 0.0,
    )
