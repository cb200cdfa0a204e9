"""Everything that decides a run's outcome, as one frozen record: `config.json` in the work directory."""

import dataclasses
import json
import typing
from pathlib import Path

from keras_resnet.errors import UserError, comma_join, first_line
from keras_resnet.files import write_text
from keras_resnet.models.options import ModelOptions

from .recipes import Recipe

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None

FILE = "config.json"


PRECISIONS = ("float32", "mixed_bfloat16", "mixed_float16")
BAD_IMAGES = ("skip", "fail")


@dataclasses.dataclass(frozen=True)
class TrainConfig:
    """A network, a data set, a recipe with its overrides resolved, the seed, and how it is to run.

    weights: file, or "imagenet", to begin with; skip_head: but for the classifier.
    image_size: pixels of a side; None: that of the images, or of the weights' preprocessing.
    validation_fraction: share of the training split that is kept apart to choose the best checkpoint by.
    precision: of computation; weights are float32.
    sync_batch_norm: normalise over the images of all replicas.

    The fields in `RUNTIME_FIELDS` do not decide what comes out, and may differ when a run is continued.
    """

    model: str
    dataset: str
    recipe_name: str
    recipe: Recipe
    block: str | None = None
    unit: str | None = None
    shortcut: str | None = None
    options: ModelOptions = dataclasses.field(default_factory=ModelOptions)
    weights: str | None = None
    skip_head: bool = False
    image_size: int | None = None
    validation_fraction: float = 0.1
    on_bad_image: str = "skip"
    seed: int = 0
    precision: str = "float32"
    sync_batch_norm: bool = False
    deterministic: bool = False
    data_dir: str | None = None
    manual_dir: str | None = None
    strategy: str = "auto"
    jit_compile: bool = False
    steps_per_execution: int = 0
    checkpoint_minutes: float = 10.0
    keep_checkpoints: int = 3

    RUNTIME_FIELDS: typing.ClassVar = (
        "data_dir", "manual_dir", "strategy", "jit_compile", "steps_per_execution", "checkpoint_minutes", "keep_checkpoints",
    )  # fmt: skip

    def __post_init__(self):
        if not 0 < self.validation_fraction < 1:
            raise UserError(f"validation_fraction is {self.validation_fraction}; it lies between 0 and 1")
        if not 0 <= self.seed < 2**31:
            raise UserError(f"seed is {self.seed}; it is at least 0 and below 2**31")
        for field, valid in (("precision", PRECISIONS), ("on_bad_image", BAD_IMAGES)):
            if getattr(self, field) not in valid:
                raise UserError(f"unknown {field} {getattr(self, field)!r}; it is one of {comma_join(valid)}")
        for field, least in (("image_size", 1), ("steps_per_execution", 0), ("keep_checkpoints", 1)):
            if getattr(self, field) is not None and getattr(self, field) < least:
                raise UserError(f"{field} is {getattr(self, field)}; it is at least {least}")
        if not self.checkpoint_minutes > 0:
            raise UserError(f"checkpoint_minutes is {self.checkpoint_minutes}; it is above 0")
        if self.skip_head and not self.weights:
            raise UserError("skip_head goes with weights: it leaves the classifier out of what is loaded")

    def to_dict(self):
        return json.loads(json.dumps(dataclasses.asdict(self)))

    @classmethod
    def from_dict(cls, record):
        """The inverse of `to_dict`; a `UserError` where the record is none of ours."""
        try:
            recipe, options = Recipe(**as_tuples(record["recipe"])), ModelOptions(**as_tuples(record["options"]))
            config = cls(**{**record, "recipe": recipe, "options": options})
            for part in (recipe, options, config):
                check_types(part)
            return config
        except (TypeError, KeyError, AttributeError) as error:
            raise UserError(f"it is no configuration of a run: {first_line(error)}") from error


def as_tuples(record):
    return {key: tuple(value) if isinstance(value, list) else value for key, value in record.items()}


def check_types(record):
    """Raises a `TypeError` where a field of a dataclass is not of its type; whole numbers are floats as well."""
    for field in dataclasses.fields(record):
        value, kind = getattr(record, field.name), field.type
        if not isinstance(value, kind | int if kind is float else kind):
            raise TypeError(f"{field.name} is {value!r}, which is no {getattr(kind, '__name__', kind)}")


def read_config(path):
    """The configuration in a `config.json`."""
    try:
        return TrainConfig.from_dict(json.loads(Path(path).read_text(encoding="utf-8")))
    except (OSError, ValueError) as error:
        raise UserError(f"{path} cannot be read: {first_line(error)}") from error


def open_workdir(workdir, config):
    """Makes the work directory, or continues in it if it holds a run with just this configuration.

    Returns a file to be closed at the end: while it is open, no other process can train here.
    """
    path = workdir / FILE
    if path.is_file():
        check_same_run(path, config)
    elif workdir.exists() and (not workdir.is_dir() or any(workdir.iterdir())):
        raise UserError(f"{workdir} is not empty and holds no run of ours (no {FILE}): choose another --workdir")
    else:
        workdir.mkdir(parents=True, exist_ok=True)
        write_text(path, json.dumps(config.to_dict(), indent=2) + "\n")
    return lock(path)


def check_same_run(path, config):
    """Raises a `UserError` if the configuration in the file is not this one."""
    try:
        there = dict(json.loads(path.read_text(encoding="utf-8")))
    except (ValueError, TypeError) as error:
        raise UserError(f"{path} is damaged: {first_line(error)}; choose another --workdir") from error
    ours = {key: value for key, value in config.to_dict().items() if key not in config.RUNTIME_FIELDS}
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
