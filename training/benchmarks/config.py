"""What to measure, and how often. Nothing here or in `candidates` loads Keras, as PyTorch's process imports both too."""

import dataclasses
from typing import Any, Self

from keras_resnet.benchmarks.applications import APPLICATIONS
from keras_resnet.benchmarks.config import check_counts
from keras_resnet.errors import MAX_COUNT, UserError, check_at_most, comma_join
from keras_resnet.models import variants
from keras_resnet.models.options import ModelOptions
from keras_resnet.preprocessing import MAX_SIDE

from ..config import PRECISIONS
from .candidates import CANDIDATES, IMAGENET_IMAGES, JPEG_INPUT, JPEG_SIDE, MIN_IMAGES, OURS, Candidate

LEARNING_RATE, MOMENTUM = 0.001, 0.9  # of every candidate's SGD, which has no weight decay


@dataclasses.dataclass(frozen=True)
class BenchmarkConfig:
    """What to measure, and how often.

    Args:
        task: A key of `CANDIDATES`.
        model: A named network, which the fields in `VARIATIONS` and `options` vary as the constructors' arguments do.
        batch_size: Images per step.
        image_size: Height and width of the images in pixels; None for the network's own.
        steps: Steps per measurement; 0 fits them to a few seconds.
        rounds: Measurements of each candidate.
        baselines: Keys of the candidates to compare against; None for all that apply.
        precision: Of computation, of `PRECISIONS`; weights are always float32. For training.
        images: In the folder of --task=start.
        jit_compile: Whether XLA compiles the step, and `torch.compile` PyTorch's; else as each library does by itself.
    """

    task: str
    model: str
    block: str | None = None
    unit: str | None = None
    shortcut: str | None = None
    stem: str | None = None
    projection: str | None = None
    antialias: str | None = None
    attention: str | None = None
    normalization: str | None = None
    options: ModelOptions = dataclasses.field(default_factory=ModelOptions)
    batch_size: int = 128
    image_size: int | None = None
    steps: int = 0
    rounds: int = 5
    baselines: tuple[str, ...] | None = None
    precision: str = "float32"
    jit_compile: bool = False
    images: int = IMAGENET_IMAGES

    def __post_init__(self) -> None:
        if self.task not in CANDIDATES:
            raise UserError(f"unknown --task {self.task!r}; it is one of {comma_join(CANDIDATES)}")
        if self.precision not in PRECISIONS:
            raise UserError(f"unknown precision {self.precision!r}; it must be one of {comma_join(PRECISIONS)}")
        if self.image_size is not None:
            check_at_most("image_size", self.image_size, MAX_SIDE)
        if not MIN_IMAGES <= self.images <= MAX_COUNT:
            raise UserError(f"images is {self.images}; it must be at least {MIN_IMAGES:,} and at most {MAX_COUNT:,}")
        check_counts(self.batch_size, self.steps, self.rounds, fitted_to="a few seconds")

    @classmethod
    def from_record(cls, record: dict[str, Any]) -> Self:
        """Reads what `dataclasses.asdict` gave, by way of JSON."""
        return cls(**{**record, "options": ModelOptions(**record["options"])})

    @property
    def family(self) -> variants.Family:
        return variants.FAMILIES[variants.get_variant(self.model).family]

    @property
    def side(self) -> int:
        return self.image_size or self.family.image_size

    @property
    def candidates(self) -> dict[str, Candidate]:
        """The table of candidates: of the task, and of the kind of images if these are what the task is about."""
        return JPEG_INPUT if self.task == "input" and self.side >= JPEG_SIDE else CANDIDATES[self.task]

    @property
    def input_shape(self) -> tuple[int, int, int]:
        return self.side, self.side, 3

    @property
    def variations(self) -> dict[str, str | None]:
        """As those of a `TrainConfig`."""
        return {name: getattr(self, name) for name in variants.VARIATIONS}

    @property
    def changes(self) -> dict[str, Any]:
        """What differs from the network that the name alone stands for."""
        changed = {name: value for name, value in self.variations.items() if value}
        default = ModelOptions()
        return changed | {name: value for name, value in vars(self.options).items() if value != getattr(default, name)}

    def __str__(self) -> str:
        network = ", ".join([self.model, *(f"{name} {value}" for name, value in self.changes.items())])
        size = f", {self.side}x{self.side} pixels"
        batch = "" if self.task == "build" else f", batch {self.batch_size}"
        precision = "" if self.precision == "float32" else f", {self.precision}"
        return network + size + batch + precision + (", compiled" if self.jit_compile else "")


def select_candidates(config: BenchmarkConfig) -> dict[str, Candidate]:
    """Returns `{key: Candidate}` of those that `config` asks for, ours first; a `UserError` for one that does not apply."""
    table = config.candidates
    baselines = [key for key in table if key != OURS]
    applicable = [key for key in baselines if not key.startswith("applications") or has_application(config)]
    if config.baselines is None:
        return {key: table[key] for key in (OURS, *applicable) if table[key].by_default}
    if unknown := [key for key in config.baselines if key not in baselines]:
        raise UserError(
            f"--baselines names {comma_join(unknown)}; the baselines of --task={config.task} are {comma_join(baselines)}"
        )
    if set(config.baselines) - set(applicable):
        raise UserError(
            f"keras.applications has no {config}; it has counterparts of {comma_join(APPLICATIONS)}, without any changes"
        )
    return {key: table[key] for key in table if key in (OURS, *config.baselines)}


def has_application(config: BenchmarkConfig) -> bool:
    return config.model in APPLICATIONS and not config.changes
