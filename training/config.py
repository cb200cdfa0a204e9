"""Everything that decides a run's outcome, as one frozen record: `config.json` in the work directory."""

import dataclasses
import json
import os
from collections.abc import Mapping
from typing import Any, ClassVar, Self

from keras_resnet.errors import MAX_COUNT, UserError, check_at_most, comma_join
from keras_resnet.models.options import ModelOptions
from keras_resnet.models.variants import VARIATIONS
from keras_resnet.preprocessing import MAX_SIDE
from keras_resnet.records import from_record, read_json

from .recipes import Recipe

CONFIG_FILE = "config.json"
PRECISIONS = ("float32", "mixed_bfloat16", "mixed_float16")
BAD_IMAGES = ("skip", "fail")
STACK_UNITS = ("auto", "on", "off")
STRATEGIES = ("auto", "one_device", "mirrored", "multi_worker", "tpu")  # rows of a table that needs TensorFlow; a test compares


@dataclasses.dataclass(frozen=True)
class TrainConfig:
    """What to train, on what, with which recipe, and how to run it.

    The fields in `RUNTIME_FIELDS` do not decide what comes out, and may differ when a run is continued.

    Attributes:
        model: name of the network.
        dataset: name of the data set.
        recipe_name: name of the recipe that `recipe` was made from.
        recipe: how to train, with all overrides applied.
        block, unit, shortcut, stem, projection, antialias, attention, normalization: variations of the network, see
            `models.variants.VARIATIONS`; None for its own.
        options: further options of the network.
        weights: file to start from, "imagenet", or a name in `keras_resnet.list_pretrained()`; None for random weights.
        skip_head: leave the classifier out of what is loaded from `weights`.
        image_size: side of the images in pixels; None for their own, or that of the weights' preprocessing.
        validation_fraction: share of the training split that is set aside to choose the best checkpoint by.
        on_bad_image: what to do about images that cannot be decoded, of `BAD_IMAGES`.
        seed: of the weights, the order of the images and their augmentation.
        precision: of computation, of `PRECISIONS`; weights are always float32.
        sync_batch_norm: normalize over the images of all replicas.
        deterministic: the same bits in every run, where TensorFlow can.
        data_dir: folder of images, or another container of them, or folder of prepared TensorFlow datasets; or a URL.
        manual_dir: folder of archives that the user downloaded.
        strategy: how to distribute, of `STRATEGIES`.
        jit_compile: compile the step with XLA.
        stack_units: whether alike units run as a loop around one of them, of `STACK_UNITS`; auto: where there are many.
        rematerialize: compute what is inside the units again for their gradients, instead of keeping it.
        steps_per_execution: training steps between two returns to the host; 0 fits it to about a second.
        checkpoint_minutes: longest time between two checkpoints.
        keep_checkpoints: how many of the newest checkpoints to keep.
    """

    model: str
    dataset: str
    recipe_name: str
    recipe: Recipe
    block: str | None = None
    unit: str | None = None
    shortcut: str | None = None
    stem: str | None = None
    projection: str | None = None
    antialias: str | None = None
    attention: str | None = None
    normalization: str | None = None
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
    stack_units: str = "auto"
    rematerialize: bool = False
    steps_per_execution: int = 0
    checkpoint_minutes: float = 10.0
    keep_checkpoints: int = 3

    RUNTIME_FIELDS: ClassVar[tuple[str, ...]] = (
        "data_dir", "manual_dir", "strategy", "jit_compile", "stack_units", "rematerialize", "steps_per_execution",
        "checkpoint_minutes", "keep_checkpoints",
    )  # fmt: skip

    def __post_init__(self) -> None:
        if not isinstance(self.recipe, Recipe):
            raise UserError(f"recipe is {self.recipe!r}; it must be a Recipe, such as get_recipe('short')")
        if not 0 < self.validation_fraction < 1:
            raise UserError(f"validation_fraction is {self.validation_fraction}; it must be between 0 and 1")
        if not 0 <= self.seed < 2**31:
            raise UserError(f"seed is {self.seed}; it must be at least 0 and below 2**31")
        for field, valid in (("precision", PRECISIONS), ("on_bad_image", BAD_IMAGES), ("stack_units", STACK_UNITS)):
            if getattr(self, field) not in valid:
                raise UserError(f"unknown {field} {getattr(self, field)!r}; it must be one of {comma_join(valid)}")
        for field, least in (("image_size", 1), ("steps_per_execution", 0), ("keep_checkpoints", 1)):
            if getattr(self, field) is not None and getattr(self, field) < least:
                raise UserError(f"{field} is {getattr(self, field)}; it must be at least {least}")
        for field, most in (
            ("image_size", MAX_SIDE),
            ("steps_per_execution", MAX_COUNT),
            ("keep_checkpoints", MAX_COUNT),
        ):
            check_at_most(field, getattr(self, field) or 0, most)
        if not self.checkpoint_minutes > 0:
            raise UserError(f"checkpoint_minutes is {self.checkpoint_minutes}; it must be above 0")
        if self.skip_head and not self.weights:
            raise UserError("skip_head goes with weights: it leaves the classifier out of what is loaded")

    @property
    def variations(self) -> dict[str, str | None]:
        """How the network departs from the row of its name, see `models.variants.with_overrides`."""
        return {name: getattr(self, name) for name in VARIATIONS}

    def to_dict(self) -> dict[str, Any]:
        """The record as JSON holds it."""
        return json.loads(json.dumps(dataclasses.asdict(self)))

    @classmethod
    def from_dict(cls, record: dict[str, Any]) -> Self:
        """The inverse of `to_dict`.

        Raises:
            UserError: if the record is not a configuration.
        """
        try:
            return from_record(record, cls)
        except UserError as error:
            raise UserError(f"not the configuration of a run: {error}") from error


def read_config(path: str | os.PathLike[str]) -> TrainConfig:
    """Reads the configuration in a `config.json`."""
    record = read_record(path)
    try:
        return TrainConfig.from_dict(record)
    except UserError as error:
        raise UserError(f"{path} cannot be read: {error}") from error


def read_record(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Reads the JSON object in a `config.json`, unless an earlier version wrote it."""
    record = read_json(path)
    if not isinstance(record, dict):
        raise UserError(f"{path} cannot be read: it is not a JSON object")
    if "settings" in record:
        raise UserError(f"{path} was written by an earlier version of keras-resnet, whose runs this version cannot read")
    return record


def flatten(record: Mapping[str, Any]) -> dict[str, Any]:
    """The values of a record, those of a record inside of it under `outer.inner`."""
    flat = {}
    for key, value in record.items():
        inner = flatten(value) if isinstance(value, Mapping) else {"": value}
        flat |= {f"{key}.{name}".rstrip("."): each for name, each in inner.items()}
    return flat
