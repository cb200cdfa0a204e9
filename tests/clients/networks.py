"""The two networks that the clients are tried with: one on gray images and one on color images."""

import dataclasses
import json
from pathlib import Path

import keras
import numpy as np

import keras_resnet
from keras_resnet.export import pipeline
from keras_resnet.export.config import ExportConfig
from keras_resnet.export.runtime import load_predictor
from keras_resnet.export.source_model.loading import load_source_model
from keras_resnet.export.targets import TARGETS
from keras_resnet.export.verification.result import Tolerances
from keras_resnet.metadata import ClassifierMetadata
from keras_resnet.preprocessing import Preprocessing
from keras_resnet.saving import write_classifier
from keras_resnet.training.data.splits import ArraySplit

DIGITS = Path(keras_resnet.__file__).parent / "training" / "data" / "digits" / "digits.npz"
IMAGES, SIZE, EPOCHS = 40, 16, 6


@dataclasses.dataclass(frozen=True)
class Network:
    """An exported network, and images for it.

    Attributes:
        folder: Of the artifacts.
        images: uint8 (N, H, W, C).
    """

    folder: Path
    images: np.ndarray

    @property
    def artifacts(self):
        """As `verify_in_clients` takes them, by name."""
        names = [artifact["name"] for artifact in json.loads((self.folder / "report.json").read_text())["artifacts"]]
        targets = [TARGETS[name] for name in names]
        return {t.name: (t, self.folder / t.file, Tolerances({"probabilities": t.max_difference}, 1.0)) for t in targets}

    def references(self):
        """What each artifact gives in its own runtime, as `verify_in_clients` takes it, and the metadata that all carry."""
        found = {name: load_predictor(path) for name, (_, path, _) in self.artifacts.items()}
        outputs = {name: predictor.run(self.images) for name, predictor in found.items()}
        return outputs, next(iter(found.values())).metadata


def color_digits():
    """The digits at twice their size, in ink and on paper of random colors: training and test images with their labels."""
    with np.load(DIGITS) as archive:
        images, labels, test = archive["images"], archive["labels"].astype(int), archive["test"]
    generator = np.random.default_rng(0)
    ink, paper = (generator.integers(low, low + 96, (len(images), 1, 1, 3)) for low in (160, 0))
    share = (images / 16).repeat(2, axis=1).repeat(2, axis=2)[..., np.newaxis]
    pixels = (paper + share * (ink - paper)).astype(np.uint8)
    return (pixels[~test], labels[~test]), (pixels[test], labels[test])


def color_network(folder):
    """A ResNet-20 of He et al. 2015, whose option A shortcuts, ReLUs after additions and color gray digits' networks lack."""
    (images, labels), (test_images, test_labels) = color_digits()
    preprocessing = Preprocessing(SIZE, SIZE, 3, (0.4, 0.4, 0.4), (0.2, 0.3, 0.3))
    inputs = keras.Input((SIZE, SIZE, 3))
    model = keras_resnet.ResNet20V1(input_tensor=preprocessing.layer()(inputs), classes=10)
    model.compile(keras.optimizers.Adam(2e-3), "sparse_categorical_crossentropy")
    model.fit(images.astype("float32"), labels, batch_size=64, epochs=EPOCHS, verbose=0)
    write_classifier(
        model, folder / "model.keras", ClassifierMetadata("ResNet20V1", "digits", tuple("0123456789"), preprocessing)
    )
    config = ExportConfig(folder / "model.keras", folder / "export", max_accuracy_drop=5)
    report = pipeline.export(
        config, load_source_model(config.model_path), test_images, test_labels, ArraySplit(images[:128], labels[:128])
    )
    assert not report.failed, report.verdict()
    assert report.accuracy > 0.8, "the network has learned nothing"
    return Network(config.output_dir, test_images[:IMAGES])


def gray_network(exported):
    """The digits' network at their own size, as `keras-resnet train` and `export` made it."""
    with np.load(DIGITS) as archive:
        images = archive["images"][archive["test"]][:IMAGES, ..., np.newaxis]
    return Network(exported.folder, np.round(images * (255 / 16)).astype(np.uint8))
