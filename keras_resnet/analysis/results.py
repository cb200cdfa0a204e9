"""What all results have in common: they turn into plain numbers for JSON."""

import dataclasses
import math
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
