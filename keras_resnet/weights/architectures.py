"""Which of our networks the architectures of other libraries are, by their names there; without Keras."""

from keras_resnet.errors import UserError, comma_join
from keras_resnet.hub.network_config import NetworkConfig
from keras_resnet.hub.repository import Repository

# fmt: off
TIMM_ARCHITECTURES: dict[str, str] = {  # timm 1.0.31, models/resnet.py and models/resnetv2.py
    "resnet10t": "ResNet10T",
    "resnet14t": "ResNet14T",
    "resnet18": "ResNet18V1",
    "resnet18d": "ResNet18D",
    "resnet34": "ResNet34V1",
    "resnet34d": "ResNet34D",
    "resnet26": "ResNet26",
    "resnet26t": "ResNet26T",
    "resnet26d": "ResNet26D",
    "resnet50": "ResNet50V1_5",
    "resnet50c": "ResNet50C",
    "resnet50d": "ResNet50D",
    "resnet50s": "ResNet50S",
    "resnet50t": "ResNet50T",
    "resnet101": "ResNet101V1_5",
    "resnet101c": "ResNet101C",
    "resnet101d": "ResNet101D",
    "resnet101s": "ResNet101S",
    "resnet152": "ResNet152V1_5",
    "resnet152c": "ResNet152C",
    "resnet152d": "ResNet152D",
    "resnet152s": "ResNet152S",
    "resnet200": "ResNet200V1_5",
    "resnet200d": "ResNet200D",
    "resnet50_gn": "ResNet50GN",
    "wide_resnet50_2": "WideResNet50_2",
    "wide_resnet101_2": "WideResNet101_2",
    "resnext50_32x4d": "ResNeXt50_32x4d",
    "resnext50d_32x4d": "ResNeXt50D_32x4d",
    "resnext101_32x4d": "ResNeXt101_32x4d",
    "resnext101_32x8d": "ResNeXt101_32x8d",
    "resnext101_32x16d": "ResNeXt101_32x16d",
    "resnext101_32x32d": "ResNeXt101_32x32d",
    "resnext101_64x4d": "ResNeXt101_64x4d",
    "ecaresnet26t": "ECAResNet26T",
    "ecaresnet50d": "ECAResNet50D",
    "ecaresnet50t": "ECAResNet50T",
    "ecaresnet101d": "ECAResNet101D",
    "ecaresnet200d": "ECAResNet200D",
    "ecaresnet269d": "ECAResNet269D",
    "ecaresnetlight": "ECAResNetLight",
    "ecaresnext26t_32x4d": "ECAResNeXt26T_32x4d",
    "ecaresnext50t_32x4d": "ECAResNeXt50T_32x4d",
    "seresnet18": "SEResNet18",
    "seresnet34": "SEResNet34",
    "seresnet50": "SEResNet50",
    "seresnet50t": "SEResNet50T",
    "seresnet101": "SEResNet101",
    "seresnet152": "SEResNet152",
    "seresnet152d": "SEResNet152D",
    "seresnet200d": "SEResNet200D",
    "seresnet269d": "SEResNet269D",
    "seresnext26d_32x4d": "SEResNeXt26D_32x4d",
    "seresnext26t_32x4d": "SEResNeXt26T_32x4d",
    "seresnext50_32x4d": "SEResNeXt50_32x4d",
    "seresnext101_32x4d": "SEResNeXt101_32x4d",
    "seresnext101_32x8d": "SEResNeXt101_32x8d",
    "seresnext101d_32x8d": "SEResNeXt101D_32x8d",
    "seresnext101_64x4d": "SEResNeXt101_64x4d",
    "resnetblur18": "ResNetBlur18",
    "resnetblur50": "ResNetBlur50",
    "resnetblur50d": "ResNetBlur50D",
    "resnetblur101d": "ResNetBlur101D",
    "resnetaa34d": "ResNetAA34D",
    "resnetaa50": "ResNetAA50",
    "resnetaa50d": "ResNetAA50D",
    "resnetaa101d": "ResNetAA101D",
    "seresnetaa50d": "SEResNetAA50D",
    "seresnextaa101d_32x8d": "SEResNeXtAA101D_32x8d",
    "seresnextaa201d_32x8d": "SEResNeXtAA201D_32x8d",
    "resnetrs50": "ResNetRS50",
    "resnetrs101": "ResNetRS101",
    "resnetrs152": "ResNetRS152",
    "resnetrs200": "ResNetRS200",
    "resnetrs270": "ResNetRS270",
    "resnetrs350": "ResNetRS350",
    "resnetrs420": "ResNetRS420",
    "resnetv2_18": "ResNet18V2Timm",
    "resnetv2_18d": "ResNet18DV2Timm",
    "resnetv2_34": "ResNet34V2Timm",
    "resnetv2_34d": "ResNet34DV2Timm",
    "resnetv2_50": "ResNet50V2Timm",
    "resnetv2_50d": "ResNet50DV2Timm",
    "resnetv2_50t": "ResNet50TV2Timm",
    "resnetv2_50d_gn": "ResNet50DGNV2Timm",
    "resnetv2_101": "ResNet101V2Timm",
    "resnetv2_101d": "ResNet101DV2Timm",
    "resnetv2_152": "ResNet152V2Timm",
    "resnetv2_152d": "ResNet152DV2Timm",
    "resnetv2_50x1_bit": "BiTR50x1",
    "resnetv2_50x3_bit": "BiTR50x3",
    "resnetv2_101x1_bit": "BiTR101x1",
    "resnetv2_101x3_bit": "BiTR101x3",
    "resnetv2_152x2_bit": "BiTR152x2",
    "resnetv2_152x4_bit": "BiTR152x4",
}

TIMM_REFUSED: dict[str, str] = {  # in the same two files, and why they are not networks of this zoo
    "ecaresnet50d_pruned": "its widths were pruned one by one",
    "ecaresnet101d_pruned": "its widths were pruned one by one",
    "resnetv2_50d_evos": "its normalization is EvoNorm",
    "resnetv2_50d_frn": "its normalization is filter response normalization",
    "senet154": "its first convolutions have half the width, and its projections are 3x3",
    "test_resnet": "its stages differ in the kind of their units",
}

TORCHVISION_ARCHITECTURES: dict[str, str] = {  # torchvision 0.29, models/resnet.py; the same networks as timm's
    name: TIMM_ARCHITECTURES[name]
    for name in (
        "resnet18", "resnet34", "resnet50", "resnet101", "resnet152", "resnext50_32x4d", "resnext101_32x8d",
        "resnext101_64x4d", "wide_resnet50_2", "wide_resnet101_2",
    )
}

TRANSFORMERS_ARCHITECTURES: dict[str, str] = {  # transformers 5.24; spelled as `hub.transformers_config` does
    "resnet basic 2-2-2-2": "ResNet18V1",
    "resnet basic 3-4-6-3": "ResNet34V1",
    "resnet bottleneck 2-2-2-2": "ResNet26",
    "resnet bottleneck 3-4-6-3": "ResNet50V1_5",
    "resnet bottleneck 3-4-23-3": "ResNet101V1_5",
    "resnet bottleneck 3-8-36-3": "ResNet152V1_5",
    "resnet bottleneck 3-4-6-3 downsample_in_bottleneck": "ResNet50V1",
    "resnet bottleneck 3-4-23-3 downsample_in_bottleneck": "ResNet101V1",
    "resnet bottleneck 3-8-36-3 downsample_in_bottleneck": "ResNet152V1",
    "bit preactivation 3-4-6-3": "BiTR50x1",
    "bit preactivation 3-4-23-3": "BiTR101x1",
}
# fmt: on


def model_of(network: NetworkConfig) -> str:
    """The name of our network for what a config.json says.

    Raises:
        UserError: if this zoo has no such network.
    """
    if network.library == "timm":
        return model_of_timm(network.architecture)
    if network.architecture in TRANSFORMERS_ARCHITECTURES:
        return TRANSFORMERS_ARCHITECTURES[network.architecture]
    known = comma_join(TRANSFORMERS_ARCHITECTURES)
    raise UserError(f"transformers' {network.architecture} is not a network of this zoo; it has {known}")


def model_of_repository(repository: Repository) -> str:
    """The name of our network for what the config.json of a repository says.

    Raises:
        UserError: if it says nothing, or this zoo has no such network.
    """
    network = repository.network
    try:
        return model_of(network)
    except UserError as error:
        raise UserError(f"{repository.name}: {error}") from error


def model_of_timm(architecture: str) -> str:
    """The name of our network for the name of an architecture in timm or torchvision, such as "resnet50d".

    A tag of trained weights may follow: "resnet50d.ra2_in1k".

    Raises:
        UserError: if this zoo has no such network; the message says why where the architecture is known.
    """
    name = architecture.partition(".")[0]
    if name in TIMM_ARCHITECTURES:
        return TIMM_ARCHITECTURES[name]
    if name in TIMM_REFUSED:
        raise UserError(f"timm's {name} is not a network of this zoo: {TIMM_REFUSED[name]}")
    raise UserError(f"timm's architecture {name!r} is not a network of this zoo; it has resnet*, resnetv2_* and their kin")
