"""The public names for editors and type checkers. `python tests/test_stub.py` writes this file from the table of variants."""

from collections.abc import Callable
from os import PathLike
from typing import Protocol

from keras import KerasTensor, Model

from . import analysis as analysis
from .batch_normalization import BatchNormalization as BatchNormalization
from .classifier import load_classifier as load_classifier
from .classifier import save_classifier as save_classifier
from .errors import UserError as UserError
from .info import describe as describe
from .models.backbone import backbone as backbone
from .pretrained import from_pretrained as from_pretrained
from .saving import load_model as load_model
from .saving import to_stock as to_stock
from .weights.loading import load_weights as load_weights
from .weights.loading import preprocessing_for as preprocessing_for
from .weights.pretrained.lookup import list_pretrained as list_pretrained

__version__: str

def list_models() -> list[str]: ...

class _Constructor(Protocol):
    def __call__(
        self,
        include_top: bool = True,
        weights: str | PathLike[str] | None = None,
        input_tensor: KerasTensor | None = None,
        input_shape: tuple[int | None, int | None, int | None] | None = None,
        pooling: str | None = None,
        classes: int | None = None,
        classifier_activation: str | Callable | None = "softmax",
        name: str = ...,
        *,
        block: str | None = None,
        unit: str | None = None,
        shortcut: str | None = None,
        stem: str | None = None,
        projection: str | None = None,
        antialias: str | None = None,
        attention: str | None = None,
        normalization: str | None = None,
        width_multiplier: float = 1.0,
        stochastic_depth: float = 0.0,
        zero_init_residual: bool = False,
        classifier_dropout: float = 0.0,
        output_stride: int | None = None,
    ) -> Model: ...

ResNet20V1: _Constructor
ResNet32V1: _Constructor
ResNet44V1: _Constructor
ResNet56V1: _Constructor
ResNet110V1: _Constructor
ResNet164V1: _Constructor
ResNet1001V1: _Constructor
ResNet1202V1: _Constructor
ResNet20V2: _Constructor
ResNet32V2: _Constructor
ResNet44V2: _Constructor
ResNet56V2: _Constructor
ResNet110V2: _Constructor
ResNet164V2: _Constructor
ResNet1001V2: _Constructor
ResNet1202V2: _Constructor
PlainNet20: _Constructor
PlainNet32: _Constructor
PlainNet44: _Constructor
PlainNet56: _Constructor
PlainNet110: _Constructor
WideResNet16_8: _Constructor
WideResNet28_10: _Constructor
WideResNet40_4: _Constructor
ResNet18V1: _Constructor
ResNet34V1: _Constructor
ResNet50V1: _Constructor
ResNet101V1: _Constructor
ResNet152V1: _Constructor
ResNet200V1: _Constructor
ResNet50V1_5: _Constructor
ResNet101V1_5: _Constructor
ResNet152V1_5: _Constructor
ResNet200V1_5: _Constructor
ResNet18V2: _Constructor
ResNet34V2: _Constructor
ResNet50V2: _Constructor
ResNet101V2: _Constructor
ResNet152V2: _Constructor
ResNet200V2: _Constructor
ResNet50V2Slim: _Constructor
ResNet101V2Slim: _Constructor
ResNet152V2Slim: _Constructor
ResNet50V2Timm: _Constructor
ResNet101V2Timm: _Constructor
ResNet152V2Timm: _Constructor
PlainNet18: _Constructor
PlainNet34: _Constructor
ResNet10T: _Constructor
ResNet14T: _Constructor
ResNet18D: _Constructor
ResNet26: _Constructor
ResNet26D: _Constructor
ResNet26T: _Constructor
ResNet34D: _Constructor
ResNet50C: _Constructor
ResNet50D: _Constructor
ResNet50S: _Constructor
ResNet50T: _Constructor
ResNet101C: _Constructor
ResNet101D: _Constructor
ResNet101S: _Constructor
ResNet152C: _Constructor
ResNet152D: _Constructor
ResNet152S: _Constructor
ResNet200D: _Constructor
ResNet50GN: _Constructor
WideResNet50_2: _Constructor
WideResNet101_2: _Constructor
ResNeXt50_32x4d: _Constructor
ResNeXt50D_32x4d: _Constructor
ResNeXt101_32x4d: _Constructor
ResNeXt101_32x8d: _Constructor
ResNeXt101_32x16d: _Constructor
ResNeXt101_32x32d: _Constructor
ResNeXt101_64x4d: _Constructor
SEResNet18: _Constructor
SEResNet34: _Constructor
SEResNet50: _Constructor
SEResNet50T: _Constructor
SEResNet101: _Constructor
SEResNet152: _Constructor
SEResNet152D: _Constructor
SEResNet200D: _Constructor
SEResNet269D: _Constructor
SEResNeXt26D_32x4d: _Constructor
SEResNeXt26T_32x4d: _Constructor
SEResNeXt50_32x4d: _Constructor
SEResNeXt101_32x4d: _Constructor
SEResNeXt101_32x8d: _Constructor
SEResNeXt101D_32x8d: _Constructor
SEResNeXt101_64x4d: _Constructor
ECAResNet26T: _Constructor
ECAResNet50D: _Constructor
ECAResNet50T: _Constructor
ECAResNet101D: _Constructor
ECAResNet200D: _Constructor
ECAResNet269D: _Constructor
ECAResNetLight: _Constructor
ECAResNeXt26T_32x4d: _Constructor
ECAResNeXt50T_32x4d: _Constructor
ResNetBlur18: _Constructor
ResNetBlur50: _Constructor
ResNetBlur50D: _Constructor
ResNetBlur101D: _Constructor
ResNetAA34D: _Constructor
ResNetAA50: _Constructor
ResNetAA50D: _Constructor
ResNetAA101D: _Constructor
SEResNetAA50D: _Constructor
SEResNeXtAA101D_32x8d: _Constructor
SEResNeXtAA201D_32x8d: _Constructor
ResNetRS50: _Constructor
ResNetRS101: _Constructor
ResNetRS152: _Constructor
ResNetRS200: _Constructor
ResNetRS270: _Constructor
ResNetRS350: _Constructor
ResNetRS420: _Constructor
ResNet18V2Timm: _Constructor
ResNet18DV2Timm: _Constructor
ResNet34V2Timm: _Constructor
ResNet34DV2Timm: _Constructor
ResNet50DV2Timm: _Constructor
ResNet50TV2Timm: _Constructor
ResNet101DV2Timm: _Constructor
ResNet152DV2Timm: _Constructor
ResNet50DGNV2Timm: _Constructor
ResNet50V1TFSlim: _Constructor
ResNet101V1TFSlim: _Constructor
ResNet152V1TFSlim: _Constructor
ResNet50V2TFSlim: _Constructor
ResNet101V2TFSlim: _Constructor
ResNet152V2TFSlim: _Constructor
ResNet50Garden: _Constructor
ResNet101Garden: _Constructor
ResNet152Garden: _Constructor
ResNet50Garden2019: _Constructor
ResNet18VD: _Constructor
ResNet34VD: _Constructor
ResNet200VD: _Constructor
BiTR50x1: _Constructor
BiTR50x3: _Constructor
BiTR101x1: _Constructor
BiTR101x3: _Constructor
BiTR152x2: _Constructor
BiTR152x4: _Constructor

__all__ = [  # noqa: RUF022  in the order of the table
    "list_models",
    "analysis",
    "BatchNormalization",
    "UserError",
    "backbone",
    "describe",
    "from_pretrained",
    "list_pretrained",
    "load_classifier",
    "load_model",
    "load_weights",
    "preprocessing_for",
    "save_classifier",
    "to_stock",
    "ResNet20V1",
    "ResNet32V1",
    "ResNet44V1",
    "ResNet56V1",
    "ResNet110V1",
    "ResNet164V1",
    "ResNet1001V1",
    "ResNet1202V1",
    "ResNet20V2",
    "ResNet32V2",
    "ResNet44V2",
    "ResNet56V2",
    "ResNet110V2",
    "ResNet164V2",
    "ResNet1001V2",
    "ResNet1202V2",
    "PlainNet20",
    "PlainNet32",
    "PlainNet44",
    "PlainNet56",
    "PlainNet110",
    "WideResNet16_8",
    "WideResNet28_10",
    "WideResNet40_4",
    "ResNet18V1",
    "ResNet34V1",
    "ResNet50V1",
    "ResNet101V1",
    "ResNet152V1",
    "ResNet200V1",
    "ResNet50V1_5",
    "ResNet101V1_5",
    "ResNet152V1_5",
    "ResNet200V1_5",
    "ResNet18V2",
    "ResNet34V2",
    "ResNet50V2",
    "ResNet101V2",
    "ResNet152V2",
    "ResNet200V2",
    "ResNet50V2Slim",
    "ResNet101V2Slim",
    "ResNet152V2Slim",
    "ResNet50V2Timm",
    "ResNet101V2Timm",
    "ResNet152V2Timm",
    "PlainNet18",
    "PlainNet34",
    "ResNet10T",
    "ResNet14T",
    "ResNet18D",
    "ResNet26",
    "ResNet26D",
    "ResNet26T",
    "ResNet34D",
    "ResNet50C",
    "ResNet50D",
    "ResNet50S",
    "ResNet50T",
    "ResNet101C",
    "ResNet101D",
    "ResNet101S",
    "ResNet152C",
    "ResNet152D",
    "ResNet152S",
    "ResNet200D",
    "ResNet50GN",
    "WideResNet50_2",
    "WideResNet101_2",
    "ResNeXt50_32x4d",
    "ResNeXt50D_32x4d",
    "ResNeXt101_32x4d",
    "ResNeXt101_32x8d",
    "ResNeXt101_32x16d",
    "ResNeXt101_32x32d",
    "ResNeXt101_64x4d",
    "SEResNet18",
    "SEResNet34",
    "SEResNet50",
    "SEResNet50T",
    "SEResNet101",
    "SEResNet152",
    "SEResNet152D",
    "SEResNet200D",
    "SEResNet269D",
    "SEResNeXt26D_32x4d",
    "SEResNeXt26T_32x4d",
    "SEResNeXt50_32x4d",
    "SEResNeXt101_32x4d",
    "SEResNeXt101_32x8d",
    "SEResNeXt101D_32x8d",
    "SEResNeXt101_64x4d",
    "ECAResNet26T",
    "ECAResNet50D",
    "ECAResNet50T",
    "ECAResNet101D",
    "ECAResNet200D",
    "ECAResNet269D",
    "ECAResNetLight",
    "ECAResNeXt26T_32x4d",
    "ECAResNeXt50T_32x4d",
    "ResNetBlur18",
    "ResNetBlur50",
    "ResNetBlur50D",
    "ResNetBlur101D",
    "ResNetAA34D",
    "ResNetAA50",
    "ResNetAA50D",
    "ResNetAA101D",
    "SEResNetAA50D",
    "SEResNeXtAA101D_32x8d",
    "SEResNeXtAA201D_32x8d",
    "ResNetRS50",
    "ResNetRS101",
    "ResNetRS152",
    "ResNetRS200",
    "ResNetRS270",
    "ResNetRS350",
    "ResNetRS420",
    "ResNet18V2Timm",
    "ResNet18DV2Timm",
    "ResNet34V2Timm",
    "ResNet34DV2Timm",
    "ResNet50DV2Timm",
    "ResNet50TV2Timm",
    "ResNet101DV2Timm",
    "ResNet152DV2Timm",
    "ResNet50DGNV2Timm",
    "ResNet50V1TFSlim",
    "ResNet101V1TFSlim",
    "ResNet152V1TFSlim",
    "ResNet50V2TFSlim",
    "ResNet101V2TFSlim",
    "ResNet152V2TFSlim",
    "ResNet50Garden",
    "ResNet101Garden",
    "ResNet152Garden",
    "ResNet50Garden2019",
    "ResNet18VD",
    "ResNet34VD",
    "ResNet200VD",
    "BiTR50x1",
    "BiTR50x3",
    "BiTR101x1",
    "BiTR101x3",
    "BiTR152x2",
    "BiTR152x4",
]
