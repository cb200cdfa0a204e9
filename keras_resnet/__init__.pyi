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
]
