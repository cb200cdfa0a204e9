"""What all results have in common: norms, and that they turn into plain numbers for JSON."""

import dataclasses
import math
from collections.abc import Iterable
from typing import Any

import numpy as np


@dataclasses.dataclass(frozen=True)
class Result:
    """Numbers that a function of this room returns."""

    def to_dict(self) -> dict[str, Any]:
        """The fields as lists and plain numbers, for JSON; what is not finite becomes None, for which JSON has no number."""
        return {field.name: plain(getattr(self, field.name)) for field in dataclasses.fields(self)}


def plain(value: Any) -> Any:
    """Lists for tuples and arrays, Python's numbers for NumPy's, None for NaN and infinity."""
    if isinstance(value, np.ndarray | np.generic):
        value = value.tolist()
    if isinstance(value, tuple | list):
        return [plain(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def norm(arrays: Iterable[np.ndarray]) -> float:
    """The L2 norm of all numbers in some arrays, summed in double precision; of none, 0."""
    return math.sqrt(sum(float(np.square(array, dtype=np.float64).sum()) for array in arrays))


def root_mean_square(array: np.ndarray) -> float:
    """The L2 norm divided by the root of the number of elements, so that feature maps of other sizes compare."""
    return norm([array]) / math.sqrt(array.size)


def norms_per_image(array: np.ndarray) -> np.ndarray:
    """The L2 norm of each image's part: (N, ...) -> (N,)."""
    return np.sqrt(np.square(array.reshape(len(array), -1), dtype=np.float64).sum(axis=1))


def mean_where_finite(values: np.ndarray) -> float | None:
    """The mean of what is a number, None if nothing is: an angle to zero is none."""
    values = values[np.isfinite(values)]
    return float(values.mean()) if values.size else None
