"""Facts at hand: what a named network has, costs and reached."""

import dataclasses
import functools
import json
import math
from pathlib import Path

from keras_resnet.models import variants
from keras_resnet.published import PUBLISHED
from keras_resnet.weights.checkpoint_formats import CHECKPOINT_FORMATS

COUNTS_FILE = Path(__file__).with_name("counts.json")


@dataclasses.dataclass(frozen=True)
class ModelSize:
    """Of a network as its constructor makes it by default.

    trainable, total: parameters, without and with the norms' moving statistics. macs: of convolutions and classifier,
    for one image. longest_path: layers with a kernel between input and output.
    """

    trainable: int
    total: int
    macs: int
    longest_path: int

    @classmethod
    def of(cls, model):
        """Counted in the graph of a model of fixed input size."""
        from keras_resnet.models.graph import longest_path, macs

        trainable = sum(math.prod(weight.shape) for weight in model.trainable_weights)
        return cls(trainable, model.count_params(), macs(model), longest_path(model))


@dataclasses.dataclass(frozen=True)
class ModelInfo:
    """A row of the table, its size, what was published, and whose weights fit (to be loaded by `load_weights`)."""

    name: str
    depth: int
    block: str
    unit: str
    shortcut: str
    stem: str
    input_shape: tuple
    classes: int
    counts: ModelSize
    published: tuple
    weights: tuple

    def __str__(self):
        lines = {
            "network": f"{self.depth} layers, {self.block} units",
            "order": f"{self.unit}, shortcut {self.shortcut}, stem {self.stem}",
            "input": f"{self.input_shape}, {self.classes} classes",
            "parameters": f"{self.counts.trainable:,} trainable, {self.counts.total:,} in all",
            "multiply-adds": f"{self.counts.macs:,}",
            "longest path": f"{self.counts.longest_path} layers with a kernel",
            "error": "; ".join(map(str, self.published)) or "none published",
            "weights": "; ".join(self.weights) or "none published",
        }
        return "\n".join([self.name, *(f"  {key:14} {value}" for key, value in lines.items())])


def describe(name):
    """A `ModelInfo` of a named network, counted in its graph; `print(describe("ResNet50V2"))` shows it.

    Raises:
        UserError: for an unknown name, with those most like it.
    """
    from keras_resnet.constructors import constructor

    variants.get_variant(name)
    return describe_with(name, ModelSize.of(constructor(name)()))


def describe_with(name, counts):
    row = variants.get_variant(name)
    family = variants.FAMILIES[row.family]
    return ModelInfo(
        name=name,
        input_shape=(family.image_size, family.image_size, 3),
        classes=family.classes,
        counts=counts,
        published=PUBLISHED.get(name, ()),
        weights=tuple(source.name for source in CHECKPOINT_FORMATS if name in source.compatible_models),
        **{field: getattr(row, field) for field in ("depth", "block", "unit", "shortcut", "stem")},
    )


SUMMARY = ("model", "block", "trainable", "total", "multiply-adds", "error, %", "weights of")


def summary(description):
    """The columns `SUMMARY` of a description."""
    counts = description.counts
    return (
        description.name,
        description.block,
        f"{counts.trainable:,}",
        f"{counts.total:,}",
        f"{counts.macs / 1e6:,.1f} M",
        str(description.published[0]) if description.published else "",
        ", ".join(description.weights),
    )


@functools.cache
def recorded_sizes():
    """`{name: ModelSize}` as they were counted for every named network, so that a list of all need not build them."""
    return {name: ModelSize(**counts) for name, counts in json.loads(COUNTS_FILE.read_text(encoding="utf-8")).items()}
