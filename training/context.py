"""All that a run needs before its first step: strategy, data, network and loop, put together from the configuration."""

import dataclasses
import hashlib

import keras
import tensorflow as tf

from keras_resnet.errors import UserError
from keras_resnet.models.layers import LOGITS_LAYER
from keras_resnet.preprocessing import Preprocessing
from keras_resnet.weights.loading import preprocessing_for

from . import model as networks
from .data.batches import TrainBatches
from .data.class_weights import class_weights
from .data.dataset import Dataset
from .data.splits import ArraySplit
from .distribute.strategies import is_chief, make_strategy
from .loop import TrainLoop
from .optim.loss_scale import LossScale
from .optim.optimizers import make_optimizer
from .optim.schedules import learning_rate_schedule
from .optim.update import ExponentialMovingAverage, WeightUpdate
from .step import TrainStep

PICTURES = "torchvision_v1"  # how pictures of various sizes are prepared for a network that begins from nothing
SIZE = 224


class TrainingContext:
    """What `config` describes, ready to train, and nothing written yet. What does not go together is a `UserError`."""

    def __init__(self, config):
        self.config, self.recipe = config, config.recipe
        self.strategy = make_strategy(config.strategy)  # first, for workers must be connected before anything else runs
        self.chief = is_chief(self.strategy)
        if config.deterministic:
            tf.config.experimental.enable_op_determinism()
        self.dataset = Dataset(config.dataset, config.data_dir, manual_dir=config.manual_dir, on_bad_image=config.on_bad_image)
        self.classes = len(self.dataset.class_names)
        training, validation = self.dataset.train_and_validation(config.validation_fraction, config.seed)
        self._check_batch_size(len(training))
        keras.utils.set_random_seed(config.seed)  # here, for fetching data takes random numbers too
        with self.strategy.scope(), networks.dtype_policy_scope(config.precision):
            if config.weights:
                self.model, self.preprocessing = networks.pretrained_classifier(config, self.classes)
            else:
                self.preprocessing = preprocessing_of(training, config.image_size)
                self.model = networks.build_classifier(config, self.preprocessing, self.classes)
            self._check_augmentation()
            self.training = training.prepared_for_training(self.preprocessing, self.recipe)
            self.validation = validation.prepared(self.preprocessing)
            self.steps = len(self.training) // self.recipe.batch_size
            self.schedule = learning_rate_schedule(self.recipe, self.steps * self.recipe.epochs)
            self._make_loop()

    def data(self):
        """What tells this data from other data: the images to train on, those to choose by, and a hash of all their labels."""
        labels = [self.training.labels, self.validation.labels]
        return [*map(len, labels), hashlib.sha256(b"".join(part.astype("<i8").tobytes() for part in labels)).hexdigest()]

    def epoch(self, number, start=0):
        """The batches of an epoch from step `start` on."""
        size = (self.preprocessing.height, self.preprocessing.width)
        fill = tuple(round(255 * mean) for mean in self.preprocessing.mean)
        return TrainBatches(self.training, self.recipe, self.classes, size, fill, self.config.seed, number, start)

    def _make_loop(self):
        recipe, model = self.recipe, self.model
        networks.freeze(model, recipe)
        if self.config.sync_batch_norm:
            networks.synchronize_norms(model)
        lr_multipliers = None if recipe.layer_decay == 1 else networks.lr_multipliers(model, recipe.layer_decay)
        average = ExponentialMovingAverage(model.weights, recipe.ema_momentum) if recipe.ema_momentum else None
        self.update = WeightUpdate(
            make_optimizer(recipe, self.schedule), model.trainable_variables, recipe, lr_multipliers, average
        )
        self.step = TrainStep(
            keras.Model(model.input, model.get_layer(LOGITS_LAYER).output),
            self.update,
            recipe,
            seed=self.config.seed,
            class_weights=class_weights(self.training.labels, self.classes) if recipe.class_weights == "balanced" else None,
            jit_compile=self.config.jit_compile,
            loss_scale=LossScale() if self.config.precision == "mixed_float16" else None,
        )
        self.loop = TrainLoop(self.strategy, self.step, self.config.steps_per_execution)

    def _check_batch_size(self, available):
        recipe, replicas = self.recipe, self.strategy.num_replicas_in_sync
        if recipe.batch_size > available:
            raise UserError(f"batch_size is {recipe.batch_size}, but there are only {available} images to train on")
        if recipe.batch_size % (replicas * recipe.gradient_accumulation_steps):
            pieces = f"{replicas} replicas" + (
                f" times {recipe.gradient_accumulation_steps} pieces" if recipe.gradient_accumulation_steps > 1 else ""
            )
            raise UserError(f"batch_size is {recipe.batch_size}, of all replicas together; it must divide by {pieces}")

    def _check_augmentation(self):
        side = min(self.preprocessing.height, self.preprocessing.width)
        for field in ("crop_padding", "cutout"):
            if getattr(self.recipe, field) > side:
                raise UserError(f"{field} is {getattr(self.recipe, field)}; it is at most the {side} pixels of the images")


def preprocessing_of(source, image_size):
    """For a network that begins from nothing: the images' own size, mean and deviation; of pictures, those of ImageNet."""
    if isinstance(source, ArraySplit):
        found = Preprocessing.from_images(source.images)
        return dataclasses.replace(found, height=image_size, width=image_size) if image_size else found
    usual, side = preprocessing_for(PICTURES), image_size or SIZE
    if source.shape[2] == 1:
        usual = dataclasses.replace(usual, channels=1, mean=usual.mean[1:2], std=usual.std[1:2])
    return dataclasses.replace(usual, height=side, width=side)
