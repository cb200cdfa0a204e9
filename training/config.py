"""Everything that decides a run's outcome, as one frozen record: `config.json` in the work directory."""

import dataclasses
import json

from keras_resnet.errors import UserError, one_line
from keras_resnet.files import write_text
from keras_resnet.options import Options
from keras_resnet.training.recipes import Recipe

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None

FILE = "config.json"


@dataclasses.dataclass(frozen=True)
class TrainConfig:
    """A network, a data set, a recipe with its overrides resolved, and the seed.

    validation_fraction: share of the training split that is kept apart to choose the best checkpoint by.
    """

    model: str
    dataset: str
    recipe: str
    settings: Recipe
    block: str | None = None
    unit: str | None = None
    shortcut: str | None = None
    options: Options = dataclasses.field(default_factory=Options)
    validation_fraction: float = 0.1
    seed: int = 0
    strategy: str = "auto"

    def __post_init__(self):
        if not 0 < self.validation_fraction < 1:
            raise UserError(f"validation_fraction is {self.validation_fraction}; it lies between 0 and 1")
        if not 0 <= self.seed < 2**31:
            raise UserError(f"seed is {self.seed}; it is at least 0 and below 2**31")

    def to_dict(self):
        return json.loads(json.dumps(dataclasses.asdict(self)))


def open_workdir(workdir, config):
    """Makes the work directory, or continues in it if it holds a run with just this configuration.

    Returns a file to be closed at the end: while it is open, no other process can train here.
    """
    path = workdir / FILE
    if path.is_file():
        refuse_another_run(path, config)
    elif workdir.exists() and (not workdir.is_dir() or any(workdir.iterdir())):
        raise UserError(f"{workdir} is not empty and holds no run of ours (no {FILE}): choose another --workdir")
    else:
        workdir.mkdir(parents=True, exist_ok=True)
        write_text(path, json.dumps(config.to_dict(), indent=2) + "\n")
    return lock(path)


def refuse_another_run(path, config):
    """Raises a `UserError` if the configuration in the file is not this one."""
    try:
        there = dict(json.loads(path.read_text(encoding="utf-8")))
    except (ValueError, TypeError) as error:
        raise UserError(f"{path} is damaged: {one_line(error)}; choose another --workdir") from error
    ours = config.to_dict()
    different = [f"{key} {there.get(key)!r}, not {ours[key]!r}" for key in ours if there.get(key) != ours[key]]
    if different:
        raise UserError(f"{path.parent} holds another run, with {'; '.join(different)}: choose another --workdir")


def lock(path):
    """The file, opened and locked until it is closed, where the system has such locks."""
    file = path.open(encoding="utf-8")
    if fcntl:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            file.close()
            raise UserError(f"another process is training in {path.parent}: choose another --workdir") from error
    return file
