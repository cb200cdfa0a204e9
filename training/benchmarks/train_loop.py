"""Training as `keras-resnet train` does it: this package's network, loop and input pipeline."""

import math

import tensorflow as tf

from keras_resnet.errors import UserError

from .. import recipes
from ..data.batches import TrainBatches
from ..data.splits import ArraySplit
from ..distribute.strategies import make_strategy
from ..loop import TrainLoop
from ..network.classifier import condensed_model, dtype_policy_scope
from ..network.trainable import LOOPED_FROM, TrainableNetwork
from ..optim.loss_scale import LossScale
from ..optim.optimizers import make_optimizer
from ..optim.update import WeightUpdate
from ..step import TrainStep
from .candidates import WorkloadInfo
from .config import LEARNING_RATE, MOMENTUM, BenchmarkConfig
from .keras_fit import versions
from .synthetic import synthetic_data


class Ours:
    stack_units, rematerialize = "auto", False

    def __init__(self, config: BenchmarkConfig) -> None:
        self.config, self.strategy = config, make_strategy("one_device")
        self.recipe = recipes.get_recipe(
            "he2015_cifar", batch_size=config.batch_size, momentum=MOMENTUM, weight_decay=0.0, crop_padding=0, flip=False
        )

    def load_data(self, steps: int) -> None:
        data = synthetic_data(self.config, steps)
        self.split, self.epochs, self.steps = ArraySplit(data.images, data.labels), data.epochs, data.steps

    def build(self) -> None:
        with self.strategy.scope(), dtype_policy_scope(self.config.precision):
            model, runs = condensed_model(self.config, self.config.family.classes, input_shape=self.config.input_shape)
            looped_from = LOOPED_FROM[self.stack_units]
            network = TrainableNetwork(model, runs, looped_from=looped_from, rematerialize=self.rematerialize)
            update = WeightUpdate(make_optimizer(self.recipe, LEARNING_RATE), network.trainable_variables, self.recipe)
            loss_scale = LossScale() if self.config.precision == "mixed_float16" else None
            step = TrainStep(network, update, self.recipe, jit_compile=self.config.jit_compile, loss_scale=loss_scale)
            self.loop = TrainLoop(self.strategy, step)

    def run(self) -> None:
        classes, size = self.config.family.classes, (self.config.side, self.config.side)
        for epoch in range(self.epochs):
            left = self.epochs - epoch
            batches = TrainBatches(self.split, self.recipe, classes, size, (0, 0, 0), 0, epoch, epochs=left)
            for output in self.loop.train(batches):
                assert math.isfinite(output.sums.loss)

    def info(self) -> WorkloadInfo:
        return {"macs": self.loop.step.network.macs, "versions": versions()}


class Stacked(Ours):
    stack_units = "on"


class Unstacked(Ours):
    stack_units = "off"


class Rematerialized(Ours):
    rematerialize = True


class Mirrored(Ours):
    """Trains on all GPUs, or without any on two halves of the CPU."""

    def __init__(self, config: BenchmarkConfig) -> None:
        if not tf.config.list_physical_devices("GPU"):
            (cpu,) = tf.config.list_physical_devices("CPU")
            tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
        super().__init__(config)
        self.strategy = make_strategy("mirrored")
        replicas = self.strategy.num_replicas_in_sync
        if replicas == 1:
            raise UserError("there is only one GPU, so there is nothing to mirror")
        if config.batch_size % replicas:
            raise UserError(f"batch_size is {config.batch_size}; it must be divisible by {replicas} replicas")
