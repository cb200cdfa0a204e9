"""Batches of a split: what comes when is a function of seed, epoch and step, and of nothing else."""

import dataclasses

import numpy as np
import tensorflow as tf

from .augmentation import CROP, DRAWS, WHICH, augment, mix
from .splits import BATCHES_AT_ONCE, ArraySplit, EncodedSplit

PREFETCHED = 4  # batches that wait for the network


@dataclasses.dataclass(frozen=True)
class InputShard:
    """Which part of every batch comes from here: that of input pipeline `index` of `pipelines`, in pieces for `replicas`."""

    index: int = 0
    pipelines: int = 1
    replicas: int = 1  # in all

    @classmethod
    def of(cls, context):
        """`context`: a tf.distribute.InputContext."""
        return cls(context.input_pipeline_id, context.num_input_pipelines, context.num_replicas_in_sync)

    def slice(self, rows):
        """This pipeline's columns of (steps, batch, ...), cut for its replicas: (steps * local, batch / replicas, ...)."""
        steps, batch = rows.shape[:2]
        local = self.replicas // self.pipelines
        per_replica = batch // self.replicas
        mine = rows[:, self.index * local * per_replica : (self.index + 1) * local * per_replica]
        return mine.reshape(steps * local, per_replica, *rows.shape[2:])


@dataclasses.dataclass(frozen=True)
class TrainBatches:
    """The training batches of one epoch from step `start` on.

    source: a `ArraySplit` or `EncodedSplit`. size: (height, width) of the images. fill: (C,), 0 to 255, the colour of the padding.
    """

    source: object
    recipe: object
    classes: int
    size: tuple
    fill: tuple
    seed: int
    epoch: int
    start: int = 0

    @property
    def steps(self):
        """Of the whole epoch; the last, partial batch is left out."""
        return len(self.source) // self.recipe.batch_size

    def dataset(self, share):
        """(images uint8 (B, H, W, C), targets float32 (B, classes)) for the replicas of one input pipeline."""
        rows = self.steps * self.recipe.batch_size
        rng = np.random.default_rng([self.seed, self.epoch])
        order = rng.permutation(len(self.source))[:rows]
        uniforms = rng.random((len(self.source), DRAWS), np.float32)[:rows]
        lam = mixing_lam(rng, uniforms, self.recipe)
        order, uniforms, lam = (
            share.slice(part.reshape(self.steps, self.recipe.batch_size, *part.shape[1:])[self.start :])
            for part in (order, uniforms, lam)
        )
        if isinstance(self.source, EncodedSplit):
            boxes = uniforms[..., CROP].reshape(-1, 4)
            images = self.source.training_images(order.ravel(), boxes, self.size, self.recipe.min_crop_area)
            images = images.batch(order.shape[1], drop_remainder=True)
        else:
            images = self.source.batches(order)
        labels = tf.data.Dataset.from_tensor_slices((self.source.labels[order], uniforms, lam))
        return prefetched(tf.data.Dataset.zip(images, labels).map(self._finish, num_parallel_calls=BATCHES_AT_ONCE))

    def _finish(self, images, rest):
        labels, uniforms, lam = rest
        targets = tf.one_hot(labels, self.classes)
        recipe = self.recipe if isinstance(self.source, ArraySplit) else dataclasses.replace(self.recipe, min_crop_area=0.0)
        images = augment(images, uniforms, recipe, self.fill)
        if self.recipe.mixup or self.recipe.cutmix:
            images, targets = mix(images, targets, lam, uniforms, self.recipe)
        return images, targets


def mixing_lam(rng, uniforms, recipe):
    """Of each image in what `mix` makes of it and another one: float32 (N,)."""
    alpha = np.where(uniforms[:, WHICH] < 0.5, recipe.mixup or recipe.cutmix, recipe.cutmix or recipe.mixup)
    return (rng.beta(alpha, alpha) if alpha.any() else np.ones(len(uniforms))).astype(np.float32)


@dataclasses.dataclass(frozen=True)
class EvalBatches:
    """Every example of a `ArraySplit` once, in batches; the last one is filled up with images of weight 0."""

    split: object
    batch_size: int

    start = 0

    @property
    def steps(self):
        return -(-len(self.split) // self.batch_size)

    def dataset(self, share):
        """(images uint8 (B, H, W, C), labels (B,), weights float32 (B,)) for the replicas of one input pipeline."""
        rows = np.arange(self.steps * self.batch_size)
        weights = (rows < len(self.split)).astype(np.float32)
        order = np.where(weights > 0, rows, 0)
        order, weights = (share.slice(part.reshape(self.steps, self.batch_size)) for part in (order, weights))
        rest = tf.data.Dataset.from_tensor_slices((self.split.labels[order], weights))
        images = self.split.batches(order)
        return prefetched(tf.data.Dataset.zip(images, rest).map(lambda images, rest: (images, *rest)))


def prefetched(batches):
    """Some of them made ready in time, by fixed numbers of threads: autotuning can hold up the end of an epoch.

    TensorFlow 2.21 then waits until it would have tuned again, which is after twice the time (at most a minute).
    """
    options = tf.data.Options()
    options.autotune.enabled = False
    return batches.prefetch(PREFETCHED).with_options(options)
