"""What a config.json that timm wrote says: `timm.models.save_for_hf`, of version 1, and the flat layout before it."""

import dataclasses
import functools
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from keras_resnet.errors import UserError, comma_join
from keras_resnet.metadata import check_license
from keras_resnet.preprocessing import INTERPOLATIONS, Preprocessing
from keras_resnet.records import from_record

from .network_config import NetworkConfig, distinct_names

# What a network is built with that changes neither its weights nor what it computes in inference.
HARMLESS_ARGUMENTS = {
    "num_classes", "in_chans", "global_pool", "drop_rate", "drop_path_rate", "drop_block_rate", "zero_init_last", "scriptable",
    "pretrained", "act_layer", "block_args", "img_size",
}  # fmt: skip
IMAGENET_LABELS = "image_classification/imagenet_resized_labels.txt"  # of tensorflow-datasets: synsets, in another order


@dataclasses.dataclass(frozen=True)
class TimmPreprocessing:
    """What timm says about a network's images, as far as it is used here; sizes are (channels, height, width)."""

    input_size: tuple[int, int, int]
    interpolation: str
    mean: tuple[float, ...]
    std: tuple[float, ...]
    crop_pct: float
    test_input_size: tuple[int, int, int] | None = None
    test_crop_pct: float | None = None
    crop_mode: str | None = None

    @property
    def preprocessing(self) -> Preprocessing:
        """As `timm.data.resolve_data_config(use_test_size=True)`: with what the published accuracy was measured."""
        channels, height, width = self.test_input_size or self.input_size
        if self.interpolation not in INTERPOLATIONS:
            raise UserError(
                f"interpolation is {self.interpolation!r}; images can be resized by {comma_join(INTERPOLATIONS)} here"
            )
        if self.crop_mode not in (None, "center"):
            raise UserError(f"crop_mode is {self.crop_mode!r}; images can be cropped in the center here")
        crop_fraction = self.test_crop_pct or self.crop_pct
        return Preprocessing(height, width, channels, self.mean, self.std, crop_fraction, self.interpolation)


@dataclasses.dataclass(frozen=True)
class TimmConfig:
    """What timm says about a network, as far as it is used here."""

    architecture: str
    num_classes: int | None = None
    label_names: tuple[str, ...] | dict[str, str] | None = None
    labels: tuple[str, ...] | dict[str, str] | None = None  # as it was called before
    label_descriptions: dict[str, str] | None = None
    model_args: dict[str, Any] | None = None
    global_pool: str | None = None


def is_timm_config(config: Mapping[str, Any]) -> bool:
    return isinstance(config.get("architecture"), str)


def read_timm_config(config: Mapping[str, Any]) -> NetworkConfig:
    """Reads a parsed config.json.

    Raises:
        UserError: if an entry is missing or wrong, or the network was built with arguments that change it.
    """
    pretrained = config.get("pretrained_cfg", config)
    if not isinstance(pretrained, Mapping):
        raise UserError("pretrained_cfg is not an object")
    network = from_record({**pretrained, **config}, TimmConfig, ignore_unknown=True)
    arguments = network.model_args or {}
    changed = [name for name in arguments if name not in HARMLESS_ARGUMENTS or (name.endswith("_layer") and arguments[name])]
    if changed or arguments.get("block_args"):
        raise UserError(
            f"model_args has {comma_join(changed or ['block_args'])}, which makes another network of the architecture"
        )
    if network.num_classes is None:
        raise UserError("it has no num_classes")
    if network.num_classes < 0:
        raise UserError(f"num_classes is {network.num_classes}; it is at least 0")
    for pool in (network.global_pool, arguments.get("global_pool")):
        if (pool or "avg") != "avg":
            raise UserError(f"global_pool is {pool!r}; it must be avg")
    license, tag = pretrained.get("license"), pretrained.get("tag")
    license = license if isinstance(license, str) else ""
    check_license(license)
    return NetworkConfig(
        library="timm",
        architecture=network.architecture.partition(".")[0],
        classes=network.num_classes,
        class_names=class_names(network, f"{tag or network.architecture}"),
        preprocessing=timm_preprocessing(pretrained),
        license=license,
    )


def timm_preprocessing(record: Mapping[str, Any]) -> Preprocessing | None:
    """What timm's `pretrained_cfg` says about images; None if it does not say all that is needed.

    Raises:
        UserError: if it is wrong, or asks for what `Preprocessing` does not have.
    """
    required = [field.name for field in dataclasses.fields(TimmPreprocessing) if field.default is dataclasses.MISSING]
    if not all(name in record for name in required):
        return None
    return from_record(record, TimmPreprocessing, ignore_unknown=True).preprocessing


def class_names(network: TimmConfig, tag: str) -> tuple[str, ...]:
    """The names of the classes, by their descriptions where there are some; of ImageNet's 1,000 the synsets.

    timm's own repositories do not name those: their order is that of the synsets.
    """
    names, classes = network.label_names or network.labels, network.num_classes or 0
    if not names:
        return imagenet_synsets() if classes == 1000 and tag.endswith("in1k") else ()
    if isinstance(names, Mapping):
        if set(names) != set(map(str, range(classes))):
            raise UserError(f"label_names does not name the classes 0 to {classes - 1}")
        names = tuple(names[str(index)] for index in range(classes))
    if len(names) != classes:
        raise UserError(f"label_names has {len(names)} names, and num_classes is {classes}")
    descriptions = network.label_descriptions or {}
    return distinct_names([descriptions.get(name, name) for name in names])


@functools.cache
def imagenet_synsets() -> tuple[str, ...]:
    """The identifiers of ImageNet's classes, such as "n01440764", in the order of their indices; () if they are not found.

    They are in the wheel of tensorflow-datasets, which is not imported for them.
    """
    package = find_spec("tensorflow_datasets")
    for folder in package.submodule_search_locations or () if package else ():
        path = Path(folder) / IMAGENET_LABELS
        if path.is_file() and len(names := sorted(set(path.read_text(encoding="utf-8").split()))) == 1000:
            return tuple(names)
    return ()
