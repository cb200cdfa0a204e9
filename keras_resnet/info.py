"""Describes the named networks: size, cost, published accuracy and weights."""

import dataclasses
import functools
import json
import math
from pathlib import Path
from typing import TYPE_CHECKING, Self

from keras_resnet.models import variants
from keras_resnet.published import PUBLISHED, Published
from keras_resnet.weights.checkpoint_formats import CHECKPOINT_FORMATS
from keras_resnet.weights.pretrained.entries import PretrainedWeights
from keras_resnet.weights.pretrained.lookup import list_pretrained

if TYPE_CHECKING:
    import keras

SIZES_FILE = Path(__file__).with_name("model_sizes.json")


@dataclasses.dataclass(frozen=True)
class ModelSize:
    """The size of a network as its constructor builds it by default.

    Attributes:
        trainable, total: number of parameters, without and with the norms' moving statistics.
        macs: multiply-adds of convolutions and classifier, for one image.
        longest_path: number of layers with a kernel between input and output.
    """

    trainable: int
    total: int
    macs: int
    longest_path: int

    @classmethod
    def of(cls, model: "keras.Model") -> Self:
        """Measures a model of fixed input size."""
        from keras_resnet.graph import longest_path, macs

        trainable = sum(math.prod(weight.shape) for weight in model.trainable_weights)
        return cls(trainable, model.count_params(), macs(model), longest_path(model))


@dataclasses.dataclass(frozen=True)
class ModelInfo:
    """A row of the table with its size, its published results, the formats whose weights `load_weights` loads into it, and
    the trained weights that come with this package."""

    name: str
    depth: int
    block: str
    unit: str
    shortcut: str
    stem: str
    besides: tuple[str, ...]
    input_shape: tuple[int, int, int]
    classes: int
    size: ModelSize
    published: tuple[Published, ...]
    weights: tuple[str, ...]
    pretrained: tuple[PretrainedWeights, ...]

    def __str__(self) -> str:
        lines = {
            "architecture": f"{self.depth} layers, {self.block} units of order {self.unit}",
            "shortcut, stem": f"{self.shortcut}, {self.stem}",
            **({"besides": ", ".join(self.besides)} if self.besides else {}),
            "input": f"{self.input_shape}, {self.classes} classes",
            "parameters": f"{self.size.trainable:,} trainable, {self.size.total:,} total",
            "multiply-adds": f"{self.size.macs:,}",
            "longest path": f"{self.size.longest_path} layers with a kernel",
            "error (%)": "; ".join(map(str, self.published)) or "none published",
            "weights": "; ".join(self.weights) or "none published",
            "trained here": "; ".join(map(describe_entry, self.pretrained)) or "none",
        }
        return "\n".join([self.name, *(f"  {key:14} {value}" for key, value in lines.items())])


def describe(name: str) -> ModelInfo:
    """Builds and measures a named network; `print(describe("ResNet50V2"))` shows the result.

    Raises:
        UserError: for an unknown name, with the names most like it.
    """
    from keras_resnet.constructors import constructor

    return describe_with(name, ModelSize.of(constructor(name)()))


def describe_with(name: str, size: ModelSize) -> ModelInfo:
    """Describes a named network of known size.

    Raises:
        UserError: for an unknown name, with the names most like it.
    """
    row = variants.get_variant(name)
    family = variants.FAMILIES[row.family]
    return ModelInfo(
        name=name,
        depth=row.depth,
        block=row.block,
        unit=row.unit,
        shortcut=row.shortcut,
        stem=row.stem,
        besides=row.besides,
        input_shape=(family.image_size, family.image_size, 3),
        classes=family.classes,
        size=size,
        published=PUBLISHED.get(name, ()),
        weights=tuple(known.name for known in CHECKPOINT_FORMATS if name in known.compatible_models),
        pretrained=tuple(entry for entry in list_pretrained() if entry.model == name),
    )


def describe_entry(entry: PretrainedWeights) -> str:
    """Trained weights in a few words: "digits (99.72% of 360 test images)"."""
    return f"{entry.name} ({entry.accuracy:.2%} of {entry.images:,} test images)"


SUMMARY = ("model", "block", "trainable", "total", "multiply-adds", "error (%)", "weights from")


def summary(info: ModelInfo) -> tuple[str, ...]:
    """The columns `SUMMARY` of a network."""
    return (
        info.name,
        info.block,
        f"{info.size.trainable:,}",
        f"{info.size.total:,}",
        f"{info.size.macs / 1e6:,.1f} M",
        str(info.published[0]) if info.published else "",
        ", ".join(info.weights),
    )


@functools.cache
def recorded_sizes() -> dict[str, ModelSize]:
    """The `{name: ModelSize}` of every named network from a file, so that a list of all need not build them."""
    return {name: ModelSize(**size) for name, size in json.loads(SIZES_FILE.read_text(encoding="utf-8")).items()}
