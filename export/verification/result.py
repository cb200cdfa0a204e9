"""What verification finds, and what it allows."""

import dataclasses

from ..formats.inspection import Inspection
from .agreement import Agreement

ROUNDING = 1e-9  # of a drop in points


@dataclasses.dataclass(frozen=True)
class Tolerances:
    """What an artifact must keep.

    Attributes:
        max_difference: Of any output, see `VerificationResult`.
        max_accuracy_drop: In points.
        min_agreement: With Keras' predictions, in percent of the decided images, see `agreement`; 0 asks for nothing.
        output_step: Of integer probabilities, else 0.
    """

    max_difference: float
    max_accuracy_drop: float
    min_agreement: float = 0.0
    output_step: float = 0.0


@dataclasses.dataclass(frozen=True)
class VerificationResult:
    """An artifact against the Keras model on the same images.

    Attributes:
        name: The target's.
        file: The name of the file.
        bytes: Its size.
        images: How many were compared.
        max_difference: The largest absolute one over all outputs.
        mean_difference: The mean absolute one.
        top1_agreement: The share of images with the same prediction; two classes that tie may lower it.
        agreement: Of predictions on the images that Keras has decided, and of outputs.
        accuracy: The share of images that the artifact gets right.
        accuracy_drop: How many points of accuracy it loses against Keras.
        milliseconds: For one image, median, in the process that verified it.
        tolerances: What was allowed.
        inspection: The artifact's operators.
        error: Why it could not be run.
    """

    name: str
    file: str
    bytes: int
    images: int
    max_difference: float
    mean_difference: float
    top1_agreement: float
    agreement: Agreement
    accuracy: float
    accuracy_drop: float
    milliseconds: float
    tolerances: Tolerances
    inspection: Inspection
    error: str = ""

    @property
    def passed(self) -> bool:
        return not self.failures

    @property
    def failures(self) -> list[str]:
        """Why the artifact does not get its final name, one line each."""
        if self.error:
            return [self.error]
        found = list(self.inspection.blocking_issues())
        if not self.max_difference <= self.tolerances.max_difference:  # true for NaN
            found.append(f"differs by {self.max_difference:.1e}, {self.tolerances.max_difference:.1e} allowed")
        if not self.accuracy_drop <= self.tolerances.max_accuracy_drop + ROUNDING:
            found.append(f"loses {self.accuracy_drop:.2f} points of accuracy, {self.tolerances.max_accuracy_drop:g} allowed")
        return found + self.agreement.failures()
