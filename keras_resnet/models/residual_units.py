"""Residual units: the orders of operations in `orders.py`, each with the convolutions of one of two blocks.

`x` is the skip path, `y` the branch. Layers are numbered by kind, in the order of the figure: `stage3_unit2_conv1`.
"""

import dataclasses
import functools
from collections.abc import Callable, Iterable

from keras import KerasTensor

from . import naming
from .layers import add, conv, conv_norm, drop_path, norm, relu
from .orders import BLOCKS, Operation, operations
from .shortcuts import ShortcutFunction


@dataclasses.dataclass(frozen=True)
class ResidualUnit:
    """What the units of a network have in common. Called on the skip path, it adds one unit.

    Attributes:
        order: a row of `orders.ORDERS`.
        block: a row of `orders.BLOCKS`.
        stride_on: index of the convolution that carries the stride: in a bottleneck 0 in the 2015 paper, 1 in "v1.5" and in the
            ImageNet networks of 2016.
        shortcut: see `shortcuts.py`.
        use_bias: biases in the branch's last convolution and in projections, as in TF-Slim's v2.
        zero_init: the branch begins as zeros (Goyal et al. 2017, arXiv:1706.02677, 5.1).
    """

    order: str
    block: str
    stride_on: int
    shortcut: ShortcutFunction
    use_bias: bool = False
    zero_init: bool = False

    def __call__(
        self,
        x: KerasTensor,
        width: int,
        stride: int,
        *,
        dilations: tuple[int, int] = (1, 1),
        drop_rate: float = 0.0,
        skip_preactivation: bool = False,
        name: str,
    ) -> KerasTensor:
        """Adds a unit: (N, H, W, C) -> (N, H/stride, W/stride, expansion * width).

        Args:
            x: the skip path.
            width: filters of all convolutions of the branch but an expanding last one.
            stride: of the unit.
            dilations: of the 3x3 convolutions up to the one that carries the stride, and of those after it.
            drop_rate: how often training leaves the branch out (stochastic depth).
            skip_preactivation: leave out the pre-activation, because `x` already went through one, as in the first unit
                (2016, section 5).
            name: of the unit, see `naming.unit_name`.
        """
        before, branch, after = operations(self.order, self.block)
        last = max(i for i, (kind, _) in enumerate(branch) if kind != "relu")
        convs = self._convolutions(width, stride, dilations)

        def run(x: KerasTensor, operations: Iterable[Operation]) -> KerasTensor:
            for kind, number in operations:
                zero = self.zero_init and (kind, number) == branch[last]
                layer_name = naming.sublayer(name, f"{kind}{number}")
                if kind == "relu":
                    x = relu(x, name=layer_name)
                elif kind == "norm":
                    x = norm(x, zero=zero, name=layer_name)
                else:
                    x = convs[number - 1](x, zero=zero, name=layer_name)
            return x

        y = x if skip_preactivation else run(x, before)
        # A projection has a norm where the branch's last convolution has one.
        project = conv_norm if branch[last][0] == "norm" else functools.partial(conv, use_bias=self.use_bias)
        filters = BLOCKS[self.block].expansion * width
        shortcut_name = naming.sublayer(name, naming.SHORTCUT)
        skip, branch_transform = self.shortcut(x, y, filters, stride, project=project, name=shortcut_name)
        y = branch_transform(run(y, branch))
        if drop_rate:
            y = drop_path(y, drop_rate, name=naming.sublayer(name, naming.DROP_PATH))
        return run(add(skip, y, name=naming.sublayer(name, naming.ADD)), after)

    def _convolutions(self, width: int, stride: int, dilations: tuple[int, int]) -> list[Callable[..., KerasTensor]]:
        """One function for each convolution of the branch."""
        block = BLOCKS[self.block]
        ends = len(block.kernels) - 1
        return [
            functools.partial(
                conv,
                filters=width * (block.expansion if i == ends else 1),
                kernel_size=kernel,
                stride=stride if i == self.stride_on else 1,
                dilation=dilations[i > self.stride_on] if kernel > 1 else 1,
                use_bias=self.use_bias and i == ends,
            )
            for i, kernel in enumerate(block.kernels)
        ]
