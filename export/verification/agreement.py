"""Does a quantized artifact still answer as Keras does? Two rules, and an artifact must keep both.

1. **Decided images.** Keras has decided an image where its two best probabilities differ by at least `MARGIN`; on the others
   rounding may turn the prediction, and says nothing. Of the decided ones at most 100 - min_agreement percent may get another
   prediction. On few images bad luck looks like a bad file: one of 16 is 6 %. So as many may differ as a file has in 99 of 100
   exports whose true rate is a third of what is allowed (a binomial distribution): with 97 %, 1 of 10, 2 of 32, 4 of 100, and
   from about 200 decided images on exactly 3 %.

2. **Outputs.** A network at chance decides nothing, or the same for all images: then a file that says the same whatever it is
   shown keeps rule 1. So the probabilities must also follow Keras' from image to image: their mean squared error may be at most
   half of the variance of Keras' over the images. A constant has all of it or more, permuted classes and noise about twice as
   much; honest files of untrained networks of 2 to 1,000 classes had 0 to 8 %. Where Keras hardly tells the images apart,
   errors that any rounding explains are allowed instead: 1 % of the outputs' size, or one step of integer outputs. But where
   that leaves the same outputs for all images, as 8 bits do of a thousand probabilities at chance, the file says nothing.
   Fewer than `FEW` images tell nothing about the variance over images; there, it is that over the classes of each image, or an
   error that turns no decided image: `MARGIN` between two classes.

One image alone cannot tell a constant from the network that it is copied from; any other answer it can.
"""

import dataclasses
import math

import numpy as np

from keras_resnet.metrics import predicted_labels

MARGIN = 0.1  # between the two best probabilities
HONEST = 1 / 3  # of the allowed rate
BAD_LUCK = 0.01
UNEXPLAINED = 0.5  # of the variance
RELATIVE = 0.01  # of the outputs' size
FEW = 16  # images
ROUNDING = 1e-9


@dataclasses.dataclass(frozen=True)
class Agreement:
    """The predictions and outputs of an artifact against those of Keras.

    Attributes:
        decided: On how many images Keras' two best probabilities differ by at least `MARGIN`.
        disagreements: On how many of them the artifact predicts another class.
        max_disagreements: How many may be; None where none are asked for.
        rms_error: The root of the mean squared error of its probabilities.
        max_rms_error: The largest that is allowed; None likewise.
        says_nothing: Whether it gives the same for all images, where Keras does not; False where nothing is asked for.
    """

    decided: int
    disagreements: int
    max_disagreements: int | None
    rms_error: float
    max_rms_error: float | None
    says_nothing: bool = False

    def failures(self) -> list[str]:
        """Says which of the rules is not kept, in one line each."""
        found = []
        if self.max_disagreements is not None and self.disagreements > self.max_disagreements:
            found.append(
                f"predicts another class than Keras on {self.disagreements} of {self.decided} decided images, "
                f"{self.max_disagreements} allowed"
            )
        if self.max_rms_error is not None and not self.rms_error <= self.max_rms_error:  # true for NaN
            found.append(
                f"does not follow Keras' probabilities from image to image: its RMS error is {self.rms_error:.1e}, "
                f"{self.max_rms_error:.1e} allowed"
            )
        if self.says_nothing:
            found.append("gives the same for all images, where Keras does not")
        return found

    def __str__(self) -> str:
        """The share of the decided images with the same prediction."""
        return f"{1 - self.disagreements / self.decided:.2%} of {self.decided}" if self.decided else "none decided"


def compare(outputs: np.ndarray, reference: np.ndarray, min_agreement: float = 0.0, step: float = 0.0) -> Agreement:
    """Compares the probabilities of an artifact with Keras', both (N, classes).

    Args:
        outputs: The artifact's.
        reference: Keras'.
        min_agreement: In percent of the decided images; 0 asks for nothing.
        step: Of integer probabilities, else 0.
    """
    decided = decided_images(reference)
    different = predicted_labels(outputs) != predicted_labels(reference)
    count, (images, classes) = int(decided.sum()), reference.shape
    least = max(step, MARGIN / math.sqrt(2 * classes) if images < FEW else 0.0)
    return Agreement(
        decided=count,
        disagreements=int((decided & different).sum()),
        max_disagreements=allowed_disagreements(count, min_agreement) if min_agreement else None,
        rms_error=rms_error(outputs, reference),
        max_rms_error=allowed_rms_error(reference, least) if min_agreement else None,
        says_nothing=bool(min_agreement) and images >= FEW and bool(np.all(outputs == outputs[0])) and varies(reference),
    )


def varies(outputs: np.ndarray) -> bool:
    """Tells whether outputs, (N, ...), differ from image to image by more than rounding explains."""
    return rms_error(outputs, outputs.mean(axis=0)) > RELATIVE * rms_error(outputs, np.zeros_like(outputs))


def decided_images(probabilities: np.ndarray) -> np.ndarray:
    """Tells on which images the two best probabilities differ by `MARGIN`, (N, classes) -> bool (N,)."""
    if probabilities.shape[1] < 2:
        return np.ones(len(probabilities), bool)
    second, best = np.partition(probabilities.astype(np.float64), -2, axis=1)[:, -2:].T
    return best - second >= MARGIN


def allowed_disagreements(decided: int, min_agreement: float) -> int:
    """Returns on how many of so many decided images an artifact may predict another class: rule 1."""
    rate = 1 - min_agreement / 100
    allowed = math.floor(decided * rate + ROUNDING)
    while binomial_cdf(allowed, decided, HONEST * rate) < 1 - BAD_LUCK - ROUNDING:
        allowed += 1
    return allowed


def binomial_cdf(most: int, trials: int, rate: float) -> float:
    """Returns the probability of at most so many events in independent trials."""
    if rate <= 0 or most >= trials:
        return 1.0
    logs = (
        math.lgamma(trials + 1) - math.lgamma(events + 1) - math.lgamma(trials - events + 1)
        + events * math.log(rate) + (trials - events) * math.log1p(-rate)
        for events in range(most + 1)
    )  # fmt: skip
    return math.fsum(map(math.exp, logs))


def rms_error(outputs: np.ndarray, reference: np.ndarray) -> float:
    """Returns the root of the mean squared difference of two arrays of one shape."""
    return float(np.sqrt(np.mean(np.square(outputs.astype(np.float64) - reference))))


def allowed_rms_error(reference: np.ndarray, least: float = 0.0) -> float:
    """Returns the largest RMS error of outputs that follow Keras' outputs, (N, ...): rule 2.

    Args:
        reference: Keras' outputs.
        least: What is allowed in any case, such as a step of integer outputs.
    """
    rows = reference.astype(np.float64).reshape(len(reference), -1)
    center = rows.mean(axis=0) if len(rows) >= FEW else rows.mean(axis=1, keepdims=True)
    deviation = np.sqrt(np.mean(np.square(rows - center)))
    size = np.sqrt(np.mean(np.square(rows)))
    return float(max(math.sqrt(UNEXPLAINED) * deviation, RELATIVE * size, least))
