"""What is to be measured, and how often."""

import dataclasses
import functools
from pathlib import Path

from keras_resnet.benchmarks.applications import APPLICATIONS, application
from keras_resnet.errors import UserError, comma_join

from ..reporting import report
from .files import OURS, exported
from .routes import ROUTES


@dataclasses.dataclass(frozen=True)
class LatencyConfig:
    """output_dir: a folder that `keras-resnet export` left. model_path: the `.keras` file behind it; None for the one that its
    report names. threads: of a runtime, each number measured by itself. batch_size: images in one inference. steps: inferences
    in a turn; 0 fits them to a third of a second. rounds: turns of each file. against: keys of `ROUTES` and folders of other
    exports; None for all routes that fit.
    """

    output_dir: Path
    model_path: Path | None = None
    threads: tuple = (1, 2)
    batch_size: int = 1
    steps: int = 0
    rounds: int = 30
    baselines: tuple | None = None

    def __post_init__(self):
        for name in ("batch_size", "rounds"):
            if getattr(self, name) < 1:
                raise UserError(f"{name} is {getattr(self, name)}; it is at least 1")
        if self.steps < 0:
            raise UserError(f"steps is {self.steps}; it is at least 1, or 0 to fit it to a third of a second")
        if not self.threads or min(self.threads) < 1:
            raise UserError(
                f"threads is {comma_join(self.threads) or 'empty'}; it is a list of whole numbers above 0 such as 1,2"
            )
        exported(self.output_dir, OURS)
        for name in self.baselines or ():
            if name not in ROUTES and not Path(name).is_dir():
                raise UserError(f"--baselines names {name}; there are {comma_join(ROUTES)}, and folders of other exports")
        if "applications" in (self.baselines or ()) and not application(self.model):
            raise UserError(f"keras.applications has no {self.model}; it has what is nearest to {comma_join(APPLICATIONS)}")

    @functools.cached_property
    def record(self):
        """What the export wrote down."""
        return report.read(self.output_dir)

    @property
    def model(self):
        return self.record["model"]

    @property
    def routes(self):
        """Those that are asked for, or that fit."""
        if self.baselines is not None:
            return [name for name in ROUTES if name in self.baselines]
        return [name for name in ROUTES if name != "applications" or application(self.model)]

    @property
    def folders(self):
        return [Path(name) for name in self.baselines or () if name not in ROUTES]

    @property
    def source(self):
        """The `.keras` file that others' exports are made from."""
        named = self.model_path or self.record.get("source_path")
        if named and Path(named).is_file():
            return Path(named)
        if self.model_path:
            raise UserError(f"no file {self.model_path}")
        where = f"made from {named}, which is not there" if named else "silent on the file that it was made from"
        raise UserError(f"{self.output_dir} is {where}: give --model_path, or --baselines= to measure it alone")
