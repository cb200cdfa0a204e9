"""What a config.json and a preprocessor_config.json that transformers wrote say: its `ResNet` and `Bit` classifiers."""

import dataclasses
import math
from collections.abc import Mapping
from typing import Any

from keras_resnet.errors import UserError, check_at_most, comma_join
from keras_resnet.preprocessing import MAX_CHANNELS, Preprocessing
from keras_resnet.records import from_record

from .network_config import NetworkConfig, distinct_names

CLASSIFIERS = {"ResNetForImageClassification": "resnet", "BitForImageClassification": "bit"}
BODIES = {"ResNetModel": "resnet", "ResNetBackbone": "resnet", "BitModel": "bit", "BitBackbone": "bit"}
WIDTHS = {"basic": (64, 128, 256, 512), "bottleneck": (256, 512, 1024, 2048), "preactivation": (256, 512, 1024, 2048)}
RESAMPLING = {2: "bilinear", 3: "bicubic"}  # Pillow's numbers
CONVNEXT = ("ConvNextImageProcessor", "ConvNextFeatureExtractor", "ConvNextImageProcessorFast")
CENTER_CROP = ("BitImageProcessor", "BitImageProcessorFast", "CLIPImageProcessor")
# Settings that change what a network computes, and not its tensors; what they are in the networks of this zoo.
SETTINGS = {
    "resnet": {"hidden_act": "relu", "downsample_in_first_stage": False},
    "bit": {
        "hidden_act": "relu", "layer_type": "preactivation", "global_padding": None, "num_groups": 32,
        "embedding_dynamic_padding": False, "output_stride": 32,
    },
}  # fmt: skip
WARPED = 384  # pixels, from which ConvNextImageProcessor resizes to a square


@dataclasses.dataclass(frozen=True)
class TransformersConfig:
    """What transformers says about a network, as far as it is used here; defaults are `ResNetConfig`'s and `BitConfig`'s."""

    architectures: tuple[str, ...]
    depths: tuple[int, ...] = (3, 4, 6, 3)
    hidden_sizes: tuple[int, ...] = WIDTHS["bottleneck"]
    embedding_size: int = 64
    layer_type: str = ""
    hidden_act: str = "relu"
    num_channels: int = 3
    downsample_in_first_stage: bool = False
    downsample_in_bottleneck: bool = False
    id2label: dict[str, str] | None = None
    num_labels: int | None = None
    global_padding: str | None = None
    embedding_dynamic_padding: bool = False
    num_groups: int = 32
    width_factor: int = 1
    output_stride: int = 32


@dataclasses.dataclass(frozen=True)
class Processor:
    """What transformers says about images, as far as it is used here."""

    image_mean: tuple[float, ...]
    image_std: tuple[float, ...]
    size: int | dict[str, int]
    resample: int = 3
    crop_size: int | dict[str, int] | None = None
    crop_pct: float | None = None
    rescale_factor: float = 1 / 255
    do_resize: bool = True
    do_rescale: bool = True
    do_normalize: bool = True
    do_center_crop: bool = False
    image_processor_type: str = ""
    feature_extractor_type: str = ""


def is_transformers_config(config: Mapping[str, Any]) -> bool:
    return isinstance(config.get("architectures"), list)


def read_transformers_config(config: Mapping[str, Any], processor: Any) -> NetworkConfig:
    """Reads a parsed config.json. processor: the parsed preprocessor_config.json, or None.

    The architecture is spelled as its family, kind of units and units per stage: "resnet bottleneck 3-4-6-3". One whose 1x1
    convolutions have the strides is "resnet bottleneck 3-4-6-3 downsample_in_bottleneck".

    Raises:
        UserError: for another network, or entries that are wrong.
    """
    network = from_record(config, TransformersConfig, ignore_unknown=True)
    known = CLASSIFIERS | BODIES
    name = next((name for name in network.architectures if name in known), None)
    if name is None:
        raise UserError(
            f"transformers' {comma_join(network.architectures, 3) or 'network'} is not a network of this zoo; "
            f"it has {comma_join(CLASSIFIERS)}"
        )
    family = known[name]
    layer_type = network.layer_type or {"resnet": "bottleneck", "bit": "preactivation"}[family]
    check_is_resnet(network, family, layer_type)
    spelled = f"{family} {layer_type} {'-'.join(map(str, network.depths))}"
    if family == "resnet" and network.downsample_in_bottleneck and layer_type == "bottleneck":
        spelled += " downsample_in_bottleneck"
    classes = len(network.id2label) if network.id2label else network.num_labels or 2  # transformers' own default
    return NetworkConfig(
        library="transformers",
        architecture=spelled,
        classes=classes if name in CLASSIFIERS else 0,
        class_names=class_names(network.id2label) if network.id2label and name in CLASSIFIERS else (),
        preprocessing=None if processor is None else transformers_preprocessing(processor, network.num_channels),
    )


def check_is_resnet(network: TransformersConfig, family: str, layer_type: str) -> None:
    """Raises a `UserError` for entries that make another network than those that were published."""
    expected = {name: (getattr(network, name), (ours,)) for name, ours in SETTINGS[family].items()}
    expected |= {
        "layer_type": (layer_type, ("preactivation",) if family == "bit" else ("basic", "bottleneck")),
        "hidden_sizes": (network.hidden_sizes, (WIDTHS.get(layer_type, ()),)),
        "embedding_size": (network.embedding_size, (64,)),
    }
    if family == "bit":
        expected["width_factor"] = (network.width_factor, (1,))
    for field, (value, valid) in expected.items():
        if value not in valid:
            raise UserError(f"{field} is {value!r}; the networks of this zoo have {comma_join(map(repr, valid))}")


def class_names(id2label: Mapping[str, str]) -> tuple[str, ...]:
    """The names of the classes; () for transformers' own, which stand for none: LABEL_0, LABEL_1 ..."""
    if set(id2label) != set(map(str, range(len(id2label)))):
        raise UserError(f"id2label does not name the classes 0 to {len(id2label) - 1}")
    names = [id2label[str(index)] for index in range(len(id2label))]
    return () if all(name == f"LABEL_{index}" for index, name in enumerate(names)) else distinct_names(names)


def transformers_preprocessing(record: Any, channels: int) -> Preprocessing:
    """The images of a parsed preprocessor_config.json.

    Raises:
        UserError: if it is wrong, or asks for what `Preprocessing` does not have.
    """
    processor = from_record(record, Processor, ignore_unknown=True)
    kind = processor.image_processor_type or processor.feature_extractor_type
    if not processor.do_rescale or not math.isclose(processor.rescale_factor, 1 / 255, rel_tol=1e-6):
        raise UserError("its processor does not scale pixels by 1/255")
    if processor.resample not in RESAMPLING:
        raise UserError(f"resample is {processor.resample}; it is one of {comma_join(RESAMPLING)} here")
    edge = one_side(processor.size, "size")
    if kind in CONVNEXT and processor.do_resize and edge < WARPED:
        side, crop_fraction = edge, processor.crop_pct or 224 / 256
    elif kind in CENTER_CROP and processor.do_resize and processor.do_center_crop and processor.crop_size is not None:
        side = one_side(processor.crop_size, "crop_size")
        crop_fraction = side / edge
    else:
        raise UserError(f"the processor {kind or 'of an unknown kind'} does not resize the shorter side and crop in the center")
    check_at_most("num_channels", channels, MAX_CHANNELS)
    mean, std = ((value,) * channels for value in (0.0, 1.0))
    if processor.do_normalize:
        mean, std = processor.image_mean, processor.image_std
    interpolation = RESAMPLING[processor.resample]
    return Preprocessing(side, side, channels, mean, std, crop_fraction, interpolation, crop_rounding="down")


def one_side(size: int | Mapping[str, int], name: str) -> int:
    """The side of a square in pixels, or the shorter side of an image that is resized to it."""
    sides = {size} if isinstance(size, int) else set(size.values())
    if len(sides) != 1 or (isinstance(size, Mapping) and name == "size" and "shortest_edge" not in size):
        raise UserError(f"{name} is not a shorter side" if name == "size" else f"{name} is not a square")
    return sides.pop()
