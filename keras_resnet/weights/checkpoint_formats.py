"""Where weights come from: how each library names its tensors, which network they fit, and how its images are prepared."""

from keras_resnet.errors import UserError, comma_join
from keras_resnet.preprocessing import Preprocessing

from .checkpoint_format import BARE_PROJECTION, PROJECTION, CheckpointFormat
from .keras_formats import KERAS_FORMATS
from .torch_formats import TORCH_FORMATS

__all__ = ["BARE_PROJECTION", "CHECKPOINT_FORMATS", "PREPROCESSING_PRESETS", "PROJECTION", "CheckpointFormat", "check_preset"]

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
    # TF-Slim, preprocessing/vgg_preprocessing.py, which the Model Garden's first ResNet-50 has too
    "tf_slim_v1":            Preprocessing(224, 224, 3, CAFFE_MEAN, (1 / 255,) * 3, 0.875),
    # timm, `resnetv2_*_bit.goog_in21k_ft_in1k`
    "bit":                   Preprocessing(448, 448, 3, HALF, HALF, 1.0),
    # github.com/akamaster/pytorch_resnet_cifar10, trainer.py
    "akamaster_cifar10":     Preprocessing(32, 32, 3, IMAGENET_MEAN, IMAGENET_STD, 1.0),
}
# fmt: on

# The first hexadecimal digits of the SHA-256 of those of torchvision's files that are for crops of 224 out of 232 pixels, which
# also end their names: IMAGENET1K_V2 of resnet50, 101, 152, resnext50_32x4d, resnext101_32x8d, wide_resnet50_2 and 101_2, and
# IMAGENET1K_V1 of resnext101_64x4d.
TORCHVISION_V2 = ("11ad3fa6", "cd907fc2", "f82ba261", "1a0047aa", "110c445d", "9ba9bcbe", "d733dc28", "173b62eb")

CHECKPOINT_FORMATS: tuple[CheckpointFormat, ...] = (*KERAS_FORMATS, *TORCH_FORMATS)


def check_preset(name: str) -> None:
    """Raises a `UserError` for an unknown name of a preset."""
    if name not in PREPROCESSING_PRESETS:
        raise UserError(f"unknown preset {name!r}; the presets are {comma_join(PREPROCESSING_PRESETS)}")
