"""Batches of a split. What comes when is a function of seed, epoch and step, and of nothing else."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from ..recipes import Recipe
from .augmentation import augment, draw_augmentations
from .graph_functions import unconverted
from .parallel import BATCHES_AT_ONCE
from .splits import ArraySplit, Split

PREFETCHED = 4  # batches that wait for the network


@dataclasses.dataclass(frozen=True)
class InputShard:
    """Which shard of every batch an input pipeline provides: number `index` of `pipelines`, in pieces for its replicas.

    replicas: those of all pipelines together.
    """

    index: int = 0
    pipelines: int = 1
    replicas: int = 1

    @classmethod
    def of(cls, context: tf.distribute.InputContext) -> "InputShard":
        return cls(context.input_pipeline_id, context.num_input_pipelines, context.num_replicas_in_sync)

    def slice(self, rows: np.ndarray) -> np.ndarray:
        """Cuts this pipeline's columns of (steps, batch, ...) for its replicas: (steps * local, batch / replicas, ...)."""
        steps, batch = rows.shape[:2]
        local = self.replicas // self.pipelines
        per_replica = batch // self.replicas
        columns = rows[:, self.index * local * per_replica : (self.index + 1) * local * per_replica]
        return columns.reshape(steps * local, per_replica, *rows.shape[2:])


@dataclasses.dataclass(frozen=True)
class TrainBatches:
    """The training batches of an epoch from step `start` on, and those of the epochs that follow it.

    size: (height, width) of the images. fill: (C,), 0 to 255, the color of the padding. epochs: How many these are together.
    """

    split: Split
    recipe: Recipe
    classes: int
    size: tuple[int, int]
    fill: tuple[int, ...]
    seed: int
    epoch: int
    start: int = 0
    epochs: int = 1

    @property
    def steps(self) -> int:
        """The steps of a whole epoch; the last, partial batch is dropped."""
        return len(self.split) // self.recipe.batch_size

    def following(self) -> "TrainBatches | None":
        """Returns the batches after the first of the epochs; None if it is the last."""
        return dataclasses.replace(self, epoch=self.epoch + 1, start=0, epochs=self.epochs - 1) if self.epochs > 1 else None

    def dataset(self, shard: InputShard) -> tf.data.Dataset:
        """Returns (images uint8 (B, H, W, C), targets float32 (B, classes)) for the replicas of one input pipeline."""
        drawn = draw_augmentations(self.recipe, self.seed, self.epoch, count=1)
        done = [name for name in drawn if name in self.split.augmentations_done]
        to_do = [name for name in drawn if name not in done]
        again = self.epochs > 1 and shard.pipelines == 1  # several share each epoch, and have seen all images after many
        images = self.split.training_batches(self._examples(shard, done), self.size, self.recipe, again)
        with tf.device("CPU:0"):
            labels = tf.constant(self.split.labels)

        def augmented(images: tuple[tf.Tensor, tf.Tensor], draws: dict[str, tf.Tensor]) -> tuple[tf.Tensor, tf.Tensor]:
            pixels, rows = images
            targets = tf.one_hot(tf.gather(labels, rows), self.classes)
            return augment(pixels, targets, draws, self.recipe, self.fill, done)

        if not to_do:
            return prefetched(
                images.map(lambda pixels, rows: augmented((pixels, rows), {}), num_parallel_calls=BATCHES_AT_ONCE)
            )
        draws = self._examples(shard, to_do).map(unconverted(lambda rows, draws: draws))
        return prefetched(tf.data.Dataset.zip(images, draws).map(augmented, num_parallel_calls=BATCHES_AT_ONCE))

    def _examples(self, shard: InputShard, names: Sequence[str]) -> tf.data.Dataset:
        """Returns, for each batch, (which examples these are, int64 (B,), and the random numbers (B, k) of augmentations).

        They are drawn at the start of each epoch. So one pipeline does for all: to start another takes a good half second.
        """
        columns = {name: drawn.shape[1] for name, drawn in draw_augmentations(self.recipe, 0, 0, count=1).items()}
        count = self.recipe.batch_size // shard.replicas

        def draw(epoch: int) -> list[np.ndarray]:
            order = np.random.default_rng([self.seed, epoch]).permutation(len(self.split)).astype(np.int64, copy=False)
            draws = draw_augmentations(self.recipe, self.seed, epoch, len(self.split), names)
            start = self.start if epoch == self.epoch else 0
            return [self._sharded(rows, shard, start) for rows in (order, *(draws[name] for name in names))]

        @unconverted
        def epoch_examples(epoch: tf.Tensor) -> tf.data.Dataset:
            rows, *drawn = tf.numpy_function(draw, [epoch], [tf.int64, *[tf.float32] * len(names)], stateful=False)
            draws = {
                name: tf.ensure_shape(values, (None, count, columns[name])) for name, values in zip(names, drawn, strict=True)
            }
            slices: Any = (tf.ensure_shape(rows, (None, count)), draws)
            return tf.data.Dataset.from_tensor_slices(slices)

        return tf.data.Dataset.range(self.epoch, self.epoch + self.epochs).flat_map(epoch_examples)

    def _sharded(self, rows: np.ndarray, shard: InputShard, start: int) -> np.ndarray:
        batches = rows[: self.steps * self.recipe.batch_size].reshape(self.steps, self.recipe.batch_size, *rows.shape[1:])
        return shard.slice(batches[start:])


@dataclasses.dataclass(frozen=True)
class EvalBatches:
    """Every example of a split once, in batches; the last one is padded with images of weight 0.

    An image that cannot be read has a weight of 0 too, and other pixels.
    """

    split: ArraySplit
    batch_size: int

    start = 0

    @property
    def steps(self) -> int:
        return -(-len(self.split) // self.batch_size)

    def dataset(self, shard: InputShard) -> tf.data.Dataset:
        """Returns (images uint8 (B, H, W, C), labels (B,), weights float32 (B,)) for the replicas of one input pipeline."""
        rows = np.arange(self.steps * self.batch_size)
        weights = (rows < len(self.split)).astype(np.float32)
        order = np.where(weights > 0, rows, 0)
        order, weights = (shard.slice(values.reshape(self.steps, self.batch_size)) for values in (order, weights))
        rest = tf.data.Dataset.from_tensor_slices((order, self.split.labels[order], weights))

        def weighted(
            images: tuple[tf.Tensor, tf.Tensor], rest: tuple[tf.Tensor, tf.Tensor, tf.Tensor]
        ) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
            (pixels, rows), (wanted, labels, weights) = images, rest
            return pixels, labels, weights * tf.cast(rows == wanted, weights.dtype)

        return prefetched(tf.data.Dataset.zip(self.split.batches(order), rest).map(weighted))


def prefetched(batches: tf.data.Dataset) -> tf.data.Dataset:
    """Prepares some batches ahead of time, with fixed numbers of threads: autotuning can delay the end of an epoch.

    TensorFlow 2.21 then waits until its next tuning, which is after twice the time (at most a minute). Its optimizations would
    only delay the start.
    """
    options = tf.data.Options()
    options.autotune.enabled = False
    options.experimental_optimization.apply_default_optimizations = False
    return batches.prefetch(PREFETCHED).with_options(options)
