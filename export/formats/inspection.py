"""What an artifact is made of: its operators, and how many of them LiteRT's fast path takes."""

import collections
import dataclasses
from collections.abc import Iterable, Iterator, Sequence

from keras_resnet.errors import comma_join

SHOWN = 3  # kernels in an issue
VARIABLE_OPERATORS = {"VAR_HANDLE", "READ_VARIABLE", "ASSIGN_VARIABLE"}


@dataclasses.dataclass(frozen=True)
class Inspection:
    """The operators of an artifact, by the names that its format has for them.

    Attributes:
        operators: How often each occurs.
        partitions: Into how many pieces XNNPACK takes the network; None where the runtime has no XNNPACK delegate.
        undelegated_ops: How often each operator is outside of those pieces, or None likewise.
        saturating: Kernels with which some CPUs compute something else; see `onnx.saturation`.
        note: What reports are to say about how the artifact was run, in whole sentences.
    """

    operators: dict[str, int]
    partitions: int | None = None
    undelegated_ops: dict[str, int] | None = None
    saturating: Sequence[str] = ()
    note: str = ""

    @property
    def delegated(self) -> float | None:
        """The share of the operators that XNNPACK takes, or None."""
        return None if self.undelegated_ops is None else 1 - sum(self.undelegated_ops.values()) / sum(self.operators.values())

    def blocking_issues(self) -> Iterator[str]:
        """Yields the reasons not to ship the artifact, whatever it computes, one line each."""
        unfrozen = sorted(VARIABLE_OPERATORS & set(self.operators))
        flex = sorted(name for name in self.operators if name.startswith("Flex"))
        if unfrozen:
            yield f"has variables that are not frozen ({', '.join(unfrozen)}), which makes it several times slower"
        if flex:
            yield f"needs operators outside of LiteRT ({', '.join(flex)})"
        if self.saturating:
            yield f"has kernels whose sums saturate on x86 CPUs without VNNI ({comma_join(self.saturating, SHOWN)})"


def count(names: Iterable[str]) -> dict[str, int]:
    """Counts names, the most frequent first."""
    return dict(collections.Counter(names).most_common())
