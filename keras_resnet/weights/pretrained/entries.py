"""What is known about trained weights, as a record with a model card, and their file, whose SHA-256 is compared."""

import dataclasses
from pathlib import Path
from typing import Any

from keras_resnet.errors import UserError, comma_join, first_line
from keras_resnet.files import sha256_of
from keras_resnet.metadata import ClassifierMetadata
from keras_resnet.preprocessing import Preprocessing

from ..structure import Structure
from .data_sources import DATA_SOURCES, DataSource

FOLDER = Path(__file__).parent
ADVICE = "install keras-resnet-zoo again"  # where a file of the package is damaged


@dataclasses.dataclass(frozen=True, repr=False)
class PretrainedWeights:
    """Trained weights that come with the package: a row of `list_pretrained()`.

    Attributes:
        model: the network, such as "ResNet20V2".
        name: of the weights, such as "digits": what `weights=` takes.
        structure: of the network, by which `load_weights` finds out whether they fit.
        dataset: that they were trained and tested on, as `--dataset` takes it.
        class_names: in the order of the outputs.
        preprocessing: how images are prepared.
        correct, images: how many of the test images the network of the file classifies correctly, and how many there are.
        correct_in_float32: how many it did before its kernels were rounded to float16.
        command: the command line that trained them.
        recipe_name, recipe: all settings of the training.
        seed: of the training.
        seconds: of training.
        date: on which the training ended, such as "2026-01-31".
        versions: of the libraries that measured `correct`.
        bytes: size of the file.
        sha256: of the file.
        license: of the weights.
    """

    model: str
    name: str
    structure: Structure
    dataset: str
    class_names: tuple[str, ...]
    preprocessing: Preprocessing
    correct: int
    images: int
    correct_in_float32: int
    command: str
    recipe_name: str
    recipe: dict[str, Any] = dataclasses.field(hash=False)
    seed: int
    seconds: float
    date: str
    versions: dict[str, str] = dataclasses.field(hash=False)
    bytes: int
    sha256: str
    license: str

    def __repr__(self) -> str:
        size, classes = self.preprocessing.summary(), len(self.class_names)
        measured = f"{self.accuracy:.2%} of {self.images:,} test images"
        return f"<{self.full_name}: {size}, {classes} classes, {measured}, {self.bytes:,} bytes>"

    @property
    def full_name(self) -> str:
        """What `--model_path` takes: "ResNet20V2/digits"."""
        return f"{self.model}/{self.name}"

    @property
    def accuracy(self) -> float:
        """On the test split, 0 to 1."""
        return self.correct / self.images

    @property
    def evaluation(self) -> str:
        """The command line that measures them again."""
        data = f" --dataset={self.dataset} --data_dir={self.name}" if self.dataset == "folder" else ""
        return f"keras-resnet evaluate --model_path={self.full_name}{data}"

    @property
    def source(self) -> DataSource:
        """Where the data set is from, and its license."""
        return DATA_SOURCES[self.name]

    @property
    def path(self) -> Path:
        """The file of the weights, a safetensors file."""
        return FOLDER / file_name(self.model, self.name)

    @property
    def metadata(self) -> ClassifierMetadata:
        """The labels and the preprocessing, as a `.keras` file of the classifier has them."""
        return ClassifierMetadata(self.model, self.dataset, self.class_names, self.preprocessing)

    @property
    def card(self) -> str:
        """The model card, in Markdown."""
        source, shape = self.source, self.preprocessing.shape
        settings = [
            f"{key} {value}" for key, value in self.recipe.items() if key != "reference" and value not in (0, "none", [], ())
        ]
        versions = ", ".join(f"{library} {version}" for library, version in self.versions.items())
        paragraphs = [
            f"**{self.accuracy:.2%}** of the {self.images:,} test images, {self.correct:,}, are classified correctly; with the "
            f"float32 weights of the training they are {self.correct_in_float32:,}.",
            f"Images: {'x'.join(map(str, shape))}. Classes: {comma_join(self.class_names)}.",
            f"Data: {source}",
            source.caution,
            f"Training: recipe {self.recipe_name}, seed {self.seed}, {self.seconds / 60:.1f} minutes, ended on {self.date}:",
            f"<!-- not run: a training -->\n```sh\n{self.command}\n{self.evaluation}  # these weights\n```",
            f"All settings that are not 0 or off: {', '.join(settings)}.",
            f"File: `{self.path.name}`, {self.bytes:,} bytes, SHA-256 `{self.sha256}`; kernels in float16, all else in "
            f"float32. License of the weights: {self.license}, as this package. Measured with {versions}.",
        ]
        return "\n\n".join([f"### {self.full_name}", *filter(None, paragraphs)]) + "\n"

    def checked_path(self) -> Path:
        """The file, or a `UserError` if it is not the one that was measured."""
        try:
            found = sha256_of(self.path)
        except OSError as error:
            reason = error.strerror or first_line(error)
            raise UserError(
                f"{self.path}, the file of the weights {self.full_name}, cannot be read: {reason}; {ADVICE}"
            ) from error
        if found != self.sha256:
            raise UserError(
                f"{self.path}, the file of the weights {self.full_name}, is damaged: its SHA-256 is {found[:12]}..., "
                f"not {self.sha256[:12]}...; {ADVICE}"
            )
        return self.path


def file_name(model: str, name: str) -> str:
    """The name of the file of such weights."""
    return f"{model}-{name}.safetensors"
