"""The input pipeline alone, from JPEG files: random resized crops, half of them mirrored (Szegedy et al. 2014)."""

import numpy as np
import tensorflow as tf

from .. import recipes
from ..data.batches import InputShard, TrainBatches
from ..data.containers.records import FileRecords
from ..data.decoding.bad_images import BadImages
from ..data.decoding.random_crops import decode_and_crop
from ..data.splits import EncodedSplit
from ..recipes import JPEG_DECODINGS
from .candidates import WorkloadInfo
from .config import BenchmarkConfig
from .jpeg_files import JpegFiles, seconds_after_first

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
    decoding = "exact"

    def dataset(self) -> tf.data.Dataset:
        recipe = recipes.get_recipe("he2016_imagenet", batch_size=self.config.batch_size, jpeg_decoding=self.decoding)
        records = FileRecords.of(self.files.root, self.files.paths).take(self.rows)
        split = EncodedSplit(records, self.labels, 3, BadImages("fail"))
        return TrainBatches(split, recipe, self.classes, self.size, (125, 123, 114), 0, 0).dataset(InputShard())


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
        min_area, how = self.recipe.min_crop_area, JPEG_DECODINGS[decoding]
        crops = [
            decode_and_crop(tf.constant(content), tf.constant(draw), self.size, 3, min_area, how)
            for content, draw in zip(contents, draws, strict=True)
        ]
        return np.stack(crops).astype(int)


class NoAntialias(Ours):
    decoding = "no_antialias"


class FastDct(Ours):
    decoding = "fast_dct"


class Fast(Ours):
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
