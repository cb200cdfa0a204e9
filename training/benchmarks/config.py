"""What is to be measured, and how often. Nothing here or in `candidates` loads Keras: PyTorch's process reads it too."""

import dataclasses

from keras_resnet.errors import UserError, comma_join
from keras_resnet.models import variants
from keras_resnet.models.options import ModelOptions

from .candidates import CANDIDATES

LEARNING_RATE, MOMENTUM = 0.001, 0.9  # of everybody's SGD, without weight decay


@dataclasses.dataclass(frozen=True)
class BenchmarkConfig:
    """what: a key of `CANDIDATES`. against: those to run beside ours; None for all that fit.

    batch_size: images per step. image_size: their side in pixels; None for the network's own. steps: per measurement; 0 fits
    them to a few seconds. rounds: measurements of each.
    """

    task: str
    model: str
    block: str | None = None
    unit: str | None = None
    shortcut: str | None = None
    options: ModelOptions = dataclasses.field(default_factory=ModelOptions)
    batch_size: int = 128
    image_size: int | None = None
    steps: int = 0
    rounds: int = 5
    baselines: tuple | None = None

    def __post_init__(self):
        if self.task not in CANDIDATES:
            raise UserError(f"unknown --task {self.task!r}; it is one of {comma_join(CANDIDATES)}")
        for name in ("batch_size", "rounds"):
            if getattr(self, name) < 1:
                raise UserError(f"{name} is {getattr(self, name)}; it is at least 1")
        if self.steps < 0:
            raise UserError(f"steps is {self.steps}; it is at least 1, or 0 to fit it to a few seconds")

    @classmethod
    def from_record(cls, record):
        """From what `dataclasses.asdict` gave, by way of JSON."""
        return cls(**{**record, "options": ModelOptions(**record["options"])})

    @property
    def family(self):
        return variants.FAMILIES[variants.get_variant(self.model).family]

    @property
    def side(self):
        return self.image_size or self.family.image_size

    @property
    def as_named(self):
        """Whether the network is the one that the name alone stands for."""
        return not (self.block or self.unit or self.shortcut) and self.options == ModelOptions()

    def __str__(self):
        names = ("block", "unit", "shortcut")
        changed = {name: getattr(self, name) for name in names if getattr(self, name)}
        default = ModelOptions()
        changed |= {name: value for name, value in vars(self.options).items() if value != getattr(default, name)}
        network = ", ".join([self.model, *(f"{name} {value}" for name, value in changed.items())])
        size = f", {self.side}x{self.side} pixels"
        return network + size + ("" if self.task == "build" else f", batch {self.batch_size}")
