"""What an experiment came to: its runs, and what they say about its claims."""

import dataclasses
from collections.abc import Sequence
from typing import Any, Self

from .claims import Verdict
from .config import ReproduceConfig
from .results import RunResult


@dataclasses.dataclass(frozen=True)
class Reproduction:
    """The result of `reproduce`.

    Attributes:
        config: what was asked for.
        results: of the runs that count, in the order of the plan.
        failed: what went wrong with the others, a line each.
        verdicts: on each claim about the plan's networks.
    """

    config: ReproduceConfig
    results: tuple[RunResult, ...]
    failed: tuple[str, ...]
    verdicts: tuple[Verdict, ...]

    @classmethod
    def of(cls, config: ReproduceConfig, results: Sequence[RunResult], failed: Sequence[str] = ()) -> Self:
        """Tests the claims on the results."""
        verdicts = tuple(claim.verdict(results) for claim in config.claims)
        return cls(config, tuple(results), tuple(failed), verdicts)

    def by_arm(self) -> dict[str, list[RunResult]]:
        """The runs of each network, in the order of the plan."""
        arms = [arm.label for arm in self.config.plan.arms]
        return {arm: [result for result in self.results if result.arm == arm] for arm in arms}

    def record(self) -> dict[str, Any]:
        """All of it, as JSON holds it."""
        row = self.config.row
        return {
            "experiment": self.config.experiment,
            "budget": self.config.budget,
            "question": row.question,
            "reference": row.reference,
            "claims": [dataclasses.asdict(verdict) for verdict in self.verdicts],
            "failed": list(self.failed),
            "runs": [dataclasses.asdict(result) for result in self.results],
        }
