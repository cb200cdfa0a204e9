"""All that a run needs before its first step: strategy, data, network and loop, put together from the configuration."""

import dataclasses
import hashlib
import json
from typing import NamedTuple

import keras
import numpy as np
import tensorflow as tf

from keras_resnet.errors import UserError
from keras_resnet.metadata import Origin
from keras_resnet.models import variants
from keras_resnet.models.builder import check_variant
from keras_resnet.preprocessing import Preprocessing
from keras_resnet.weights.loading import preprocessing_for

from .config import TrainConfig
from .data.batches import TrainBatches
from .data.class_weights import class_weights
from .data.containers.listing import Listing
from .data.containers.table import CONTAINERS
from .data.dataset import Dataset, open_container
from .data.splits import ArraySplit, Split
from .distribute.strategies import is_chief, make_strategy
from .loop import TrainLoop
from .network.classifier import (
    build_classifier,
    check_kept_head,
    condensed_classifier,
    dtype_policy_scope,
)
from .network.parts import freeze, lr_multipliers, synchronize_norms
from .network.preflight import check_accumulation, check_augmentation
from .network.pretrained import Pretrained, load_before_data, load_pretrained
from .network.trainable import LOOPED_FROM, TrainableNetwork
from .optim.ema import ExponentialMovingAverage
from .optim.loss_scale import LossScale
from .optim.optimizers import make_optimizer
from .optim.schedules import learning_rate_schedule
from .optim.update import WeightUpdate
from .recipes import Recipe
from .step import TrainStep

IMAGE_PREPROCESSING = "torchvision_v1"  # of images of various sizes, for a network that starts from random weights
IMAGE_SIZE = 224


class TrainingData(NamedTuple):
    """A data set and the two of its splits that training uses."""

    dataset: Dataset
    train: Split
    validation: Split


class Network(NamedTuple):
    """A network that reads raw pixels, the preprocessing inside of it, and whose weights it began with."""

    trainable: TrainableNetwork
    preprocessing: Preprocessing
    origin: Origin | None = None


@dataclasses.dataclass(frozen=True, eq=False)
class TrainingContext:
    """What a configuration describes, ready to train: see `create_context`.

    train_split, validation_split: prepared for the network. schedule: the learning rate by step. origin: whose
    weights the network began with.
    """

    config: TrainConfig
    strategy: tf.distribute.Strategy
    dataset: Dataset
    train_split: Split
    validation_split: ArraySplit
    network: TrainableNetwork
    preprocessing: Preprocessing
    schedule: keras.optimizers.schedules.LearningRateSchedule
    loop: TrainLoop
    origin: Origin | None = None

    @property
    def recipe(self) -> Recipe:
        return self.config.recipe

    @property
    def chief(self) -> bool:
        """Whether this worker writes what is written once."""
        return is_chief(self.strategy)

    @property
    def classes(self) -> int:
        return len(self.dataset.class_names)

    @property
    def steps_per_epoch(self) -> int:
        return steps_per_epoch(self.train_split, self.recipe)

    def classifier(self) -> keras.Model:
        """Builds the whole network, with the weights that it has now, from raw pixels to probabilities."""
        model = build_classifier(self.config, self.preprocessing, self.classes)
        self.network.copy_to(model)
        return model

    def data_fingerprint(self) -> list[int | str]:
        """Tells this data from other data: the numbers of images to train on and to validate on, a hash of their labels, and
        one of the classes' names."""
        labels = [split.labels.astype("<i8") for split in (self.train_split, self.validation_split)]
        names = json.dumps(self.dataset.class_names).encode()
        return [
            *map(len, labels),
            *(hashlib.sha256(data).hexdigest() for data in (b"".join(x.tobytes() for x in labels), names)),
        ]

    def train_batches(self, epoch: int, start: int = 0) -> TrainBatches:
        """The batches of an epoch, from 0, from step `start` on, and of those that follow it."""
        size = (self.preprocessing.height, self.preprocessing.width)
        fill = tuple(round(255 * mean) for mean in self.preprocessing.mean)
        left = max(self.recipe.epochs - epoch, 1)
        return TrainBatches(self.train_split, self.recipe, self.classes, size, fill, self.config.seed, epoch, start, left)


def create_context(config: TrainConfig, connected: tf.distribute.Strategy | None = None) -> TrainingContext:
    """Puts together what `config` describes; writes nothing yet.

    Each phase takes what an earlier one returned: they work in this order only, and what can be wrong without the data comes
    before they are opened. connected: what `connect` returned, if that has been called already.

    Raises:
        UserError: where parts of the configuration do not go together.
    """
    strategy = connected or connect(config)
    check_without_data(config, strategy)
    listing = open_container(config.dataset, config.data_dir) if config.dataset in CONTAINERS else None
    with strategy.scope(), dtype_policy_scope(config.precision):
        pretrained = load_before_data(config, listing)
    data = open_data(config, listing)
    with strategy.scope(), dtype_policy_scope(config.precision):
        network = build_network(config, data, strategy, pretrained)
        train, validation = prepare_images(config, data, network.preprocessing)
        schedule = learning_rate_schedule(config.recipe, steps_per_epoch(train, config.recipe) * config.recipe.epochs)
        loop = build_loop(config, strategy, network.trainable, schedule, train.labels)
    trainable, preprocessing, origin = network
    return TrainingContext(config, strategy, data.dataset, train, validation, trainable, preprocessing, schedule, loop, origin)


def connect(config: TrainConfig) -> tf.distribute.Strategy:
    """Makes the strategy: workers must be connected before TensorFlow runs anything else."""
    strategy = make_strategy(config.strategy)
    if config.deterministic:
        tf.config.experimental.enable_op_determinism()
    return strategy


def check_without_data(config: TrainConfig, strategy: tf.distribute.Strategy) -> None:
    """Raises a `UserError` for a network that cannot be built, and for batches that the replicas cannot divide."""
    check_variant(variants.with_overrides(variants.get_variant(config.model), **config.variations), config.options)
    check_accumulation(config.recipe, strategy.num_replicas_in_sync)
    looped_from(config, strategy)


def open_data(config: TrainConfig, listing: Listing | None) -> TrainingData:
    """Opens the data set, fetches it if need be, and checks that the batches can be made of it. listing: of a container."""
    folders = {"data_dir": config.data_dir, "manual_dir": config.manual_dir}
    dataset = Dataset(config.dataset, **folders, on_bad_image=config.on_bad_image, listing=listing)
    check_kept_head(config, dataset.class_names)
    train, validation = dataset.train_and_validation(config.validation_fraction, config.seed)
    check_batch_size(config.recipe, len(train))
    return TrainingData(dataset, train, validation)


def build_network(
    config: TrainConfig, data: TrainingData, strategy: tf.distribute.Strategy, pretrained: Pretrained | None = None
) -> Network:
    """Builds the network, from random or given weights, and freezes parts of it as the recipe says.

    pretrained: what `load_before_data` returned.
    """
    classes = len(data.dataset.class_names)
    if config.weights:
        pretrained = pretrained or load_pretrained(config, classes)
        preprocessing = pretrained.preprocessing
    else:
        preprocessing = preprocessing_from_data(data.train, config.image_size)
        check_augmentation(config.recipe, min(preprocessing.shape[:2]))
    keras.utils.set_random_seed(config.seed)  # not earlier: fetching data draws random numbers too
    model, runs = condensed_classifier(config, preprocessing, classes)
    freeze(model, config.recipe)
    if config.sync_batch_norm:
        synchronize_norms(model)
    network = TrainableNetwork(model, runs, looped_from=looped_from(config, strategy), rematerialize=config.rematerialize)
    if pretrained:
        network.copy_from(pretrained.model)
    return Network(network, preprocessing, pretrained.origin if pretrained else None)


def looped_from(config: TrainConfig, strategy: tf.distribute.Strategy) -> int | None:
    """The least number of alike units that run as a loop; None for none."""
    collective = config.sync_batch_norm and strategy.num_replicas_in_sync > 1
    if config.stack_units == "on" and collective:
        raise UserError(
            "stack_units is 'on', but the statistics of sync_batch_norm cannot be summed over replicas inside a loop of units: "
            "it must be 'auto' or 'off'"
        )
    return None if collective else LOOPED_FROM[config.stack_units]


def prepare_images(config: TrainConfig, data: TrainingData, preprocessing: Preprocessing) -> tuple[Split, ArraySplit]:
    """Resizes and crops the images for the network, but for those that training crops at random while it decodes them."""
    return data.train.prepared_for_training(preprocessing, config.recipe), data.validation.prepared(preprocessing)


def build_loop(
    config: TrainConfig,
    strategy: tf.distribute.Strategy,
    network: TrainableNetwork,
    schedule: keras.optimizers.schedules.LearningRateSchedule,
    labels: np.ndarray,
) -> TrainLoop:
    """Puts optimizer, step and loop around the network.

    labels: (N,), of the images to train on; for class weights.
    """
    recipe, classes = config.recipe, network.model.output_shape[-1]
    update = WeightUpdate(
        make_optimizer(recipe, schedule),
        network.trainable_variables,
        recipe,
        lr_multipliers=None if recipe.layer_decay == 1 else lr_multipliers(network, recipe.layer_decay),
        ema=ExponentialMovingAverage(network.variables, recipe.ema_momentum) if recipe.ema_momentum else None,
    )
    step = TrainStep(
        network,
        update,
        recipe,
        seed=config.seed,
        class_weights=class_weights(labels, classes) if recipe.class_weights == "balanced" else None,
        jit_compile=config.jit_compile,
        loss_scale=LossScale() if config.precision == "mixed_float16" else None,
    )
    return TrainLoop(strategy, step, config.steps_per_execution)


def steps_per_epoch(train: Split, recipe: Recipe) -> int:
    """Of whole batches; the rest of the images is left out of the epoch."""
    return len(train) // recipe.batch_size


def preprocessing_from_data(split: Split, image_size: int | None) -> Preprocessing:
    """For a network that starts from random weights: the images' own size, mean and deviation; ImageNet's for encoded ones."""
    if split.sample is not None:
        own = Preprocessing.from_images(split.sample)
        return dataclasses.replace(own, height=image_size, width=image_size) if image_size else own
    usual, side = preprocessing_for(IMAGE_PREPROCESSING), image_size or IMAGE_SIZE
    if split.shape[2] == 1:
        usual = dataclasses.replace(usual, channels=1, mean=usual.mean[1:2], std=usual.std[1:2])
    return dataclasses.replace(usual, height=side, width=side)


def check_batch_size(recipe: Recipe, available: int) -> None:
    if recipe.batch_size > available:
        raise UserError(
            f"batch_size is {recipe.batch_size}, but there are only {available} images to train on: it must be at most that"
        )
