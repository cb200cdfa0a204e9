"""What to measure, and how often."""

import dataclasses
import functools
from pathlib import Path

from keras_resnet.benchmarks.applications import APPLICATIONS, nearest_application
from keras_resnet.benchmarks.config import check_counts
from keras_resnet.errors import UserError, check_at_most, check_count, comma_join

from ..reporting import report
from .artifacts import OURS, find_artifacts
from .exporters import EXPORTERS

MAX_THREADS = 1024


@dataclasses.dataclass(frozen=True)
class LatencyConfig:
    """What to measure, and how often.

    Args:
        output_dir: A folder that `keras-resnet export` wrote.
        model_path: The `.keras` file that it was made from; None for the one that its report names.
        threads: Of a runtime; each number is measured by itself.
        batch_size: Images per inference.
        steps: Inferences per round; 0 fits them to a third of a second.
        rounds: Measurements of each artifact.
        baselines: Keys of `EXPORTERS` and folders of other exports to compare against; None for all exporters that apply.
    """

    output_dir: Path
    model_path: Path | None = None
    threads: tuple[int, ...] = (1, 2)
    batch_size: int = 1
    steps: int = 0
    rounds: int = 30
    baselines: tuple[str, ...] | None = None

    def __post_init__(self) -> None:
        check_counts(self.batch_size, self.steps, self.rounds, fitted_to="a third of a second")
        if not self.threads or min(self.threads) < 1:
            raise UserError(
                f"threads is {comma_join(self.threads) or 'empty'}; it is a list of whole numbers above 0 such as 1,2"
            )
        check_count("threads", self.threads, MAX_THREADS)
        check_at_most("threads", max(self.threads), MAX_THREADS)
        find_artifacts(self.output_dir, OURS)
        for name in self.baselines or ():
            if name not in EXPORTERS and not Path(name).is_dir():
                raise UserError(
                    f"--baselines names {name}; the baselines are {comma_join(EXPORTERS)}, and folders of other exports"
                )
        if "applications" in (self.baselines or ()) and not nearest_application(self.model):
            raise UserError(f"keras.applications has no {self.model}; it has counterparts of {comma_join(APPLICATIONS)}")

    @functools.cached_property
    def record(self) -> report.RecordedExport:
        """The export's own report."""
        record = report.read(self.output_dir)
        assert record is not None, "find_artifacts has seen it"
        return record

    @property
    def model(self) -> str:
        return self.record.model

    @property
    def exporters(self) -> list[str]:
        """Those that are asked for or, without `baselines`, that apply."""
        if self.baselines is not None:
            return [name for name in EXPORTERS if name in self.baselines]
        return [name for name in EXPORTERS if name != "applications" or nearest_application(self.model)]

    @property
    def folders(self) -> list[Path]:
        return [Path(name) for name in self.baselines or () if name not in EXPORTERS]

    @property
    def source_path(self) -> Path:
        """The `.keras` file that the baselines' exports are made from."""
        named = self.model_path or self.record.source_path
        if named and Path(named).is_file():
            return Path(named)
        if self.model_path:
            raise UserError(f"no file {self.model_path}")
        why = f"was made from {named}, which is not there" if named else "does not name the file that it was made from"
        raise UserError(f"{self.output_dir} {why}: give --model_path, or --baselines= to measure it alone")
