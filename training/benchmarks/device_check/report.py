"""What the checks found: as a record for a file, and as a table."""

import collections
import dataclasses
from collections.abc import Iterator
from typing import Any

from rich.console import Console
from rich.table import Table

from keras_resnet.errors import one_line

PASSED, FAILED, LEFT_OUT = "passed", "failed", "left out"
PIPE_WIDTH = 200  # columns of a table that goes to a file or another program
FORMAT = 1  # of the record


@dataclasses.dataclass
class Row:
    """One check. status: `PASSED`, `FAILED` or `LEFT_OUT`. reason: why it is not passed. figures: what it measured."""

    key: str
    title: str
    status: str
    reason: str = ""
    seconds: float = 0.0
    figures: dict[str, Any] = dataclasses.field(default_factory=dict)

    def outcome(self) -> str:
        """One line."""
        if self.status != PASSED:
            return f"{self.status}: {one_line(self.reason)}"
        return self.summary() or PASSED

    def summary(self) -> str:
        """The figures that a reader looks for first."""
        figures = self.figures
        if "images_per_second" in figures:
            memory = figures["gpu_memory_mb"] or figures["memory_mb"]
            kind = "GPU" if figures["gpu_memory_mb"] else "main memory"
            rate = f"{figures['images_per_second']:,.4g} images/s"
            return f"{rate}, first step after {figures['first_step_seconds']:.1f} s, {memory:,.0f} MB {kind}"
        if "gradient" in figures:
            return f"{figures['compared']}: weights differ by {figures['weights']:.1e}, gradients by {figures['gradient']:.1e}"
        return "same bits" if figures.get("same_bits") else ""


@dataclasses.dataclass
class Report:
    """All of it. started: UTC. seconds: since then. complete: whether the last row is done."""

    started: str
    sizes: dict[str, Any]
    minutes: float
    machine: dict[str, Any]
    versions: dict[str, str]
    rows: list[Row] = dataclasses.field(default_factory=list)
    seconds: float = 0.0
    complete: bool = False

    @property
    def failed(self) -> bool:
        return any(row.status == FAILED for row in self.rows)

    def record(self) -> dict[str, Any]:
        """What goes to the JSON file."""
        return {"format": FORMAT, **dataclasses.asdict(self), "speedups": self.speedups()}

    def speedups(self) -> dict[str, float]:
        """How many times the images per second of PyTorch each other training has, by the row's key."""
        rates = {row.key: row.figures["images_per_second"] for row in self.rows if "images_per_second" in row.figures}
        found = {}
        for key, rate in rates.items():
            _, library, workload = key.split("_", 2)
            if library != "pytorch" and (baseline := rates.get(f"train_pytorch_{workload}")):
                found[key] = rate / baseline
        return found

    def show(self) -> None:
        """Prints a table, and lines with the machine and the numbers of rows."""
        console = Console(markup=False, highlight=False, emoji=False)
        if not console.is_terminal:
            console.width = PIPE_WIDTH
        speedups = self.speedups()
        table = Table("check", "", "s", "found", "against PyTorch", box=None, pad_edge=False)
        for row in self.rows:
            if row.seconds:
                speedup = f"{speedups[row.key]:.2f}x" if row.key in speedups else ""
                found = row.summary() if row.status == PASSED else one_line(row.reason)
                table.add_row(row.title, row.status, f"{row.seconds:.0f}", found, speedup)
        console.print(table)
        for line in self.notes():
            console.print(line, soft_wrap=True)

    def notes(self) -> Iterator[str]:
        """Yields the lines below the table, the first of them about what was not begun."""
        not_begun = collections.Counter(row.reason for row in self.rows if not row.seconds)
        for reason, count in not_begun.items():
            yield f"left out {count}: {one_line(reason)}"
        counts = {status: sum(row.status == status for row in self.rows) for status in (PASSED, FAILED, LEFT_OUT)}
        numbers = ", ".join(f"{count} {status}" for status, count in counts.items())
        yield f"{numbers}; {self.seconds:.0f} s of {60 * self.minutes:.0f}; {self.sizes['name']} sizes"
        yield ", ".join(f"{name} {version}" for name, version in self.versions.items())
        gpus = self.machine["gpus"] or sorted({gpu for seen in self.machine["seen"].values() for gpu in seen})
        yield f"{'; '.join(gpus) or 'no GPU'}; {self.machine['processor']}, {self.machine['cores']} cores"
