"""Small trainings: a network of one layer on a few images, so that a whole run takes a fraction of a second."""

import contextlib
from pathlib import Path

import keras
import numpy as np
import pytest
from PIL import Image

from keras_resnet.models.naming import LOGITS_LAYER, PREDICTIONS_LAYER
from keras_resnet.training import recipes
from keras_resnet.training.config import TrainConfig
from keras_resnet.training.network import classifier

STEPS = 4  # per epoch, with the images of `write_images` and the batches of `run_config`


def write_images(folder, classes=("cat", "dog"), per_class=24, size=8):
    """A folder of PNG files, one subfolder per class: noise, brighter from class to class."""
    rng = np.random.default_rng(0)
    for label, name in enumerate(classes):
        (folder / name).mkdir(parents=True)
        for index in range(per_class):
            pixels = rng.integers(0, 100, (size, size)) + 150 * label // max(len(classes) - 1, 1)
            Image.fromarray(pixels.astype(np.uint8)).save(folder / name / f"{index:02}.png")
    return folder


def run_config(images, epochs=3, **overrides):
    """A configuration for `write_images`: STEPS steps an epoch. overrides: of the configuration or the recipe."""
    fields = {name: overrides.pop(name) for name in list(overrides) if name in TrainConfig.__dataclass_fields__}
    recipe = recipes.get_recipe("digits", **{"epochs": epochs, "batch_size": 8, "learning_rate": 0.01, **overrides})
    given = {"model": "ResNet20V2", "dataset": "folder", "recipe_name": "digits", "data_dir": str(images)}
    return TrainConfig(**{**given, "recipe": recipe, "steps_per_execution": 1, "validation_fraction": 0.2, **fields})


def one_layer(config, classes, *, input_tensor):
    """In place of `classifier.build_model`: from normalized pixels to probabilities by one dense layer."""
    logits, _ = one_layer_condensed(config, classes, input_tensor=input_tensor)
    outputs = keras.layers.Softmax(name=PREDICTIONS_LAYER)(logits.output)
    return keras.Model(logits.input, outputs, name=config.model)


def one_layer_condensed(config, classes, *, input_tensor):
    """In place of `classifier.condensed_model`: up to the logits, and no units."""
    x = keras.layers.Flatten()(input_tensor)
    x = keras.layers.Dense(classes, name=LOGITS_LAYER)(x)
    return keras.Model(keras.utils.get_source_inputs(input_tensor), x, name=config.model), []


@contextlib.contextmanager
def one_layer_networks(conclusion=True):
    """Inside, every training is of a network of one layer, and without what comes after its last epoch if so wanted."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(classifier, "build_model", one_layer)
        patch.setattr(classifier, "condensed_model", one_layer_condensed)
        if not conclusion:
            patch.setattr("keras_resnet.training.train.evaluate_and_save", lambda *arguments: None)
        yield


class CutError(Exception):
    pass


class Cut(keras.callbacks.Callback):
    """Ends the run as the epoch `after` begins, counted from 0, as a power cut does."""

    def __init__(self, after):
        super().__init__()
        self.after = after

    def on_epoch_begin(self, epoch, logs=None):
        if epoch == self.after:
            raise CutError


def files_of(folder):
    """{path: bytes} of the files in a folder, events aside."""
    return {
        path.relative_to(folder): path.read_bytes()
        for path in sorted(Path(folder).rglob("*"))
        if path.is_file() and "events" not in path.parts
    }
