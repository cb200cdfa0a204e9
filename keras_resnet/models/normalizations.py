"""How a network is normalized: its norms, and the convolutions that go with them."""

import dataclasses
import functools
from collections.abc import Callable

from keras import KerasTensor

from keras_resnet.rows import Row, choose

from . import layers
from .naming import sublayer


@dataclasses.dataclass(frozen=True)
class Normalization:
    """The convolutions and the norms of a network, as `layers.conv` and `layers.batch_norm` are called."""

    conv: Callable[..., KerasTensor]
    norm: Callable[..., KerasTensor]

    def conv_norm(self, x: KerasTensor, filters: int, kernel_size: int, stride: int = 1, *, name: str) -> KerasTensor:
        """Applies the layers `{name}_conv` and `{name}_norm`."""
        x = self.conv(x, filters, kernel_size, stride, name=sublayer(name, "conv"))
        return self.norm(x, name=sublayer(name, "norm"))


standardized_conv = functools.partial(layers.conv, standardized=True)

# fmt: off
NORMALIZATIONS = {
    "batch":              Row(Normalization(layers.conv, layers.batch_norm), "Ioffe & Szegedy 2015, arXiv:1502.03167"),
    "group":              Row(Normalization(layers.conv, layers.group_norm), "Wu & He 2018, arXiv:1803.08494"),
    "group_standardized": Row(Normalization(standardized_conv, layers.group_norm),
                              "Kolesnikov et al. 2020, arXiv:1912.11370; Qiao et al. 2019, arXiv:1903.10520"),
}
# fmt: on


def get_normalization(text: str) -> Normalization:
    """The normalization of that name.

    Raises:
        UserError: for an unknown name.
    """
    return choose(NORMALIZATIONS, text, "normalization")
