"""What to export, and how exactly it must agree with Keras."""

import dataclasses
import functools
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from keras_resnet.errors import UserError, comma_join
from keras_resnet.remote import AnyPath

from .clients.installation import FOLDER, Installation, find_installations
from .clients.table import select_clients
from .formats import DEFAULT_FORMATS, FORMATS
from .formats.format import CALIBRATIONS, GRADCAM, INPUT_DTYPES, OUTPUTS, Outputs
from .formats.onnx.options import OPSET
from .targets import ExportTarget, select_targets
from .verification.result import Tolerances

if TYPE_CHECKING:
    import keras

OUTPUT_STEP = 1 / 256  # of probabilities in 8 bits
SHALLOW = 100  # kernels; the rounding errors of a deeper network add up to more, in Keras as well


@dataclasses.dataclass(frozen=True)
class ExportConfig:
    """What to write, and how exactly it must agree with Keras.

    Attributes:
        model_path: The `.keras` file.
        output_dir: The folder for the artifacts; see `keras_resnet.remote.as_path` for URLs.
        formats: Keys of `targets.FORMATS`.
        quantize: Of `targets.QUANTIZATIONS`; None means the default ones.
        input_dtype: Of the pixels that the artifacts take, one of `INPUT_DTYPES`.
        output: What the artifacts compute, of `OUTPUTS`; "gradcam" comes with another one.
        fold: Whether normalizations are folded; see `export.fold`.
        keep_float: Operators that stay float in full integer files, or ("auto",): those that measuring finds.
        calibration: How the ranges of what becomes integers are chosen, one of `CALIBRATIONS`.
        explain_quantization: Whether to report which operators lose most by quantization; see `sensitivity.explain`.
        max_difference: The largest between an artifact's output and Keras'; for others than probabilities, as a share of the
            largest. None: what the table says, in float32 in proportion more for networks of over 100 kernels.
        max_accuracy_drop: In points.
        min_agreement: Of quantized artifacts with Keras' predictions, in percent of the images that Keras has decided; see
            `verification.agreement`. 0 asks for nothing.
        selftest_images: How many of the images are published beside the artifacts, for `keras-resnet verify`; 0 for none.
        verify_in: Clients that the verified artifacts are tried in as well: of `clients.table.CLIENTS` and `GROUPS`.
        clients_dir: The folder that `make clients` installs them in; others are looked for beside this package.
        onnx_layout: See `onnx.model.make_model`.
        opset: Likewise.
        description: Of the network, for the files' metadata and the model card.
        license: Likewise; by default that of the weights which the network has or began with, if it is known.
        web_runtime: A folder with LiteRT.js from npm, for the web page; None leaves a `package.json` that brings it.
        web_single_file: Whether the web page is one file, which carries the runtime and the model.
        sample_images: How many of the verification images the web page shows, with what Keras gives for them.
    """

    model_path: Path
    output_dir: AnyPath
    formats: tuple[str, ...] = DEFAULT_FORMATS
    quantize: tuple[str, ...] | None = None
    input_dtype: str = "uint8"
    output: tuple[str, ...] = ("probabilities",)
    fold: bool = True
    keep_float: tuple[str, ...] = ()
    calibration: str = CALIBRATIONS[0]
    explain_quantization: bool = False
    max_difference: float | None = None
    max_accuracy_drop: float = 1.0
    min_agreement: float = 97.0
    selftest_images: int = 32
    verify_in: tuple[str, ...] = ()
    clients_dir: str = FOLDER
    onnx_layout: str = "nhwc"
    opset: int = OPSET
    description: str = ""
    license: str = ""
    web_runtime: str | None = None
    web_single_file: bool = False
    sample_images: int = 0

    def __post_init__(self) -> None:
        check_outputs(self.output)
        if self.calibration not in CALIBRATIONS:
            raise UserError(f"unknown calibration {self.calibration!r}; it is one of {comma_join(CALIBRATIONS)}")
        targets = self.targets.values()
        for format in FORMATS.values():
            format.check_options(self, [target.quantization for target in targets if target.format == format.name])
        if self.input_dtype not in INPUT_DTYPES:
            raise UserError(f"unknown input_dtype {self.input_dtype!r}; it is one of {comma_join(INPUT_DTYPES)}")
        if self.max_difference is not None and not self.max_difference > 0:
            raise UserError(f"max_difference is {self.max_difference}; it is above 0")
        if self.sample_images < 0:
            raise UserError(f"sample_images is {self.sample_images}; it is at least 0")
        if not 0 <= self.max_accuracy_drop <= 100:
            raise UserError(f"max_accuracy_drop is {self.max_accuracy_drop}; it is in points, from 0 to 100")
        if not 0 <= self.min_agreement <= 100:
            raise UserError(f"min_agreement is {self.min_agreement}; it is in percent, from 0 to 100")
        if self.selftest_images < 0:
            raise UserError(f"selftest_images is {self.selftest_images}; it is at least 0")
        _ = self.clients  # raises for one that is not installed

    @property
    def targets(self) -> dict[str, ExportTarget]:
        """The artifacts to write, by name."""
        return select_targets(self.formats, self.quantize)

    @functools.cached_property
    def clients(self) -> list[Installation]:
        """What `verify_in` names, as it is installed here."""
        names = dict.fromkeys(name.strip() for name in self.verify_in if name.strip())
        clients = select_clients(names, self.targets.values())
        return find_installations(list(names), clients, Path(self.clients_dir))

    @property
    def calibrated(self) -> list[str]:
        """The names of the artifacts that need calibration images."""
        return [name for name, target in self.targets.items() if target.calibrated]

    def tolerances(self, target: ExportTarget, model: "keras.Model", reference: Outputs) -> Tolerances:
        """Returns what an artifact of `model` must keep, whose outputs in Keras are `reference`."""
        kernels = sum(hasattr(layer, "kernel") for layer in model.layers)
        default = target.max_difference * (max(1, kernels / SHALLOW) if target.quantization == "none" else 1)
        max_difference = default if self.max_difference is None else self.max_difference
        scales = {name: 1.0 if name == "probabilities" else float(np.abs(output).max()) for name, output in reference.items()}
        return Tolerances(
            {name: max_difference * scale for name, scale in scales.items()},
            self.max_accuracy_drop,
            0.0 if target.quantization == "none" else self.min_agreement,
            OUTPUT_STEP if target.calibrated else 0.0,
        )


def check_outputs(names: Sequence[str]) -> None:
    """Raises a `UserError` for outputs that no artifact has."""
    unknown = [name for name in names if name not in OUTPUTS]
    if unknown or not names:
        raise UserError(f"unknown output {comma_join(unknown)!r}; the outputs are {comma_join(OUTPUTS)}")
    if len(set(names)) < len(names):
        raise UserError(f"output is {comma_join(names)}; each is named once")
    if tuple(names) == (GRADCAM,):
        raise UserError(
            "output is gradcam, which explains a prediction: name another one before it, such as probabilities,gradcam"
        )
