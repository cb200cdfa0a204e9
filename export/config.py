"""What to export, and how exactly it must agree with Keras."""

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from keras_resnet.errors import UserError, comma_join

from .formats import FORMATS
from .formats.format import CALIBRATIONS, OUTPUTS
from .formats.onnx.options import OPSET
from .targets import ExportTarget, select_targets
from .verification.result import Tolerances

if TYPE_CHECKING:
    import keras

SHALLOW = 100  # kernels; the rounding errors of a deeper network add up to more, in Keras as well


@dataclasses.dataclass(frozen=True)
class ExportConfig:
    """What to write, and how exactly it must agree with Keras.

    Attributes:
        model_path: The `.keras` file.
        output_dir: The folder for the artifacts.
        formats: Keys of `targets.FORMATS`.
        quantize: Of `targets.QUANTIZATIONS`; None means the default ones.
        output: "probabilities" or "logits".
        fold: Whether normalizations are folded; see `export.fold`.
        keep_float: Operators that stay float in full integer files, or ("auto",): those that measuring finds.
        calibration: How the ranges of what becomes integers are chosen, one of `CALIBRATIONS`.
        explain_quantization: Whether to report which operators lose most by quantization; see `sensitivity.explain`.
        max_difference: The largest between an artifact's output and Keras'; for logits, as a share of the largest. None: what
            the table says, in float32 in proportion more for networks of over 100 kernels.
        max_accuracy_drop: In points.
        onnx_layout: See `onnx.model.make_model`.
        opset: Likewise.
        description: Of the network, for the files' metadata and the model card.
        license: Likewise.
    """

    model_path: Path
    output_dir: Path
    formats: tuple[str, ...] = tuple(FORMATS)
    quantize: tuple[str, ...] | None = None
    output: str = "probabilities"
    fold: bool = True
    keep_float: tuple[str, ...] = ()
    calibration: str = CALIBRATIONS[0]
    explain_quantization: bool = False
    max_difference: float | None = None
    max_accuracy_drop: float = 1.0
    onnx_layout: str = "nhwc"
    opset: int = OPSET
    description: str = ""
    license: str = ""

    def __post_init__(self) -> None:
        if self.calibration not in CALIBRATIONS:
            raise UserError(f"unknown calibration {self.calibration!r}; it is one of {comma_join(CALIBRATIONS)}")
        targets = self.targets.values()
        for format in FORMATS.values():
            format.check_options(self, [target.quantization for target in targets if target.format == format.name])
        if self.output not in OUTPUTS:
            raise UserError(f"unknown output {self.output!r}; it is one of {comma_join(OUTPUTS)}")
        if self.max_difference is not None and not self.max_difference > 0:
            raise UserError(f"max_difference is {self.max_difference}; it is above 0")
        if not 0 <= self.max_accuracy_drop <= 100:
            raise UserError(f"max_accuracy_drop is {self.max_accuracy_drop}; it is in points, from 0 to 100")

    @property
    def targets(self) -> dict[str, ExportTarget]:
        """The artifacts to write, by name."""
        return select_targets(self.formats, self.quantize)

    @property
    def calibrated(self) -> list[str]:
        """The names of the artifacts that need calibration images."""
        return [name for name, target in self.targets.items() if target.calibrated]

    def tolerances(self, target: ExportTarget, model: "keras.Model", reference: np.ndarray) -> Tolerances:
        """Returns what an artifact of `model` must keep, whose outputs in Keras are `reference`."""
        kernels = sum(hasattr(layer, "kernel") for layer in model.layers)
        default = target.max_difference * (max(1, kernels / SHALLOW) if target.quantization == "none" else 1)
        max_difference = default if self.max_difference is None else self.max_difference
        scale = 1 if self.output == "probabilities" else float(np.abs(reference).max())
        return Tolerances(max_difference * scale, self.max_accuracy_drop)
