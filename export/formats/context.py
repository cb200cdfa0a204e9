"""What an export hands to each format: the network, what its artifacts say about themselves, and the user's choices."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

if TYPE_CHECKING:
    import keras

    from keras_resnet.metadata import ClassifierMetadata


class ExportOptions(Protocol):
    """The fields of `export.config.ExportConfig` that formats read."""

    @property
    def input_dtype(self) -> str: ...
    @property
    def output(self) -> tuple[str, ...]: ...
    @property
    def calibration(self) -> str: ...
    @property
    def onnx_layout(self) -> str: ...
    @property
    def opset(self) -> int: ...
    @property
    def description(self) -> str: ...
    @property
    def license(self) -> str: ...
    @property
    def web_runtime(self) -> str | None: ...
    @property
    def web_single_file(self) -> bool: ...


class ServingFunctions(Protocol):
    """`tf.function`s from pixels (N, H, W, C) of a dtype, "uint8" or "float32", to {output: float32 (N, ...)}."""

    def __call__(self, dtype: str, *names: str) -> Any:
        """Returns the one with these outputs, by default with all that are wanted."""
        ...


@dataclasses.dataclass(frozen=True)
class Samples:
    """Images that an artifact shows its users. Whoever exports asks for them: they are published with it.

    Attributes:
        images: uint8 (N, H, W, C).
        labels: Their true classes, (N,).
        outputs: What Keras gives for them, (N, classes), by the names of the outputs.
    """

    images: np.ndarray
    labels: np.ndarray
    outputs: Mapping[str, np.ndarray]


@dataclasses.dataclass(frozen=True)
class ConversionContext:
    """The network that is exported, as all formats take it.

    Attributes:
        model: The Keras model on raw pixels, folded where that is wanted, with the outputs that are wanted.
        serving_function: See `ServingFunctions`.
        metadata: What the artifact carries about itself.
        options: The user's choices.
        folder: For intermediate files.
        artifacts: The paths of the artifacts that are already written, by the names of their targets.
        samples: For artifacts that show some; None where nobody asked for them.
    """

    model: keras.Model
    serving_function: ServingFunctions
    metadata: ClassifierMetadata
    options: ExportOptions
    folder: Path
    artifacts: Mapping[str, Path]
    samples: Samples | None = None
