"""Writes the artifacts; what several of them are made from is made once."""

import functools
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Protocol

import keras
import numpy as np

from keras_resnet import saving
from keras_resnet.metadata import ClassifierMetadata

from .config import ExportConfig
from .fold.folding import fold
from .formats import FORMATS
from .formats.context import ConversionContext, Samples
from .formats.format import Format, Quantizer
from .outputs import Outputs, select_outputs, serving_function
from .sensitivity import Explanation, explain, sensitive_layers
from .targets import TARGETS, ExportTarget

AUTO = ("auto",)
NOISE_IMAGES = 64  # that signal-to-noise ratios are measured on; they vary little
CACHED_MODELS = 2  # one format's float models, on uint8 and on float32 pixels


class CalibrationSplit(Protocol):
    """Images, uint8 (N, H, W, C), and labels, (N,), of the training split."""

    @property
    def images(self) -> Any: ...  # an array, or what reads one when it is sliced
    @property
    def labels(self) -> Any: ...
    def __len__(self) -> int: ...


class ArtifactWriter:
    """Converts one model to all targets.

    Attributes:
        kept_float: The operators that stayed float in each calibrated artifact, by their names.
        explanations: Where each calibrated artifact loses, if that is wanted.

    Args:
        config: What to write.
        model: The classifier.
        metadata: What its artifacts say about themselves.
        calibration: For the targets that need it.
        folder: For intermediate files.
        scores: See `outputs.scores_function`.
        samples: For artifacts that show some.
    """

    def __init__(
        self,
        config: ExportConfig,
        model: keras.Model,
        metadata: ClassifierMetadata,
        calibration: CalibrationSplit | None,
        folder: Path,
        scores: Callable[[Outputs], np.ndarray],
        samples: Samples | None = None,
    ) -> None:
        self.kept_float: dict[str, tuple[str, ...]] = {}
        self.explanations: dict[str, Explanation] = {}
        self._config, self._calibration, self._written, self._scores = config, calibration, {}, scores
        if config.fold:
            model = fold(select_outputs(model, config.output))
        else:
            model = select_outputs(saving.to_fast(model), config.output)
        self._context = ConversionContext(
            model=model,
            serving_function=functools.cache(
                lambda dtype, *names: serving_function(model, *(names or config.output), dtype=dtype)
            ),
            metadata=metadata,
            options=config,
            folder=folder,
            artifacts=self._written,
            samples=samples,
        )
        self._float_model = functools.lru_cache(CACHED_MODELS)(self._convert)

    def write(self, name: str, path: Path) -> None:
        """Writes one of `TARGETS` to `path`."""
        target = TARGETS[name]
        format = FORMATS[target.format]
        if target.embeds:
            content = self._embedded(target)
        else:
            content = self._float_model(target.format, target.pixel_dtype or self._config.input_dtype)
            if target.quantization != "none":
                content = self._quantize(target, format, content)
        format.write(content, path, self._context)
        self._written[name] = path

    def _embedded(self, target: ExportTarget) -> Path:
        """Returns the path of the artifact that `target` has inside; it is written where nobody else wanted it."""
        if target.embeds not in self._written:
            self.write(target.embeds, self._context.folder / TARGETS[target.embeds].file)
        if target.embeds in self.kept_float:
            self.kept_float[target.name] = self.kept_float[target.embeds]
        return self._written[target.embeds]

    def _convert(self, format: str, pixel_dtype: str) -> Any:
        return FORMATS[format].convert(self._context, pixel_dtype)

    def _quantize(self, target: ExportTarget, format: Format[Any], content: Any) -> Any:
        """Quantizes a float model as the target says."""
        calibration, input_dtype = self._config.calibration, self._config.input_dtype
        quantizer = format.quantizer(content, target.quantization, self._images, calibration, input_dtype)
        if not target.calibrated:
            return quantizer.quantize()
        keep = self._config.keep_float
        if keep == AUTO:
            keep = self._sensitive_operators(format, quantizer, content)
        self.kept_float[target.name] = tuple(keep)
        if self._config.explain_quantization:
            self.explanations[target.name] = self._explain(format, quantizer, content, keep)
        return quantizer.quantize(keep)

    def _sensitive_operators(self, format: Format[Any], quantizer: Quantizer[Any], content: Any) -> list[str]:
        """Finds operators without whose quantization the accuracy on the calibration images drops by no more than allowed."""
        assert self._calibration is not None
        images = self._images
        assert images is not None

        def run(kept: Sequence[str], count: int) -> np.ndarray:
            return self._scores(format.run(quantizer.quantize(kept), images[:count]))

        reference, labels = self._scores(format.run(content, images)), np.asarray(self._calibration.labels)
        allowed = self._config.max_accuracy_drop
        return sensitive_layers(quantizer.operators, run, reference, labels, max_accuracy_drop=allowed)

    def _explain(self, format: Format[Any], quantizer: Quantizer[Any], content: Any, keep: Sequence[str]) -> Explanation:
        """Finds which operators are noisiest, and what keeping them in float would bring on the calibration images."""
        assert self._calibration is not None
        images = self._images
        assert images is not None

        def run(kept: Sequence[str]) -> np.ndarray:
            return self._scores(format.run(quantizer.quantize(kept), images))

        noise = quantizer.signal_to_noise(images[:NOISE_IMAGES], keep)
        reference = self._scores(format.run(content, images))
        return explain(noise, run, reference, np.asarray(self._calibration.labels), keep)

    @functools.cached_property
    def _images(self) -> np.ndarray | None:
        return None if self._calibration is None else self._calibration.images[:]
