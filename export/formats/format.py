"""What the package knows of a file format: how to open, inspect, convert and quantize it.

Importing a format's row imports none of its libraries: `predict` on an `.onnx` or `.tflite` file runs without TensorFlow, and
verification without Keras. Each method imports what it needs.
"""

from __future__ import annotations

import abc
import dataclasses
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

import numpy as np

from keras_resnet.errors import UserError, comma_join

if TYPE_CHECKING:
    from keras_resnet.metadata import ClassifierMetadata

    from .context import ConversionContext, ExportOptions
    from .inspection import Inspection

INPUT = "pixels"  # the name of every artifact's input
INPUT_DTYPES = ("uint8", "float32")  # of its pixels, 0 to 255 in either
SCORES = ("probabilities", "logits")  # outputs (N, classes), of which the largest is the prediction
FEATURES, GRADCAM = "features", "gradcam"
OUTPUTS = (*SCORES, FEATURES, GRADCAM)  # what an artifact may compute, see `outputs.select_outputs`; the names of its outputs
BATCH_SIZE = 64
CALIBRATIONS = ("minmax", "percentile", "entropy", "mse")  # how the ranges of what becomes integers are chosen

Outputs = Mapping[str, np.ndarray]  # {output: float32 (N, ...)}

T = TypeVar("T")
Content = TypeVar("Content")
Content_co = TypeVar("Content_co", covariant=True)


class Runner(Protocol):
    """A model that a runtime has loaded. outputs: the names of its outputs, some of `OUTPUTS`."""

    @property
    def outputs(self) -> Sequence[str]: ...

    def run(self, images: np.ndarray) -> dict[str, np.ndarray]:
        """Computes uint8 (N, H, W, C) -> {output: float32 (N, ...)}, for one batch."""
        ...


class Quantizer(Protocol[Content_co]):
    """A float model that is ready to be quantized, as often as there are choices of what stays float."""

    operators: list[str]

    def quantize(self, keep_float: Sequence[str] = ()) -> Content_co:
        """Returns the quantized model; `keep_float` names operators, or parts of their names, that stay float."""
        ...

    def signal_to_noise(self, images: np.ndarray, keep_float: Sequence[str] = ()) -> dict[str, float]:
        """Measures how much noise each operator adds by being quantized, against its output, in decibels.

        That is 10 log10(sum(x^2) / sum((x - y)^2)) over all images, of the operator's output x in the float model and its
        output y, dequantized, when the quantized operator is given what the float model gives it. Noise that comes from
        the operators before it does not count: it would make the last ones look worst, whichever is to blame.

        Args:
            images: uint8 (N, H, W, C).
            keep_float: As in `quantize`.

        Returns:
            By names of `operators`, in their order; `inf` where nothing changes; without those that stay float and those that
            are not in the quantized model any more, such as a ReLU inside of a convolution.
        """
        ...


MAX_OFFSET = 2**31 - 1  # that FlatBuffers and Protocol Buffers can address


class Images(Protocol):
    """uint8 (N, H, W, C): an array, or what reads one when it is sliced."""

    @property
    def shape(self) -> tuple[int, ...]: ...
    def __len__(self) -> int: ...
    def __getitem__(self, rows: slice, /) -> np.ndarray: ...


@dataclasses.dataclass(frozen=True)
class ExportTarget:
    """One artifact that can be exported: a format and a quantization.

    Attributes:
        format: The name of the format.
        quantization: "none", or how the numbers are stored and computed.
        file: The file's name.
        max_difference: To Keras' probabilities: what verification allows unless it is told otherwise. Quantized networks are
            judged by their accuracy instead.
        calibrated: Whether quantization needs images.
        pixel_dtype: Of the input of the float model that it is made from; None for that of the artifact.
        embeds: The name of the target whose file it has inside; "" for one that is made from the network itself.
    """

    format: str
    quantization: str
    file: str
    max_difference: float = math.inf
    calibrated: bool = False
    pixel_dtype: str | None = None
    embeds: str = ""

    @property
    def name(self) -> str:
        return self.format if self.quantization == "none" else f"{self.format}_{self.quantization}"

    @property
    def failed_file(self) -> str:
        """The name of an artifact that did not pass its verification."""
        stem, dot, suffix = self.file.partition(".")
        return f"{stem}_failed{dot}{suffix}"


class ReadableFormat(abc.ABC):
    """A kind of file that `load_predictor` opens.

    Attributes:
        name: As flags and tables have it.
        title: As people write it.
        suffix: Of its files, with the dot; "" for a format that is a folder.
        libraries: The distributions that make and run such files; reports state their versions.
        needs_keras: Whether `open` imports Keras; all other files run in processes without it.
    """

    name: str
    title: str
    suffix: str
    libraries: tuple[str, ...]
    needs_keras: bool = False

    def matches(self, path: Path) -> bool:
        """Tells by its name whether a file or folder that exists is of this format."""
        return path.suffix == self.suffix and not path.is_dir() if self.suffix else path.is_dir()

    def read_metadata(self, path: Path) -> ClassifierMetadata | None:
        """Reads what the file says about itself, by default in a zip archive; None if it was not written by this package."""
        from keras_resnet.metadata import ClassifierMetadata

        return ClassifierMetadata.read_from(path)

    @abc.abstractmethod
    def open(self, path: Path) -> Runner:
        """Loads the file into its runtime."""

    def variants(self, path: Path) -> Sequence[str]:
        """Names other ways in which the runtime computes the file on some machines; verification tries each."""
        return ()

    def open_variant(self, path: Path, variant: str) -> Runner:
        """Loads the file into its runtime as `open` does, for one of `variants`."""
        raise NotImplementedError(f"{self.title} has no variant {variant}")

    @abc.abstractmethod
    def inspect(self, path: Path, runner: Any) -> Inspection:
        """Counts the operators of a file that `open` has loaded into `runner`."""


class Format(ReadableFormat, Generic[Content]):
    """A format that can be exported to. `Content` is a model of it in memory.

    Attributes:
        targets: Its rows of the table of what can be exported.
        max_weights: Bytes of weights that a file of it can hold.
        calibrations: Those of `CALIBRATIONS` that its quantizer has.
    """

    targets: tuple[ExportTarget, ...]
    max_weights: float = math.inf
    calibrations: tuple[str, ...] = ()

    def check_options(self, options: ExportOptions, quantizations: Sequence[str]) -> None:
        """Raises a `UserError` for an option that the format does not know, or not with one of these quantizations."""
        calibrated = any(target.calibrated for target in self.targets if target.quantization in quantizations)
        if calibrated and options.calibration not in self.calibrations:
            has = comma_join(self.calibrations)
            raise UserError(f"there is no {options.calibration} calibration in {self.name}: {self.name} has {has}")

    def convert(self, context: ConversionContext, pixel_dtype: str) -> Content:
        """Converts the network to a float model that takes pixels of that dtype; needed for targets that embed no other."""
        raise NotImplementedError(f"{self.title} has another format's file inside")

    @abc.abstractmethod
    def write(self, content: Content, path: Path, context: ConversionContext) -> None:
        """Writes the artifact, its metadata included. Of a target that embeds another, `content` is that one's path."""

    def quantizer(
        self,
        content: Content,
        quantization: str,
        images: np.ndarray | None,
        calibration: str = CALIBRATIONS[0],
        input_dtype: str = INPUT_DTYPES[0],
    ) -> Quantizer[Content]:
        """Prepares a float model for quantization.

        Args:
            content: The model.
            quantization: Of one of `targets`.
            images: uint8 (N, H, W, C), which calibrate it where the target needs it.
            calibration: One of `calibrations`.
            input_dtype: Of the artifact's pixels, where that is not the model's: one of `INPUT_DTYPES`.
        """
        raise NotImplementedError(f"{self.title} has no quantization")

    def load(self, content: Content) -> Runner:
        """Loads a model that is still in memory; needed for formats with quantizations that are calibrated."""
        raise NotImplementedError(f"{self.title} runs from files")

    def run(self, content: Content, images: np.ndarray) -> dict[str, np.ndarray]:
        """Computes uint8 (N, H, W, C) -> {output: float32 (N, ...)} by a model that is still in memory."""
        return in_batches(self.load(content).run, images)


def only(values: Iterable[T], what: str) -> T:
    """The one input or output that a classifier has, or a `UserError` that says how many there are."""
    values = list(values)
    if len(values) != 1:
        raise UserError(f"it has {len(values)} {what}; a classifier has one")
    return values[0]


def evenly_spaced(total: int, most: int) -> np.ndarray:
    """Returns the indices of at most `most` of `total` things, evenly spread, ascending."""
    return np.linspace(0, total - 1, min(most, total)).astype(int)


def in_batches(run: Callable[[np.ndarray], dict[str, np.ndarray]], images: Images) -> dict[str, np.ndarray]:
    """Computes the outputs of all images, some at a time."""
    batches = [run(images[start : start + BATCH_SIZE]) for start in range(0, len(images), BATCH_SIZE)]
    return {name: np.concatenate([outputs[name] for outputs in batches]) for name in batches[0]}
