"""One run from configuration to `model.keras`."""

import time

import keras

import keras_resnet
from keras_resnet import saving
from keras_resnet.classifier import Classifier
from keras_resnet.errors import UserError
from keras_resnet.preprocessing import Preprocessing
from keras_resnet.training import logs, schedules
from keras_resnet.training.batches import evaluation_batches, training_batches
from keras_resnet.training.checkpoints import Checkpoints
from keras_resnet.training.config import open_workdir
from keras_resnet.training.datasets import Dataset
from keras_resnet.training.loop import Loop
from keras_resnet.training.plots import draw_curves
from keras_resnet.training.strategies import make_strategy

MODEL_FILE, CURVES_FILE = "model.keras", "curves.png"


def train(config, workdir, data_dir=None):
    """Runs, or continues, the training that `config` describes; returns the loss and accuracy on the test split.

    The checkpoint that is best on the validation part becomes `workdir/model.keras`. What a user got wrong is a `UserError`,
    and nothing is overwritten.
    """
    recipe = config.settings
    dataset = Dataset(config.dataset, data_dir)
    training, validation = dataset.train_and_validation(config.validation_fraction, config.seed)
    steps = len(training) // recipe.batch_size
    if not steps:
        raise UserError(f"batch_size is {recipe.batch_size}, but there are only {len(training)} images to train on")
    preprocessing = Preprocessing.from_images(training.images)
    keras.utils.set_random_seed(config.seed)
    strategy = make_strategy(config.strategy)
    with strategy.scope():
        model = build_classifier(config, preprocessing, classes=len(dataset.labels))
        loop = make_loop(strategy, model, recipe, total_steps=steps * recipe.epochs)
        open_workdir(workdir, config)
        checkpoints = Checkpoints(workdir / "checkpoints", model, loop.optimizer)
        done = checkpoints.restore_newest()
    metrics_file = logs.MetricsFile(workdir, done)
    callbacks = keras.callbacks.CallbackList(
        [metrics_file, logs.EventFile(workdir), logs.Progress(recipe.epochs, steps, done)], model=model
    )
    callbacks.on_train_begin()
    try:
        for epoch in range(done, recipe.epochs):
            run_epoch(epoch, loop, training, validation, checkpoints, callbacks, config, preprocessing)
    finally:
        callbacks.on_train_end()
    checkpoints.restore_best()
    callbacks.on_test_begin()
    test = loop.evaluate(evaluation_batches(dataset.test, recipe.batch_size))
    callbacks.on_test_end({**test, "images": len(dataset.test)})
    draw_curves(logs.read_metrics(workdir), workdir / CURVES_FILE)
    saving.save_classifier(model, workdir / MODEL_FILE, Classifier(config.model, config.dataset, dataset.labels, preprocessing))
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
    )


def make_loop(strategy, model, recipe, total_steps):
    coupled = recipe.weight_decay_mode == "coupled"
    optimizer = keras.optimizers.SGD(
        schedules.learning_rate_schedule(recipe, total_steps),
        momentum=recipe.momentum,
        nesterov=recipe.nesterov,
        weight_decay=None if coupled else recipe.weight_decay,
    )
    return Loop(
        strategy,
        keras.Model(model.input, model.get_layer(saving.LOGITS).output),
        optimizer,
        global_batch=recipe.batch_size,
        coupled_decay=recipe.weight_decay if coupled else 0.0,
    )


def run_epoch(epoch, loop, training, validation, checkpoints, callbacks, config, preprocessing):
    recipe, steps = config.settings, len(training) // config.settings.batch_size
    callbacks.on_epoch_begin(epoch)
    colour = [255 * mean for mean in preprocessing.mean]
    batches = training_batches(training, recipe, colour, seed=config.seed, epoch=epoch)
    start = time.perf_counter()
    trained = loop.train(batches, on_steps=lambda done: callbacks.on_train_batch_end(epoch * steps + done - 1))
    seconds = time.perf_counter() - start
    validated = loop.evaluate(evaluation_batches(validation, recipe.batch_size))
    callbacks.on_epoch_end(
        epoch,
        {
            **trained,
            **{f"val_{name}": value for name, value in validated.items()},
            "learning_rate": float(loop.optimizer.learning_rate),
            "images_per_second": steps * recipe.batch_size / seconds,
        },
    )
    # Last: what is logged behind the newest checkpoint is dropped when the run continues, but nothing fills a gap.
    checkpoints.save(epoch + 1, validated["accuracy"], validated["loss"])
