"""Our training as `keras-resnet train` does it: the zoo's network in the loop, on the real input pipeline."""

import math

import keras
import tensorflow as tf

from keras_resnet.benchmarks.description import describe
from keras_resnet.errors import UserError
from keras_resnet.models.graph import macs

from .. import recipes
from ..data.batches import TrainBatches
from ..data.splits import ArraySplit
from ..distribute.strategies import make_strategy
from ..loop import TrainLoop
from ..model import build_model
from ..optim.optimizers import make_optimizer
from ..optim.update import WeightUpdate
from ..step import TrainStep
from .config import LEARNING_RATE, MOMENTUM
from .synthetic import synthetic


class Ours:
    def __init__(self, config):
        self.config, self.strategy = config, make_strategy("one_device")
        self.recipe = recipes.get_recipe(
            "he2015_cifar", batch_size=config.batch_size, momentum=MOMENTUM, weight_decay=0.0, crop_padding=0, flip=False
        )

    def load(self, steps):
        images, labels, self.epochs = synthetic(self.config, steps)
        self.split = ArraySplit(images, labels)
        self.steps = self.epochs * len(labels) // self.config.batch_size

    def build(self):
        config = self.config
        with self.strategy.scope():
            shape = (config.side, config.side, 3)
            self.model = build_model(config, config.family.classes, input_shape=shape, classifier_activation=None)
            update = WeightUpdate(make_optimizer(self.recipe, LEARNING_RATE), self.model.trainable_variables, self.recipe)
            self.loop = TrainLoop(self.strategy, TrainStep(self.model, update, self.recipe))

    def run(self):
        classes, size = self.config.family.classes, (self.config.side, self.config.side)
        for number in range(self.epochs):
            for call in self.loop.train(TrainBatches(self.split, self.recipe, classes, size, (0, 0, 0), 0, number)):
                assert math.isfinite(call.sums.loss)

    def facts(self):
        versions = {"TensorFlow": tf.__version__, "Keras": keras.__version__}
        return {"macs": macs(self.model), "versions": versions}

    def graph(self):
        return describe(self.model)


class Mirrored(Ours):
    """On all GPUs, or without any on two halves of the CPU."""

    def __init__(self, config):
        if not tf.config.list_physical_devices("GPU"):
            (cpu,) = tf.config.list_physical_devices("CPU")
            tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
        super().__init__(config)
        self.strategy = make_strategy("mirrored")
        replicas = self.strategy.num_replicas_in_sync
        if replicas == 1:
            raise UserError("there is one GPU only, and so nothing to mirror")
        if config.batch_size % replicas:
            raise UserError(f"batch_size is {config.batch_size}; it must divide by {replicas} replicas")
