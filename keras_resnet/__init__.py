"""keras_resnet: faithful ResNets for Keras 3, trained with tf.distribute and exported with proof.

Names are imported on first use (PEP 562): `import keras_resnet` is instant, and the command can set up its environment before
TensorFlow is loaded. `__init__.pyi` lists the names for editors and type checkers.
"""

import importlib

from keras_resnet.models import variants as _variants

__version__ = "0.1.0"

_MODULES = {
    "BatchNormalization": "keras_resnet.batch_normalization",
    "UserError": "keras_resnet.errors",
    "backbone": "keras_resnet.models.backbone",
    "describe": "keras_resnet.info",
    "from_pretrained": "keras_resnet.pretrained",
    "list_pretrained": "keras_resnet.weights.pretrained.lookup",
    "load_classifier": "keras_resnet.classifier",
    "load_model": "keras_resnet.saving",
    "load_weights": "keras_resnet.weights.loading",
    "preprocessing_for": "keras_resnet.weights.loading",
    "save_classifier": "keras_resnet.classifier",
    "to_stock": "keras_resnet.saving",
}

_ROOMS = ("analysis",)

__all__ = ["list_models", *_ROOMS, *_MODULES, *_variants.VARIANTS]  # pyright: ignore[reportUnsupportedDunderAll]  # see __init__.pyi


def list_models() -> list[str]:
    """The names of all networks, each of them a constructor of this package."""
    return list(_variants.VARIANTS)


def __getattr__(name: str) -> object:
    if name in _variants.VARIANTS:
        value = importlib.import_module("keras_resnet.constructors").constructor(name)
    elif name in _ROOMS:
        value = importlib.import_module(f"keras_resnet.{name}")
    elif name in _MODULES:
        value = getattr(importlib.import_module(_MODULES[name]), name)
    else:
        raise AttributeError(f"module 'keras_resnet' has no attribute {name!r}{_hint(name)}")
    globals()[name] = value
    return value


def _hint(name: str) -> str:
    """Says why there is no such network, if the name looks like one."""
    if not name.startswith(("ResNet", "PlainNet", "WideResNet")):
        return ""
    try:
        _variants.get_variant(name)
    except _variants.UserError as error:
        return f": {error}"
    raise AssertionError(name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
