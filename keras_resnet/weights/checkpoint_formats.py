"""Where weights come from: how each source names its tensors, what network they are for, and how its pictures are prepared."""

import dataclasses
import re

from keras_resnet.preprocessing import Preprocessing

IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
CAFFE_MEAN = (123.68 / 255, 116.779 / 255, 103.939 / 255)
HALF = (0.5, 0.5, 0.5)

# fmt: off
PREPROCESSING_PRESETS = {  # what the published figures of these weights were measured with
    # keras-applications' README: single centre crop, 224 for v1 and 299 for v2; the fraction is Caffe's and TF-Slim's.
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

# The first hexadecimal digits of the SHA-256 of torchvision's second set of weights, which are the end of their file names.
TORCHVISION_V2 = ("11ad3fa6", "cd907fc2", "f82ba261")


@dataclasses.dataclass(frozen=True)
class CheckpointFormat:
    """A way to name tensors.

    signature_layer: a layer that this source has and those behind it have not. compatible_models: the networks of ours that compute what it does;
    order, stride_on, shortcuts: what they have in common, see `structure.py`. name_map: (pattern of a layer's name, ours), where
    `{s}` and `{u}` are the stage and the unit, which the source counts from first_stage and first_unit. epsilon: of its norms.
    preset: a row of `PREPROCESSING_PRESETS`.
    """

    name: str
    signature_layer: str
    compatible_models: tuple
    name_map: tuple
    order: str = ""
    stride_on: str = ""
    shortcuts: tuple = ()
    first_stage: int = 1
    first_unit: int = 0
    epsilon: float = 1e-5
    preset: str = ""

    def layer(self, theirs):
        """Our name of their layer, or None if it is unknown."""
        for pattern, ours in self.name_map:
            if match := re.fullmatch(pattern, theirs):
                groups = {"s": 0, "u": 0, "n": "", **match.groupdict()}
                s, u = int(groups["s"]) - self.first_stage + 1, int(groups["u"]) - self.first_unit + 1
                return ours.format(s=s, u=u, n=groups["n"], all=theirs)
        return None


PROJECTION, BARE_PROJECTION, PADDING = ("_conv", "_norm"), ("",), ("_pad",)
KERAS_UNIT = r"conv(?P<s>\d)_block(?P<u>\d+)_"
TORCH_UNIT = r"layer(?P<s>\d)\.(?P<u>\d+)\."
TIMM_UNIT = r"stages\.(?P<s>\d)\.blocks\.(?P<u>\d+)\."

TORCH_NAME_MAP = (
    (r"conv1", "stem_conv"),
    (r"bn1", "stem_norm"),
    (TORCH_UNIT + r"conv(?P<n>\d)", "stage{s}_unit{u}_conv{n}"),
    (TORCH_UNIT + r"bn(?P<n>\d)", "stage{s}_unit{u}_norm{n}"),
    (TORCH_UNIT + r"(?:downsample|shortcut)\.0", "stage{s}_unit{u}_shortcut_conv"),
    (TORCH_UNIT + r"(?:downsample|shortcut)\.1", "stage{s}_unit{u}_shortcut_norm"),
    (r"fc|linear", "head_dense"),
)

CHECKPOINT_FORMATS = (
    CheckpointFormat("network of this zoo", signature_layer="stem_conv", compatible_models=(), name_map=((r".*", "{all}"),)),
    CheckpointFormat(
        "keras.applications ResNet",
        signature_layer="conv1_bn",
        compatible_models=("ResNet50V1", "ResNet101V1", "ResNet152V1"),
        name_map=(
            (r"conv1_conv", "stem_conv"),
            (r"conv1_bn", "stem_norm"),
            (KERAS_UNIT + r"0_conv", "stage{s}_unit{u}_shortcut_conv"),
            (KERAS_UNIT + r"0_bn", "stage{s}_unit{u}_shortcut_norm"),
            (KERAS_UNIT + r"(?P<n>[123])_conv", "stage{s}_unit{u}_conv{n}"),
            (KERAS_UNIT + r"(?P<n>[123])_bn", "stage{s}_unit{u}_norm{n}"),
            (r"predictions|probs|fc1000", "head_dense"),
        ),
        order="original",
        stride_on="1x1",
        shortcuts=(PROJECTION,),
        first_stage=2,
        first_unit=1,
        epsilon=1.001e-5,
        preset="keras_applications_v1",
    ),
    CheckpointFormat(
        "keras.applications ResNetV2",
        signature_layer="post_bn",
        compatible_models=("ResNet50V2Slim", "ResNet101V2Slim", "ResNet152V2Slim"),
        name_map=(
            (r"conv1_conv", "stem_conv"),
            (KERAS_UNIT + r"0_conv", "stage{s}_unit{u}_shortcut"),
            (KERAS_UNIT + r"preact_bn", "stage{s}_unit{u}_norm1"),
            (KERAS_UNIT + r"(?P<n>[123])_conv", "stage{s}_unit{u}_conv{n}"),
            (KERAS_UNIT + r"1_bn", "stage{s}_unit{u}_norm2"),
            (KERAS_UNIT + r"2_bn", "stage{s}_unit{u}_norm3"),
            (r"post_bn", "head_norm"),
            (r"predictions|probs|fc1000", "head_dense"),
        ),
        order="full_preactivation",
        stride_on="3x3",
        shortcuts=(BARE_PROJECTION,),
        first_stage=2,
        first_unit=1,
        epsilon=1.001e-5,
        preset="keras_applications_v2",
    ),
    CheckpointFormat(
        "timm ResNetV2",
        signature_layer="stem.conv",
        compatible_models=("ResNet50V2Timm", "ResNet101V2Timm", "ResNet152V2Timm"),
        name_map=(
            (r"stem\.conv", "stem_conv"),
            (TIMM_UNIT + r"conv(?P<n>\d)", "stage{s}_unit{u}_conv{n}"),
            (TIMM_UNIT + r"norm(?P<n>\d)", "stage{s}_unit{u}_norm{n}"),
            (TIMM_UNIT + r"downsample\.conv", "stage{s}_unit{u}_shortcut"),
            (r"norm", "head_norm"),
            (r"head\.fc", "head_dense"),
        ),
        order="full_preactivation",
        stride_on="3x3",
        shortcuts=(BARE_PROJECTION,),
        first_stage=0,
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
        preset="torchvision_v1",
    ),
    CheckpointFormat(
        "akamaster CIFAR ResNet",
        signature_layer="layer1.0.conv1",
        compatible_models=("ResNet20V1", "ResNet32V1", "ResNet44V1", "ResNet56V1", "ResNet110V1", "ResNet1202V1"),
        name_map=TORCH_NAME_MAP,
        order="original",
        shortcuts=(PADDING, PROJECTION),
        preset="akamaster_cifar10",
    ),
)


def detect_format(layers):
    """The source that has such layers, or None."""
    return next((source for source in CHECKPOINT_FORMATS if source.signature_layer in layers), None)
