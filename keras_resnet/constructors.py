"""Makes the public functions `keras_resnet.ResNet56V2(...)` from the table. `__init__.pyi` tells editors their signature."""

from __future__ import annotations

import numbers
from collections.abc import Callable
from os import PathLike

from keras import KerasTensor, Model

from keras_resnet.errors import comma_join
from keras_resnet.models import layers, shortcuts, variants
from keras_resnet.models.antialiasing import ANTIALIASING
from keras_resnet.models.attention import ATTENTIONS
from keras_resnet.models.builder import build
from keras_resnet.models.normalizations import NORMALIZATIONS
from keras_resnet.models.options import ModelOptions
from keras_resnet.models.orders import ORDERS
from keras_resnet.weights.loading import load_weights
from keras_resnet.weights.pretrained import arguments, lookup

DOCSTRING = """{name}: {depth} layers of {block} units, order {unit!r}, shortcut {shortcut!r}. {note}

(N, {size}, {size}, 3) -> (N, {classes}) by default; any height, width and number of channels on request.

Args:
    include_top: whether the pooling and the classifier are part of the network.
    weights: None for random ones, the path of a file that `keras_resnet.load_weights` supports, a repository of the
        Hugging Face Hub such as "hf://owner/name" (`keras_resnet.from_pretrained` chooses the network too), "imagenet" if
        keras.applications has such a network, or the name of weights that come with this package, see
        `keras_resnet.list_pretrained`: {pretrained}.
    input_tensor: a Keras tensor to build on, instead of a new input.
    input_shape: (height, width, channels), the first two may be None. By default {size}x{size}x3 with the top and
        (None, None, 3) without; with weights of this package that of their images.
    pooling: without the top, what follows the last feature map: None, "avg" or "max".
    classes: number of classes; None for {classes}, or those of weights of this package.
    classifier_activation: activation of the top; None gives the logits.
    name: name of the model.
    block: "basic" (two 3x3) or "bottleneck" (1x1, 3x3, 1x1), where the depth allows.
    unit: the order inside the unit (He et al. 2016, Figure 4): {units}.
    shortcut: one of {shortcuts}.
    stem: one of {stems}, see
        `keras_resnet.models.stems`; slim, slim_v2, timm* and bit end raw, and go with order full_preactivation only.
    projection: "1x1", or "avg_pool" for a mean of 2x2 pixels before it (He et al. 2019, Figure 2(c)).
    antialias: "none", or what takes the place of strides: "blur" (Zhang 2019) or "avg".
    attention: "none", "se" (Hu et al. 2018), with another ratio "se(0.25)", or "eca" (Wang et al. 2020).
    normalization: "batch", "group" (Wu & He 2018), or "group_standardized", with standardized kernels (Kolesnikov et al. 2020).
    width_multiplier: factor on the stages' widths; a stem that would be wider than the first stage follows.
    stochastic_depth: how often training leaves out the last unit's branch; the rate grows linearly from the first unit on
        (Huang et al. 2016).
    zero_init_residual: whether every branch begins at zero (Goyal et al. 2017, section 5.1).
    classifier_dropout: dropout rate before the classifier.
    output_stride: image pixels per pixel of the last feature map, where strides beyond it become dilations; None for the
        network's own. It changes no weights: any fits those of a file or of this package.

Returns:
    A functional `keras.Model`.

Raises:
    UserError: a `ValueError` that names the wrong value and the valid choices.
"""

NOTES: dict[tuple[str, str], str] = {
    ("cifar", "original"): "He et al. 2015, arXiv:1512.03385, section 4.2.",
    ("imagenet", "original"): "He et al. 2015, arXiv:1512.03385, Table 1.",
    ("cifar", "full_preactivation"): (
        "He et al. 2016, arXiv:1603.05027. Depths 20 to 56 and 1202 are in neither paper and follow its 110. The 9n+2\n"
        'bottleneck that Keras\' well-known example calls "ResNet56v2" is `ResNet56V2(block="bottleneck")`.'
    ),
    ("wide", "full_preactivation"): "Zagoruyko & Komodakis 2016, arXiv:1605.07146, Table 1.",
    ("imagenet", "full_preactivation"): "He et al. 2016, arXiv:1603.05027, section 5 and released code.",
    ("slim", "full_preactivation"): "The network of TF-Slim and keras.applications, whose v2 weights fit.",
    ("timm", "full_preactivation"): "The network of timm and KerasHub; timm's `resnetv2_{depth}` weights fit.",
    ("deep", "original"): "He et al. 2019, arXiv:1812.01187, Figure 2, on v1.5; as in timm.",
    ("tiered", "original"): "A tiered stem and He et al. 2019, arXiv:1812.01187, Figure 2(c), on v1.5; as in timm.",
    ("wide", "original"): "A wide stem of three convolutions, on v1.5; as in timm, after Gluon.",
    ("rs", "original"): "Bello et al. 2021, arXiv:2103.07579; as in timm.",
    ("slim_v1", "original"): "The network of TF-Slim's resnet_v1.py, which pads as TensorFlow does.",
    ("slim_v2", "full_preactivation"): "The network of TF-Slim's resnet_v2.py, which pads as TensorFlow does.",
    ("garden", "original"): "The network of TensorFlow's Model Garden, which pads as TensorFlow does.",
    ("garden_2019", "original"): "The ResNet-50 of TensorFlow's Model Garden of 2019.",
    ("timm_deep", "full_preactivation"): "timm's `resnetv2_{depth}d`, with the stem and the projections of He et al. 2019.",
    ("timm_tiered", "full_preactivation"): "timm's `resnetv2_{depth}t`.",
    ("bit", "full_preactivation"): "BiT, Kolesnikov et al. 2020, arXiv:1912.11370, section 4.",
}


def source(row: variants.Variant) -> str:
    """What the docstring of a network cites: for its family or stem, and for each column that departs from the papers."""
    family = variants.FAMILIES[row.family]
    note = NOTES.get((row.family if row.stem == family.stem else row.stem, row.unit), "").format(depth=row.depth)
    columns = ((ATTENTIONS, row.attention), (ANTIALIASING, row.antialias), (NORMALIZATIONS, row.normalization))
    cited = [rows[name].reference for rows, value in columns if (name := value.partition("(")[0]) not in ("none", "batch")]
    if row.groups > 1:
        cited.append("Xie et al. 2017, arXiv:1611.05431")
    elif row.group_width != 64:
        cited.append("Zagoruyko & Komodakis 2016, arXiv:1605.07146")
    return f"{note} With it: {'; '.join(cited)}." if cited else note


def constructor(model_name: str) -> Callable[..., Model]:
    """Makes the public function `keras_resnet.<model_name>`.

    Raises:
        UserError: for an unknown name.
    """
    row = variants.get_variant(model_name)
    family, default_name = variants.FAMILIES[row.family], model_name.lower()

    def construct(
        include_top: bool = True,
        weights: str | PathLike[str] | None = None,
        input_tensor: KerasTensor | None = None,
        input_shape: tuple[int | None, int | None, int | None] | None = None,
        pooling: str | None = None,
        classes: int | None = None,
        classifier_activation: str | Callable | None = "softmax",
        name: str = default_name,
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
    ) -> Model:
        variations: dict[str, str | None] = dict(
            zip(
                variants.VARIATIONS, (block, unit, shortcut, stem, projection, antialias, attention, normalization), strict=True
            )
        )
        varied = variants.with_overrides(row, **variations)
        if lookup.is_name(weights):
            entry = lookup.find_entry(model_name, str(weights))
            arguments.check_unvaried(entry, variations, width_multiplier)
            counted = isinstance(classes, numbers.Integral) and classes is not True  # `build` refuses others
            arguments.check_arguments(entry, channels=None, classes=classes if include_top and counted else None)
            input_shape = arguments.fitting_shape(entry, input_shape, include_top, 2 if layers.channel_axis() == -1 else 0)
            classes = len(entry.class_names) if classes is None else classes
        model = build(
            varied,
            ModelOptions(width_multiplier, stochastic_depth, zero_init_residual, classifier_dropout, output_stride),
            include_top=include_top,
            input_tensor=input_tensor,
            input_shape=input_shape,
            pooling=pooling,
            classes=family.classes if classes is None else classes,
            classifier_activation=classifier_activation,
            name=name,
        )
        return model if weights is None else load_weights(model, weights)

    construct.__name__ = construct.__qualname__ = model_name
    construct.__module__ = "keras_resnet"
    construct.__doc__ = DOCSTRING.format(
        name=model_name,
        note=source(row),
        size=family.image_size,
        classes=family.classes,
        units=comma_join(map(repr, ORDERS)),
        shortcuts=shortcuts.FORMS,
        stems=comma_join(variants.STEM_NAMES),
        pretrained=comma_join(map(repr, lookup.names_of_files(model_name))) or "none",
        **{key: getattr(row, key) for key in ("depth", "block", "unit", "shortcut")},
    )
    return construct
