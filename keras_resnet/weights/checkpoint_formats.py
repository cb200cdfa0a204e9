"""Where weights come from: how each library names its tensors, which network they fit, and how its images are prepared."""

import dataclasses
import re

from keras_resnet.errors import UserError, comma_join
from keras_resnet.models import naming
from keras_resnet.models.naming import HEAD_NORM, LOGITS_LAYER, STEM_CONV, STEM_NORM, sublayer, unit_layer
from keras_resnet.preprocessing import Preprocessing

IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
CAFFE_MEAN = (123.68 / 255, 116.779 / 255, 103.939 / 255)
HALF = (0.5, 0.5, 0.5)

# fmt: off
PREPROCESSING_PRESETS = {  # what the published figures of these weights were measured with
    # keras-applications' README: single center crop, 224 for v1 and 299 for v2; the fraction is Caffe's and TF-Slim's.
    "keras_applications_v1": Preprocessing(224, 224, 3, CAFFE_MEAN, (1 / 255,) * 3, 0.875, channel_order="bgr"),
    "keras_applications_v2": Preprocessing(299, 299, 3, HALF, HALF, 0.875),
    # torchvision, `ResNet50_Weights.IMAGENET1K_V1.transforms()` and `IMAGENET1K_V2.transforms()`
    "torchvision_v1":        Preprocessing(224, 224, 3, IMAGENET_MEAN, IMAGENET_STD, 224 / 256),
    "torchvision_v2":        Preprocessing(224, 224, 3, IMAGENET_MEAN, IMAGENET_STD, 224 / 232),
    # timm, `resnet*.a1_in1k` and `resnetv2_*.a1h_in1k`
    "timm_a1":               Preprocessing(288, 288, 3, IMAGENET_MEAN, IMAGENET_STD, 1.0, "bicubic"),
    "timm_v2_a1h":           Preprocessing(288, 288, 3, HALF, HALF, 1.0, "bicubic"),
    # github.com/akamaster/pytorch_resnet_cifar10, trainer.py
    "akamaster_cifar10":     Preprocessing(32, 32, 3, IMAGENET_MEAN, IMAGENET_STD, 1.0),
}
# fmt: on

# The first hexadecimal digits of the SHA-256 of torchvision's IMAGENET1K_V2 files, which also end their file names.
TORCHVISION_V2 = ("11ad3fa6", "cd907fc2", "f82ba261")


@dataclasses.dataclass(frozen=True)
class CheckpointFormat:
    """How a library names the tensors of its checkpoints, and what network they are for.

    Attributes:
        name: of the format, for messages.
        signature_layer: a layer that this format has and those after it in `CHECKPOINT_FORMATS` do not have.
        compatible_models: the networks of this zoo that compute the same.
        name_map: (pattern of a layer's name, our name), where `{s}` and `{u}` are the stage and the unit.
        order, stride_on, shortcuts: what the compatible networks have in common, see `structure.Structure`.
        first_stage, first_unit: the numbers from which the format counts stages and units.
        features: a pattern that the names of all layers begin with but those of a head.
        epsilon: of its norms.
        preset: a row of `PREPROCESSING_PRESETS`.
    """

    name: str
    signature_layer: str
    compatible_models: tuple[str, ...]
    name_map: tuple[tuple[str, str], ...]
    order: str = ""
    stride_on: str = ""
    shortcuts: tuple[tuple[str, ...], ...] = ()
    first_stage: int = 1
    first_unit: int = 0
    features: str = r"(?:stem|stage\d+|head)_"
    epsilon: float = 1e-5
    preset: str = ""

    def layer(self, theirs: str) -> str | None:
        """Our name of their layer, or None if it is unknown."""
        for pattern, ours in self.name_map:
            if match := re.fullmatch(pattern, theirs):
                groups = {"s": 0, "u": 0, "n": "", **match.groupdict()}
                s, u = int(groups["s"]) - self.first_stage + 1, int(groups["u"]) - self.first_unit + 1
                return ours.format(s=s, u=u, n=groups["n"], all=theirs)
        return None


PROJECTION, BARE_PROJECTION, PADDING = ("conv", "norm"), ("",), ("pad",)  # of `Structure.shortcut`

# Our names, in which `CheckpointFormat.layer` fills in the numbers.
CONV, NORM = unit_layer("{s}", "{u}", "conv{n}"), unit_layer("{s}", "{u}", "norm{n}")
NORM1, NORM2, NORM3 = (unit_layer("{s}", "{u}", f"norm{n}") for n in (1, 2, 3))
SHORTCUT = unit_layer("{s}", "{u}", naming.SHORTCUT)
SHORTCUT_CONV, SHORTCUT_NORM = sublayer(SHORTCUT, "conv"), sublayer(SHORTCUT, "norm")

KERAS_UNIT = r"conv(?P<s>\d)_block(?P<u>\d+)_"
TORCH_UNIT = r"layer(?P<s>\d)\.(?P<u>\d+)\."
TIMM_UNIT = r"stages\.(?P<s>\d)\.blocks\.(?P<u>\d+)\."

TORCH_NAME_MAP = (
    (r"conv1", STEM_CONV),
    (r"bn1", STEM_NORM),
    (TORCH_UNIT + r"conv(?P<n>\d)", CONV),
    (TORCH_UNIT + r"bn(?P<n>\d)", NORM),
    (TORCH_UNIT + r"(?:downsample|shortcut)\.0", SHORTCUT_CONV),
    (TORCH_UNIT + r"(?:downsample|shortcut)\.1", SHORTCUT_NORM),
    (r"fc|linear", LOGITS_LAYER),
)

TORCH_FEATURES = r"(?:conv|bn|norm|layer|stem|downsample|shortcut)\d*\b"

CHECKPOINT_FORMATS = (
    CheckpointFormat("network of this zoo", signature_layer=STEM_CONV, compatible_models=(), name_map=((r".*", "{all}"),)),
    CheckpointFormat(
        "keras.applications ResNet",
        signature_layer="conv2_block1_3_bn",
        compatible_models=("ResNet50V1", "ResNet101V1", "ResNet152V1"),
        name_map=(
            (r"conv1_conv", STEM_CONV),
            (r"conv1_bn", STEM_NORM),
            (KERAS_UNIT + r"0_conv", SHORTCUT_CONV),
            (KERAS_UNIT + r"0_bn", SHORTCUT_NORM),
            (KERAS_UNIT + r"(?P<n>[123])_conv", CONV),
            (KERAS_UNIT + r"(?P<n>[123])_bn", NORM),
            (r"predictions|probs|fc1000", LOGITS_LAYER),
        ),
        order="original",
        stride_on="1x1",
        shortcuts=(PROJECTION,),
        first_stage=2,
        first_unit=1,
        features=r"conv\d_|post_",
        epsilon=1.001e-5,
        preset="keras_applications_v1",
    ),
    CheckpointFormat(
        "keras.applications ResNetV2",
        signature_layer="post_bn",
        compatible_models=("ResNet50V2Slim", "ResNet101V2Slim", "ResNet152V2Slim"),
        name_map=(
            (r"conv1_conv", STEM_CONV),
            (KERAS_UNIT + r"0_conv", SHORTCUT),
            (KERAS_UNIT + r"preact_bn", NORM1),
            (KERAS_UNIT + r"(?P<n>[123])_conv", CONV),
            (KERAS_UNIT + r"1_bn", NORM2),
            (KERAS_UNIT + r"2_bn", NORM3),
            (r"post_bn", HEAD_NORM),
            (r"predictions|probs|fc1000", LOGITS_LAYER),
        ),
        order="full_preactivation",
        stride_on="3x3",
        shortcuts=(BARE_PROJECTION,),
        first_stage=2,
        first_unit=1,
        features=r"conv\d_|post_",
        epsilon=1.001e-5,
        preset="keras_applications_v2",
    ),
    CheckpointFormat(
        "timm ResNetV2",
        signature_layer="stem.conv",
        compatible_models=("ResNet50V2Timm", "ResNet101V2Timm", "ResNet152V2Timm"),
        name_map=(
            (r"stem\.conv", STEM_CONV),
            (TIMM_UNIT + r"conv(?P<n>\d)", CONV),
            (TIMM_UNIT + r"norm(?P<n>\d)", NORM),
            (TIMM_UNIT + r"downsample\.conv", SHORTCUT),
            (r"norm", HEAD_NORM),
            (r"head\.fc", LOGITS_LAYER),
        ),
        order="full_preactivation",
        stride_on="3x3",
        shortcuts=(BARE_PROJECTION,),
        first_stage=0,
        features=r"(?:stem|stages|norm)\b",
        preset="timm_v2_a1h",
    ),
    CheckpointFormat(
        "torchvision or timm ResNet",
        signature_layer="layer4.0.conv1",
        compatible_models=("ResNet18V1", "ResNet34V1", "ResNet50V1_5", "ResNet101V1_5", "ResNet152V1_5"),
        name_map=TORCH_NAME_MAP,
        order="original",
        stride_on="3x3",
        shortcuts=(PROJECTION,),
        features=TORCH_FEATURES,
        preset="torchvision_v1",
    ),
    CheckpointFormat(
        "akamaster CIFAR ResNet",
        signature_layer="layer1.0.conv1",
        compatible_models=("ResNet20V1", "ResNet32V1", "ResNet44V1", "ResNet56V1", "ResNet110V1", "ResNet1202V1"),
        name_map=TORCH_NAME_MAP,
        order="original",
        shortcuts=(PADDING, PROJECTION),
        features=TORCH_FEATURES,
        preset="akamaster_cifar10",
    ),
)


def check_preset(name: str) -> None:
    """Raises a `UserError` for an unknown name of a preset."""
    if name not in PREPROCESSING_PRESETS:
        raise UserError(f"unknown preset {name!r}; the presets are {comma_join(PREPROCESSING_PRESETS)}")
