"""The stems: what reads the images, and how the units follow it."""

import dataclasses
from collections.abc import Callable

from keras import KerasTensor

from . import naming
from .antialiasing import Reduce, average
from .layers import max_pool, max_pool_padded_with_neg_inf, max_pool_same, overlapping_maximum, relu
from .normalizations import Normalization

# A pre-activation network's first activation comes "right after conv1 and before splitting into two paths" (He et al. 2016,
# section 5): in the paper's networks it is the norm and the ReLU of the stem, and the first unit has none of its own.


@dataclasses.dataclass(frozen=True)
class Stem:
    """A stem, and what the units after it depend on.

    Attributes:
        kernel_size: of its convolutions.
        filters: of each of them where the first stage is `first_width` wide.
        stem_stride: image pixels per pixel of the stem's output: 1, or 4 by the first convolution and what follows the last.
        max_pool: the 3x3 maximum with stride 2 that follows; None for a convolution in its place.
        ends_in_activation: the stem ends in norm and ReLU, which the first unit uses in place of its own pre-activation.
        downsample_in_last_unit: the last unit of each stage but the last carries the stride, not the first of the next one.
        padding: of its convolutions with a stride, "symmetric" or "same", see `layers.conv`.
        use_bias: in the last convolution, and see `residual_units.ResidualUnit`.
        widens: it becomes wider with the stages, where others only become narrower.
    """

    kernel_size: int
    filters: tuple[int, ...]
    first_width: int = 64
    stem_stride: int = 4
    max_pool: Callable[..., KerasTensor] | None = max_pool
    ends_in_activation: bool = True
    downsample_in_last_unit: bool = False
    padding: str = "symmetric"
    use_bias: bool = False
    widens: bool = False

    def build(self, x: KerasTensor, width: int, normalization: Normalization, antialias: Reduce | None) -> KerasTensor:
        """Images to the input of the first unit, (N, H, W, C) -> (N, H/stem_stride, W/stem_stride, filters[-1] * factor).

        width: of the first stage; the stem follows one that is narrower than `first_width`.
        """
        factor = width / self.first_width if self.widens else min(1, width / self.first_width)
        last, stride = len(self.filters), 2 if self.stem_stride > 1 else 1
        for number, paper_filters in enumerate(self.filters, start=1):
            filters, raw = max(1, round(paper_filters * factor)), number == last and not self.ends_in_activation
            extra = {"use_bias": self.use_bias and number == last, "padding": self.padding}
            x = normalization.conv(x, filters, self.kernel_size, stride, name=naming.stem_layer("conv", number), **extra)
            stride = 1
            if not raw:
                x = normalization.norm(x, name=naming.stem_layer("norm", number))
                x = relu(x, name=naming.stem_layer("relu", number))
        if self.stem_stride == 1:
            return x
        if self.max_pool is None:
            x = normalization.conv(x, filters, 3, 1 if antialias else 2, name=naming.stem_layer("conv", last + 1))
            x = antialias(x, 2, name=naming.STEM_POOL) if antialias else x
            x = normalization.norm(x, name=naming.stem_layer("norm", last + 1))
            return relu(x, name=naming.stem_layer("relu", last + 1))
        if antialias is None:
            return self.max_pool(x, name=naming.STEM_POOL)
        x = x if antialias is average else overlapping_maximum(x, name=naming.STEM_MAX)
        return antialias(x, 2, name=naming.STEM_POOL)


raw_max = max_pool_padded_with_neg_inf

# fmt: off
STEMS = {
    "cifar":       Stem(3, (16,), 16, stem_stride=1),         # He et al. 2015, section 4.2
    "imagenet":    Stem(7, (64,)),                            # He et al. 2015, Table 1
    "deep":        Stem(3, (32, 32, 64)),                     # He et al. 2019, arXiv:1812.01187, Figure 2(b): C and D
    "tiered":      Stem(3, (24, 32, 64)),                     # timm's "t"
    "wide":        Stem(3, (64, 64, 128)),                    # timm's "s", from Gluon
    "rs":          Stem(3, (32, 32, 64), max_pool=None),      # Bello et al. 2021, arXiv:2103.07579, section 4.1
    "slim_v1":     Stem(7, (64,), max_pool=max_pool_same, downsample_in_last_unit=True),  # TF-Slim's resnet_v1.py
    "garden":      Stem(7, (64,), max_pool=max_pool_same, padding="same"),  # TensorFlow's Model Garden
    "garden_2019": Stem(7, (64,), max_pool=max_pool_same),    # and its ResNet-50 of 2019
    # Of pre-activation networks, ending raw.
    "slim":        Stem(7, (64,), ends_in_activation=False, downsample_in_last_unit=True, use_bias=True),  # keras.applications
    "slim_v2":     Stem(7, (64,), max_pool=max_pool_same, ends_in_activation=False, downsample_in_last_unit=True,
                        use_bias=True),                       # TF-Slim's resnet_v2.py
    "timm":        Stem(7, (64,), max_pool=raw_max, ends_in_activation=False),  # and KerasHub: padding never wins the maximum
    "timm_deep":   Stem(3, (32, 32, 64), max_pool=raw_max, ends_in_activation=False),
    "timm_tiered": Stem(3, (24, 32, 64), max_pool=raw_max, ends_in_activation=False),
    "bit":         Stem(7, (64,), ends_in_activation=False, widens=True),  # Kolesnikov et al. 2020: padded with zeros
}
# fmt: on
