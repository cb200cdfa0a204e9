"""The orders of operations inside a residual unit, and the blocks of convolutions that they are combined with.

Without Keras, so that the command's help can show them at once.
"""

import dataclasses
import functools
from collections import Counter
from collections.abc import Iterator

# fmt: off
ORDERS = {  # He et al. 2016, arXiv:1603.05027, Figure 4 and Table 2, read downwards
    "original":                "conv norm relu conv norm add relu",
    "bn_after_addition":       "conv norm relu conv add norm relu",
    "relu_before_addition":    "conv norm relu conv norm relu add",
    "relu_only_preactivation": "relu conv norm relu conv norm add",
    "full_preactivation":      "norm relu conv norm relu conv add",
}
# fmt: on

Operation = tuple[str, int]  # ("conv", 1): the kind and its number within the unit


@dataclasses.dataclass(frozen=True)
class Block:
    """The convolutions of a branch: kernel sizes, and the width of the last as a multiple of that of the others."""

    kernels: tuple[int, ...]
    expansion: int


BLOCKS = {  # He et al. 2015, Figure 5, left and right
    "basic": Block((3, 3), expansion=1),
    "bottleneck": Block((1, 3, 1), expansion=4),
}


@functools.cache
def operations(order: str, block: str) -> tuple[tuple[Operation, ...], tuple[Operation, ...], tuple[Operation, ...]]:
    """A unit's operations before the skip path leaves, on the branch and after the addition: ("conv", 1), ("norm", 1), ...

    A bottleneck has what the order says from its first convolution to the second, "conv norm relu" in the paper, once more.
    """
    before, conv_, rest = ORDERS[order].partition("conv")
    once_more = conv_ + rest.partition("conv")[0]
    branch, _, after = (once_more * (len(BLOCKS[block].kernels) - 2) + conv_ + rest).partition("add")
    seen: Counter[str] = Counter()

    def numbered(kinds: str) -> Iterator[Operation]:
        for kind in kinds.split():
            seen[kind] += 1
            yield kind, seen[kind]

    return tuple(numbered(before)), tuple(numbered(branch)), tuple(numbered(after))
