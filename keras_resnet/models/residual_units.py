"""Residual units: the orders of operations in `orders.py`, each with the convolutions of one of two blocks.

`x` is the skip path, `y` the branch. Layers are numbered by kind, in the order of the figure: `stage3_unit2_conv1`.
"""

import dataclasses
import functools
from collections.abc import Callable, Iterable

from keras import KerasTensor

from . import naming
from .antialiasing import Reduce
from .attention import Attention, no_attention
from .layers import add, average_pool, drop_path, relu
from .normalizations import Normalization
from .orders import BLOCKS, Operation, operations
from .shortcuts import Projection, ShortcutFunction


@dataclasses.dataclass(frozen=True)
class ResidualUnit:
    """What the units of a network have in common. Called on the skip path, it adds one unit.

    Attributes:
        order: a row of `orders.ORDERS`.
        block: a row of `orders.BLOCKS`.
        stride_on: index of the convolution that carries the stride: in a bottleneck 0 in the 2015 paper, 1 in "v1.5" and in the
            ImageNet networks of 2016.
        shortcut: see `shortcuts.py`.
        normalization: see `normalizations.py`.
        antialias: what reduces the resolution in place of the stride, right before the next convolution; see `antialiasing.py`.
        attention: what the branch ends in, see `attention.py`.
        projection: "1x1", which has the stride itself, or "avg_pool": a mean of 2x2 before it (He et al. 2019,
            arXiv:1812.01187, Figure 2(c)).
        groups: of the 3x3 convolution of a bottleneck.
        group_width: of each group, where `width` is 64.
        padding: of convolutions with a stride, "symmetric" or "same", see `layers.conv`.
        use_bias: biases in the branch's last convolution and in projections, as in TF-Slim's v2.
        zero_init: the branch begins as zeros (Goyal et al. 2017, arXiv:1706.02677, 5.1).
    """

    order: str
    block: str
    stride_on: int
    shortcut: ShortcutFunction
    normalization: Normalization
    antialias: Reduce | None = None
    attention: Attention = no_attention
    projection: str = "1x1"
    groups: int = 1
    group_width: int = 64
    padding: str = "symmetric"
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
            width: filters of all convolutions of the branch but an expanding last one, in one group as wide as the paper's.
            stride: of the unit.
            dilations: of the 3x3 convolutions up to the one that carries the stride, and of those after it.
            drop_rate: how often training leaves the branch out (stochastic depth).
            skip_preactivation: leave out the pre-activation, because `x` already went through one, as in the first unit
                (2016, section 5).
            name: of the unit, see `naming.unit_name`.
        """
        before, branch, after = operations(self.order, self.block)
        last = max(i for i, (kind, _) in enumerate(branch) if kind != "relu")
        convs = self._convolutions(width, stride, dilations, name)

        def run(x: KerasTensor, operations: Iterable[Operation]) -> KerasTensor:
            for kind, number in operations:
                zero = self.zero_init and (kind, number) == branch[last]
                layer_name = naming.sublayer(name, f"{kind}{number}")
                if kind == "relu":
                    x = relu(x, name=layer_name)
                elif kind == "norm":
                    x = self.normalization.norm(x, zero=zero, name=layer_name)
                else:
                    x = convs[number - 1](x, zero=zero, name=layer_name)
            return x

        y = x if skip_preactivation else run(x, before)
        filters = BLOCKS[self.block].expansion * width
        project = self._projection(with_norm=branch[last][0] == "norm", dilated=dilations[0] != dilations[1])
        shortcut_name = naming.sublayer(name, naming.SHORTCUT)
        skip, branch_transform = self.shortcut(x, y, filters, stride, project=project, name=shortcut_name)
        y = branch_transform(self.attention(run(y, branch), name=name))
        if drop_rate:
            y = drop_path(y, drop_rate, name=naming.sublayer(name, naming.DROP_PATH))
        return run(add(skip, y, name=naming.sublayer(name, naming.ADD)), after)

    def _convolutions(self, width: int, stride: int, dilations: tuple[int, int], name: str) -> list[Callable[..., KerasTensor]]:
        """One function for each convolution of the branch."""
        block = BLOCKS[self.block]
        ends = len(block.kernels) - 1
        reduced = self.antialias is not None and (stride > 1 or dilations[0] != dilations[1])
        inner = max(1, width * self.group_width // 64) * self.groups
        convs = [
            functools.partial(
                self.normalization.conv,
                filters=width * block.expansion if i == ends else inner,
                kernel_size=kernel,
                stride=stride if i == self.stride_on and not reduced else 1,
                dilation=dilations[i > self.stride_on] if kernel > 1 else 1,
                groups=self.groups if kernel > 1 else 1,
                use_bias=self.use_bias and i == ends,
                padding=self.padding,
            )
            for i, kernel in enumerate(block.kernels)
        ]
        if reduced:
            reduce = functools.partial(self.antialias, stride=stride, name=naming.sublayer(name, naming.ANTIALIAS))
            convs[self.stride_on + 1] = in_turn(reduce, convs[self.stride_on + 1])
        return convs

    def _projection(self, *, with_norm: bool, dilated: bool) -> Projection:
        """Projects to the shape of the branch's output, with a norm where the branch's last convolution has one.

        dilated: a dilation takes the place of the unit's stride.
        """
        bare = functools.partial(self.normalization.conv, use_bias=self.use_bias)
        project = self.normalization.conv_norm if with_norm else bare
        if self.projection == "1x1":
            return project

        def pool_and_project(x: KerasTensor, filters: int, kernel_size: int, stride: int, *, name: str) -> KerasTensor:
            if stride > 1 or dilated:
                x = average_pool(x, stride, "same", name=naming.sublayer(name, "pool"))
            return project(x, filters, kernel_size, name=name)

        return pool_and_project


def in_turn(first: Callable[..., KerasTensor], then: Callable[..., KerasTensor]) -> Callable[..., KerasTensor]:
    """Both functions in turn, the arguments going to the second."""
    return lambda x, **arguments: then(first(x), **arguments)
