"""How PyTorch's libraries name the tensors of their ResNets: timm, torchvision, transformers, and akamaster's repository."""

from collections.abc import Collection

from keras_resnet.models.naming import HEAD_NORM, LOGITS_LAYER, STEM_CONV, STEM_NORM, unit_layer
from keras_resnet.models.variants import VARIANTS

from .architectures import TIMM_ARCHITECTURES
from .checkpoint_format import (
    BARE_PROJECTION,
    CONV,
    NORM,
    PADDING,
    POINTLESS,
    PROJECTION,
    SHORTCUT,
    SHORTCUT_CONV,
    SHORTCUT_NORM,
    STEM_CONVS,
    STEM_NORMS,
    CheckpointFormat,
)

TORCH_UNIT = r"layer(?P<s>\d)\.(?P<u>\d+)\."
TIMM_UNIT = r"stages\.(?P<s>\d)\.blocks\.(?P<u>\d+)\."
TRANSFORMERS_UNIT = r"encoder\.stages\.(?P<s>\d)\.layers\.(?P<u>\d+)\."
RELU_POOLS = ("zeros", "neg_inf", "filter", "none")  # behind a ReLU the first two agree, and the tensors tell the last

UNIT_MAP = (
    (TORCH_UNIT + r"conv(?P<n>\d)", CONV),
    (TORCH_UNIT + r"bn(?P<n>\d)", NORM),
    (TORCH_UNIT + r"se\.fc1", unit_layer("{s}", "{u}", "se_reduce")),
    (TORCH_UNIT + r"se\.fc2", unit_layer("{s}", "{u}", "se_expand")),
    (TORCH_UNIT + r"se\.conv", unit_layer("{s}", "{u}", "eca_conv")),
    (r"fc|linear", LOGITS_LAYER),
)
# The first convolution may be three, and a projection may have a mean of pixels before it, which counts as a layer.
STEMS = {
    "": ((r"conv1", STEM_CONV), (r"bn1", STEM_NORM)),
    "deep": (
        (r"conv1\.0", STEM_CONVS[0]),
        (r"conv1\.1", STEM_NORMS[0]),
        (r"conv1\.3", STEM_CONVS[1]),
        (r"conv1\.4", STEM_NORMS[1]),
        (r"conv1\.6", STEM_CONVS[2]),
        (r"bn1", STEM_NORMS[2]),
        (r"maxpool\.0", STEM_CONVS[3]),  # ResNet-RS
        (r"maxpool\.1", STEM_NORMS[3]),
    ),
}
PROJECTIONS = {
    "1x1": (
        (TORCH_UNIT + r"(?:downsample|shortcut)\.0", SHORTCUT_CONV),
        (TORCH_UNIT + r"(?:downsample|shortcut)\.1", SHORTCUT_NORM),
    ),
    "avg_pool": ((TORCH_UNIT + r"downsample\.1", SHORTCUT_CONV), (TORCH_UNIT + r"downsample\.2", SHORTCUT_NORM)),
}
TORCH_FEATURES = r"(?:conv|bn|norm|layer|stem|stages|downsample|shortcut|maxpool)\d*\b"
TRANSFORMERS_FEATURES = r"(?:embedder|encoder|norm)\b"


def timm_models(unit: str, stem: str, projection: str, normalization: Collection[str] = ("batch", "group")) -> tuple[str, ...]:
    """The networks of timm of this order, with one of the `STEMS`, a projection and one of some normalizations."""
    rows = {name: VARIANTS[name] for name in dict.fromkeys(TIMM_ARCHITECTURES.values())}
    return tuple(
        name
        for name, row in rows.items()
        if (row.unit, row.projection) == (unit, projection)
        and row.normalization in normalization
        and (row.stem in ("imagenet", "timm", "bit")) == (stem == "")
    )


def resnet(stem: str, projection: str) -> CheckpointFormat:
    """timm's `resnet.py` with one of the `STEMS` and one of the `PROJECTIONS`."""
    return CheckpointFormat(
        "timm ResNet",
        signature_layer="layer4.0.conv1",
        signature_tensors=(
            *(["conv1.6.weight"] if stem else []),
            *(["layer4.0.downsample.2.weight"] if projection == "avg_pool" else []),
        ),
        compatible_models=timm_models("original", stem, projection),
        name_map=(*STEMS[stem], *PROJECTIONS[projection], *UNIT_MAP),
        order="original",
        stride_on="3x3",
        shortcuts=(PROJECTION,),
        projection=projection,
        pools=RELU_POOLS,
        features=TORCH_FEATURES,
        preset="torchvision_v1",
    )


def resnetv2(name: str, compatible: tuple[str, ...], projection: str = "1x1", **differences: object) -> CheckpointFormat:
    """timm's `resnetv2.py`."""
    common = {
        "signature_layer": "stem.conv",
        "name_map": (
            (r"stem\.conv1?", STEM_CONVS[0]),
            (r"stem\.norm1", STEM_NORMS[0]),
            (r"stem\.conv2", STEM_CONVS[1]),
            (r"stem\.norm2", STEM_NORMS[1]),
            (r"stem\.conv3", STEM_CONVS[2]),
            (TIMM_UNIT + r"conv(?P<n>\d)", CONV),
            (TIMM_UNIT + r"norm(?P<n>\d)", NORM),
            (TIMM_UNIT + r"downsample\.conv", SHORTCUT),
            (r"norm", HEAD_NORM),
            (r"head\.fc", LOGITS_LAYER),
        ),
        "order": "full_preactivation",
        "stride_on": "3x3",
        "shortcuts": (BARE_PROJECTION,),
        "projection": projection,
        "pools": ("neg_inf",),
        "first_stage": 0,
        "features": TORCH_FEATURES,
        "preset": "timm_v2_a1h",
    }
    return CheckpointFormat(name, compatible_models=compatible, **(common | differences))  # pyright: ignore[reportArgumentType]


BIT = timm_models("full_preactivation", "", "1x1", ["group_standardized"])

TORCH_FORMATS = (
    resnetv2("timm ResNetV2", timm_models("full_preactivation", "deep", "avg_pool"), "avg_pool", signature_layer="stem.conv3"),
    resnetv2(
        "timm ResNetV2",
        timm_models("full_preactivation", "", "1x1"),
        signature_tensors=("norm.running_mean",),
    ),
    # Only the networks of BiT have this stem and group norms.
    resnetv2("timm BiT", BIT, standardized=True, pools=("zeros",), preset="bit"),
    CheckpointFormat(
        "transformers BiT",
        signature_layer="encoder.stages.0.layers.0.conv1",
        compatible_models=("BiTR50x1", "BiTR101x1"),
        name_map=(
            (r"embedder\.convolution", STEM_CONV),
            (TRANSFORMERS_UNIT + r"conv(?P<n>\d)", CONV),
            (TRANSFORMERS_UNIT + r"norm(?P<n>\d)", NORM),
            (TRANSFORMERS_UNIT + r"downsample\.conv", SHORTCUT),
            (r"norm", HEAD_NORM),
            (r"classifier\.1", LOGITS_LAYER),
        ),
        order="full_preactivation",
        stride_on="3x3",
        shortcuts=(BARE_PROJECTION,),
        projection="1x1",
        standardized=True,
        pools=("zeros",),
        first_stage=0,
        features=TRANSFORMERS_FEATURES,
        outer_head=r"classifier\.1",
        preset="bit",
    ),
    CheckpointFormat(
        "transformers ResNet",
        signature_layer="embedder.embedder.convolution",
        compatible_models=("ResNet18V1", "ResNet34V1", "ResNet26", "ResNet50V1_5", "ResNet101V1_5", "ResNet152V1_5"),
        name_map=(
            (r"embedder\.embedder\.convolution", STEM_CONV),
            (r"embedder\.embedder\.normalization", STEM_NORM),
            (TRANSFORMERS_UNIT + r"layer\.(?P<n>\d)\.convolution", CONV),
            (TRANSFORMERS_UNIT + r"layer\.(?P<n>\d)\.normalization", NORM),
            (TRANSFORMERS_UNIT + r"shortcut\.convolution", SHORTCUT_CONV),
            (TRANSFORMERS_UNIT + r"shortcut\.normalization", SHORTCUT_NORM),
            (r"classifier\.1", LOGITS_LAYER),
        ),
        order="original",
        stride_on="3x3",
        shortcuts=(PROJECTION,),
        projection="1x1",
        pools=POINTLESS,
        first_stage=0,
        first_number=0,
        features=TRANSFORMERS_FEATURES,
        outer_head=r"classifier\.1",
        preset="torchvision_v1",
    ),
    *(resnet(*each) for each in (("deep", "avg_pool"), ("deep", "1x1"), ("", "avg_pool"))),
    CheckpointFormat(
        "torchvision or timm ResNet",
        signature_layer="layer4.0.conv1",
        compatible_models=timm_models("original", "", "1x1"),
        name_map=(*STEMS[""], *PROJECTIONS["1x1"], *UNIT_MAP),
        order="original",
        stride_on="3x3",
        shortcuts=(PROJECTION,),
        projection="1x1",
        pools=RELU_POOLS,
        features=TORCH_FEATURES,
        preset="torchvision_v1",
    ),
    CheckpointFormat(
        "akamaster CIFAR ResNet",
        signature_layer="layer1.0.conv1",
        compatible_models=("ResNet20V1", "ResNet32V1", "ResNet44V1", "ResNet56V1", "ResNet110V1", "ResNet1202V1"),
        name_map=(*STEMS[""], *PROJECTIONS["1x1"], *UNIT_MAP),
        order="original",
        shortcuts=(PADDING, PROJECTION),
        features=TORCH_FEATURES,
        preset="akamaster_cifar10",
    ),
)
