"""What a client made of an artifact, and whether that is the same classifier."""

import dataclasses
import math
from collections.abc import Mapping

import numpy as np

from keras_resnet.errors import comma_join
from keras_resnet.metrics import predicted_labels, softmax

from ..formats.format import SCORES, ExportTarget, Outputs
from ..verification.agreement import decided_images
from ..verification.result import Tolerances
from .table import Client

MIN_AGREEMENT = 0.97  # of the predictions, on the images that the artifact is decided about
HALF_SHARE = 0.02  # of what float16 may differ from Keras by: the rounding of its weights is in the reference already


@dataclasses.dataclass(frozen=True)
class BatchAnswer:
    """What a client said about an artifact, with so many images per inference.

    Attributes:
        outputs: By name, (N, ...).
        note: What came out of a conversion.
        error: Why it cannot be run.
    """

    outputs: Outputs = dataclasses.field(default_factory=dict)
    note: str = ""
    error: str = ""


@dataclasses.dataclass(frozen=True)
class ClientResult:
    """A client on an artifact, compared with the artifact's own outputs, which verification has compared with Keras'.

    Attributes:
        client: The client's name.
        title: As people write it.
        artifact: The target's name.
        versions: Of the client and what it runs in.
        batch_sizes: Images per inference that were tried.
        images: How many were compared.
        max_difference: The largest of the first output; NaN where none was computed.
        agreement: The share of images with the same prediction, of those that the artifact is decided about.
        note: What came out of a conversion.
        failures: Why it is not the same classifier, one line each.
    """

    client: str
    title: str
    artifact: str
    versions: dict[str, str]
    batch_sizes: tuple[int, ...]
    images: int
    max_difference: float = math.nan
    agreement: float = math.nan
    note: str = ""
    failures: tuple[str, ...] = ()

    @property
    def passed(self) -> bool:
        return not self.failures


def judge(
    client: Client,
    target: ExportTarget,
    versions: dict[str, str],
    answers: Mapping[int, BatchAnswer],
    reference: Outputs,
    tolerances: Tolerances,
) -> ClientResult:
    """Compares what a client answered with the artifact's own outputs.

    Args:
        client: The client.
        target: The artifact's.
        versions: What the client says about itself.
        answers: By images per inference.
        reference: The artifact's outputs in its own runtime by name, (N, ...).
        tolerances: The artifact's. Whole numbers may differ by any amount as long as the predictions agree.
    """
    images = len(next(iter(reference.values())))
    result = ClientResult(client.name, client.title, target.name, versions, tuple(answers), images)
    differences: dict[str, float] = {}
    agreements, problems = [], {}
    for size, answer in answers.items():
        problem = answer.error
        if not problem and not answer.note:
            problem = compare(answer.outputs, reference, differences, agreements)
        if problem:
            problems.setdefault(problem, []).append(size)
    failures = [
        text if len(sizes) == len(answers) else f"batch {comma_join(sizes)}: {text}" for text, sizes in problems.items()
    ]
    share = HALF_SHARE if target.quantization == "fp16" else 1
    for name, worst in differences.items():
        allowed = tolerances.max_differences[name] * share
        if not worst <= allowed:
            where = f" in its {name}" if len(differences) > 1 else ""
            failures.append(f"differs by {worst:.1e}{where}, {allowed:.1e} allowed")
    worst, least = next(iter(differences.values()), math.nan), min(agreements, default=math.nan)
    if agreements and not least >= MIN_AGREEMENT:
        failures.append(f"gives the same prediction for {least:.2%} of the images, {MIN_AGREEMENT:.0%} needed")
    notes = "; ".join(dict.fromkeys(answer.note for answer in answers.values() if answer.note))
    return dataclasses.replace(result, max_difference=worst, agreement=least, note=notes, failures=tuple(failures))


def compare(outputs: Outputs, reference: Outputs, differences: dict[str, float], agreements: list[float]) -> str:
    """Adds each output's largest difference, and the agreement of the predictions; returns why they cannot be compared.

    Readers rename outputs: where a name is not there, the output of the same shape is meant.
    """
    for name, expected in reference.items():
        same_shape = [found for found in outputs.values() if found.shape == expected.shape]
        found = outputs.get(name, same_shape[0] if same_shape else None)
        if found is None or found.shape != expected.shape:
            shapes = ", ".join(f"{other} {tuple(values.shape)}" for other, values in outputs.items())
            return f"gives {shapes or 'nothing'} for {name} {tuple(expected.shape)}"
        difference = np.abs(found.astype(np.float64) - expected).max()
        differences[name] = float(np.maximum(differences.get(name, 0.0), difference))  # NaN stays
        if name in SCORES:
            agreements.append(agreement(found, softmax(expected) if name == "logits" else expected))
    return ""


def agreement(scores: np.ndarray, probabilities: np.ndarray) -> float:
    """The share of images with the same prediction, of those that the artifact is decided about; 1 if it is about none.

    Args:
        scores: (N, classes), whose largest is the prediction.
        probabilities: (N, classes), of the artifact in its own runtime.
    """
    decided = decided_images(probabilities)
    if not decided.any():
        return 1.0
    return float(np.mean(predicted_labels(scores)[decided] == predicted_labels(probabilities)[decided]))
