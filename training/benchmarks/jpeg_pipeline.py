"""The input pipeline alone, from JPEG files: random resized crops, half of them mirrored (Szegedy et al. 2014)."""

import numpy as np
import tensorflow as tf

from .. import recipes
from ..data.batches import InputShard, TrainBatches
from ..data.containers.records import FileRecords
from ..data.decoding.bad_images import BadImages
from ..data.decoding.random_crops import decode_and_crop, random_boxes
from ..data.splits import EncodedSplit
from ..recipes import JPEG_DECODINGS
from .candidates import WorkloadInfo
from .config import BenchmarkConfig
from .jpeg_files import HEIGHT, WIDTH, JpegFiles, seconds_after_first

KEPT = 2048  # images of an epoch that is in memory
COMPARED = 64  # crops, for the differences between ways to decode


class JpegPipeline:
    def __init__(self, config: BenchmarkConfig, folder: str) -> None:
        self.config, self.classes, self.size = config, config.family.classes, (config.side, config.side)
        self.files = JpegFiles.of(folder)
        self.recipe = recipes.get_recipe("he2016_imagenet", batch_size=config.batch_size)

    def load_data(self, steps: int) -> None:
        """Takes the files again and again, as many as the steps need, and those of the batch before them."""
        self.steps = steps
        self.rows = np.resize(np.arange(len(self.files.paths)), (steps + 1) * self.config.batch_size)
        self.labels = self.rows % self.classes

    def build(self) -> None:
        """Does nothing: a pipeline belongs to its data and is made when it runs."""

    def run(self) -> float:
        return seconds_after_first(self.dataset())

    def dataset(self) -> tf.data.Dataset:
        """Returns the batches (images (B, H, W, 3), targets float32 (B, classes))."""
        raise NotImplementedError

    def info(self) -> WorkloadInfo:
        return {"macs": None, "versions": {"TensorFlow": tf.__version__}}


class Ours(JpegPipeline):
    """Reads and decodes every image, as the first epoch does, and later ones of data that is too large to keep in memory."""

    decoding = "exact"

    def dataset(self) -> tf.data.Dataset:
        return self.epoch(self.split(self.rows), 0)

    def split(self, rows: np.ndarray) -> EncodedSplit:
        records = FileRecords.of(self.files.root, self.files.paths).take(rows)
        return EncodedSplit(records, rows % self.classes, 3, BadImages("fail"))

    def epoch(self, split: EncodedSplit, number: int, epochs: int = 1) -> tf.data.Dataset:
        recipe = recipes.get_recipe("he2016_imagenet", batch_size=self.config.batch_size, jpeg_decoding=self.decoding)
        batches = TrainBatches(split, recipe, self.classes, self.size, (125, 123, 114), 0, number, epochs=epochs)
        return batches.dataset(InputShard())


class Exact(Ours):
    """Says as well on what was measured, and what the other ways to decode cost."""

    def info(self) -> WorkloadInfo:
        return {**super().info(), "notes": [str(self.files), *self.differences()]}

    def differences(self) -> list[str]:
        """Returns how many grey levels the other ways to decode are away from the exact one."""
        crops = {name: self.crops(name) for name in JPEG_DECODINGS}
        exact = crops.pop(self.decoding)
        away = {name: np.abs(pixels - exact) for name, pixels in crops.items()}
        return [
            f"jpeg_decoding={name} is {levels.mean():.2f} grey levels away from exact pixels on average, {levels.max()} at most"
            for name, levels in away.items()
        ]

    def crops(self, decoding: str) -> np.ndarray:
        """int64 (COMPARED, H, W, 3)"""
        contents = [(self.files.root / path).read_bytes() for path in self.files.paths[:COMPARED]]
        draws = np.random.default_rng(0).random((len(contents), 4), np.float32)
        boxes = tf.unstack(random_boxes(tf.constant(draws), (HEIGHT, WIDTH), self.recipe.min_crop_area))
        crops = [
            decode_and_crop(tf.constant(content), box, tf.constant(WIDTH), self.size, 3, JPEG_DECODINGS[decoding])
            for content, box in zip(contents, boxes, strict=True)
        ]
        return np.stack(crops).astype(int)


class NoAntialias(Ours):
    decoding = "no_antialias"


class FastDct(Ours):
    decoding = "fast_dct"


class Fast(Ours):
    decoding = "fast"


class Kept(Ours):
    """Later epochs of images that are kept in memory since the first."""

    def build(self) -> None:
        """Goes through a first epoch."""
        self.images = self.split(np.resize(np.arange(len(self.files.paths)), max(KEPT, self.config.batch_size)))
        self.fits = bool(self.images.room)  # asked before the memory is taken
        for _ in self.epoch(self.images, 0, 2).take(self.per_epoch):
            pass

    @property
    def per_epoch(self) -> int:
        return len(self.images) // self.config.batch_size

    def dataset(self) -> tf.data.Dataset:
        return self.epoch(self.images, 1, 2 + self.steps // self.per_epoch).take(self.steps + 1)

    def info(self) -> WorkloadInfo:
        kept = f"{len(self.images):,} images are kept" if self.fits else "too little memory is free to keep images"
        return {**super().info(), "notes": [f"jpeg_decoding={self.decoding}, in memory: {kept}"]}


class FastKept(Kept):
    decoding = "fast"


class PerImage(JpegPipeline):
    """Decodes and augments image by image, as tutorials do."""

    def dataset(self) -> tf.data.Dataset:
        paths = np.array([str(self.files.root / path) for path in self.files.paths])[self.rows]
        images = tf.data.Dataset.from_tensor_slices((paths, self.labels)).shuffle(len(self.labels), seed=0)
        batches = images.map(self.augmented, num_parallel_calls=tf.data.AUTOTUNE)
        return batches.batch(self.config.batch_size, drop_remainder=True).prefetch(tf.data.AUTOTUNE)

    def augmented(self, path: tf.Tensor, label: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        content = tf.io.read_file(path)
        begin, size, _ = tf.image.sample_distorted_bounding_box(
            tf.image.extract_jpeg_shape(content),
            tf.zeros((1, 0, 4)),
            aspect_ratio_range=(3 / 4, 4 / 3),
            area_range=(self.recipe.min_crop_area, 1.0),
            max_attempts=10,
            use_image_if_no_bounding_boxes=True,
        )
        image = tf.image.decode_and_crop_jpeg(content, tf.concat([begin[:2], size[:2]], 0), channels=3)
        image = tf.image.resize(image, self.size)
        return tf.image.random_flip_left_right(image), tf.one_hot(label, self.classes)
