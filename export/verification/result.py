"""What verification finds, and what it allows."""

import dataclasses

from ..formats.inspection import Inspection
from .agreement import Agreement

ROUNDING = 1e-9  # of a drop in points


@dataclasses.dataclass(frozen=True)
class Tolerances:
    """What an artifact must keep.

    Attributes:
        max_differences: `{output: largest}`, see `VerificationResult`.
        max_accuracy_drop: In points.
        min_agreement: With Keras' predictions, in percent of the decided images, see `agreement`; 0 asks for nothing.
        output_step: Of integer probabilities, else 0.
    """

    max_differences: dict[str, float]
    max_accuracy_drop: float
    min_agreement: float = 0.0
    output_step: float = 0.0

    @property
    def max_difference(self) -> float:
        """That of the first output."""
        return next(iter(self.max_differences.values()))


@dataclasses.dataclass(frozen=True)
class VerificationResult:
    """An artifact against the Keras model on the same images.

    Attributes:
        name: The target's.
        file: The name of the file.
        bytes: Its size.
        images: How many were compared.
        max_differences: `{output: the largest absolute one of its numbers}`.
        mean_difference: The mean absolute one of the first output.
        top1_agreement: The share of images with the same prediction; two classes that tie may lower it.
        agreement: Of predictions on the images that Keras has decided, and of outputs.
        accuracy: The share of images that the artifact gets right.
        accuracy_drop: How many points of accuracy it loses against Keras.
        milliseconds: For one image, median, in the process that verified it.
        tolerances: What was allowed.
        inspection: The artifact's operators.
        error: Why it could not be run.
        variants: The same for other ways in which the runtime computes the artifact on some machines, by their names.
    """

    name: str
    file: str
    bytes: int
    images: int
    max_differences: dict[str, float]
    mean_difference: float
    top1_agreement: float
    agreement: Agreement
    accuracy: float
    accuracy_drop: float
    milliseconds: float
    tolerances: Tolerances
    inspection: Inspection
    error: str = ""
    variants: "dict[str, VerificationResult]" = dataclasses.field(default_factory=dict)

    @property
    def max_difference(self) -> float:
        """That of the first output."""
        return next(iter(self.max_differences.values()))

    @property
    def passed(self) -> bool:
        return not self.failures

    @property
    def failures(self) -> list[str]:
        """Why the artifact does not get its final name, one line each."""
        if self.error:
            return [self.error]
        found = list(self.inspection.blocking_issues())
        for name, difference in self.max_differences.items():
            allowed = self.tolerances.max_differences[name]
            if not difference <= allowed:  # true for NaN
                where = f" in its {name}" if len(self.max_differences) > 1 else ""
                found.append(f"differs by {difference:.1e}{where}, {allowed:.1e} allowed")
        if not self.accuracy_drop <= self.tolerances.max_accuracy_drop + ROUNDING:
            found.append(f"loses {self.accuracy_drop:.2f} points of accuracy, {self.tolerances.max_accuracy_drop:g} allowed")
        found += self.agreement.failures()
        for name, result in self.variants.items():
            found += [f"{failure} ({name})" for failure in result.failures if failure not in found]
        return found
