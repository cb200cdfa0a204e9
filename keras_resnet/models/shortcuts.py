"""The shortcuts, which run beside a residual branch: one function and one row of `SHORTCUTS` each.

A shortcut is called as `shortcut(x, y, filters, stride, project=..., name=...)`. `x` is the skip path as it enters the unit,
`y` what a projection reads: the skip path itself in v1, the shared pre-activation in v2. `project` is how the unit projects:
with a norm in v1, by the bare convolution in v2. Every shortcut maps (N, H, W, C) -> (N, H/stride, W/stride, filters), or to
None where there is none. It also returns what is done to the branch before the addition, as a function `f(branch) -> branch`.
"""

from collections.abc import Callable
from typing import Protocol

from keras import KerasTensor

from keras_resnet.errors import UserError
from keras_resnet.rows import Parameter, Row, choose, forms

from .layers import channels, conv, dropout, multiply, pad_channels, scale, sigmoid, subsample
from .naming import UnitLayer, sublayer

ShortcutOutputs = tuple[KerasTensor | None, Callable[[KerasTensor], KerasTensor]]


class Projection(Protocol):
    """Projects with a kernel of the given size: (N, H, W, C) -> (N, H/stride, W/stride, filters)."""

    def __call__(self, x: KerasTensor, filters: int, kernel_size: int, stride: int, *, name: str) -> KerasTensor: ...


class ShortcutFunction(Protocol):
    """A shortcut whose numbers, if it has any, are set."""

    def __call__(
        self, x: KerasTensor, y: KerasTensor, filters: int, stride: int, *, project: Projection, name: str
    ) -> ShortcutOutputs: ...


def identity_branch(branch: KerasTensor) -> KerasTensor:
    """Leaves the branch alone."""
    return branch


def identity(x: KerasTensor, filters: int, stride: int, *, name: str) -> KerasTensor:
    """The skip path; where the shape changes, every stride-th pixel of it and zero channels."""
    if channels(x) > filters:
        raise UserError(
            f"{name} would leave out channels: the skip path has {channels(x)}, and its stage {filters}; a stem that is wider "
            "than the first stage goes with a projection, shortcut B or C"
        )
    x = subsample(x, stride, name=sublayer(name, "subsample"))
    return x if channels(x) == filters else pad_channels(x, filters, name=sublayer(name, "pad"))


def option_a(x: KerasTensor, y: KerasTensor, filters: int, stride: int, *, project: Projection, name: str) -> ShortcutOutputs:
    """Identity; where the shape changes, subsample and pad zero channels. No parameters."""
    return identity(x, filters, stride, name=name), identity_branch


def option_b(x: KerasTensor, y: KerasTensor, filters: int, stride: int, *, project: Projection, name: str) -> ShortcutOutputs:
    """Identity; where the width changes, a 1x1 projection (2015, eq. 2)."""
    if channels(x) == filters:
        return identity(x, filters, stride, name=name), identity_branch
    return project(y, filters, 1, stride, name=name), identity_branch


def option_c(x: KerasTensor, y: KerasTensor, filters: int, stride: int, *, project: Projection, name: str) -> ShortcutOutputs:
    """A 1x1 projection in every unit."""
    return project(y, filters, 1, stride, name=name), identity_branch


def option_vd(x: KerasTensor, y: KerasTensor, filters: int, stride: int, *, project: Projection, name: str) -> ShortcutOutputs:
    """A 1x1 projection in the first unit of each stage, whether its shape changes or not; identity in the others."""
    unit = UnitLayer.parse(name)
    first = unit is not None and unit.unit == 1
    return (option_c if first else option_b)(x, y, filters, stride, project=project, name=name)


def no_shortcut(
    x: KerasTensor, y: KerasTensor, filters: int, stride: int, *, project: Projection, name: str
) -> ShortcutOutputs:
    """A plain network."""
    return None, identity_branch


# He et al. 2016, section 3, on a network with option A: these change the identity, in every unit.


def constant_scaling(
    x: KerasTensor,
    y: KerasTensor,
    filters: int,
    stride: int,
    *,
    shortcut_factor: float,
    branch_factor: float,
    project: Projection,
    name: str,
) -> ShortcutOutputs:
    """Multiplies each of the two paths by a constant; Table 1 has (0, 1), (0.5, 1) and (0.5, 0.5)."""
    x = scale(identity(x, filters, stride, name=name), shortcut_factor, name=sublayer(name, "scale"))
    if branch_factor == 1:
        return x, identity_branch
    return x, lambda branch: scale(branch, branch_factor, name=sublayer(name, "branch_scale"))


def exclusive_gating(
    x: KerasTensor, y: KerasTensor, filters: int, stride: int, *, bias: float, project: Projection, name: str
) -> ShortcutOutputs:
    """(1 - g(x)) * x and g(x) * F(x); Table 1 varies the gate's initial bias from 0 to -7."""
    g = gate(x, filters, stride, bias, name=name)
    return gated(x, g, filters, stride, name=name), lambda branch: multiply(branch, g, name=sublayer(name, "branch_gated"))


def shortcut_only_gating(
    x: KerasTensor, y: KerasTensor, filters: int, stride: int, *, bias: float, project: Projection, name: str
) -> ShortcutOutputs:
    """(1 - g(x)) * x, and F(x) unchanged; Table 1 has the gate's initial biases 0 and -6."""
    g = gate(x, filters, stride, bias, name=name)
    return gated(x, g, filters, stride, name=name), identity_branch


def dropout_shortcut(
    x: KerasTensor, y: KerasTensor, filters: int, stride: int, *, rate: float, project: Projection, name: str
) -> ShortcutOutputs:
    """Dropout on the identity."""
    return dropout(identity(x, filters, stride, name=name), rate, name=sublayer(name, "dropout")), identity_branch


def gate(x: KerasTensor, filters: int, stride: int, bias: float, *, name: str) -> KerasTensor:
    """g(x) = sigmoid(W x + b), a 1x1 convolution, one gate for each output: (N, H, W, C) -> (N, H/s, W/s, filters)."""
    x = conv(x, filters, 1, stride, use_bias=True, bias=bias, name=sublayer(name, "gate"))
    return sigmoid(x, name=sublayer(name, "sigmoid"))


def gated(x: KerasTensor, g: KerasTensor, filters: int, stride: int, *, name: str) -> KerasTensor:
    """(1 - g) * x."""
    x = identity(x, filters, stride, name=name)
    return multiply(x, scale(g, -1.0, 1.0, name=sublayer(name, "complement")), name=sublayer(name, "gated"))


# fmt: off
SHORTCUTS = {
    "A":                    Row(option_a, "He et al. 2015, section 3.3 (A)"),
    "B":                    Row(option_b, "He et al. 2015, section 3.3 (B)"),
    "C":                    Row(option_c, "He et al. 2015, section 4.1 (C)"),
    "vd":                   Row(option_vd, "PaddlePaddle's ResNet_vd, KerasHub's of basic units"),
    "none":                 Row(no_shortcut, "He et al. 2015, section 3.3, Plain Network"),
    "constant_scaling":     Row(constant_scaling, "He et al. 2016, Figure 2(b), Table 1",
                                (Parameter("shortcut_factor", 0.5), Parameter("branch_factor", 0.5))),
    "exclusive_gating":     Row(exclusive_gating, "He et al. 2016, Figure 2(c), Table 1", (Parameter("bias", -6.0),)),
    "shortcut_only_gating": Row(shortcut_only_gating, "He et al. 2016, Figure 2(d), Table 1", (Parameter("bias", -6.0),)),
    "conv1x1":              Row(option_c, "He et al. 2016, Figure 2(e), Table 1, 1x1 conv"),
    "dropout":              Row(dropout_shortcut, "He et al. 2016, Figure 2(f), Table 1",
                                (Parameter("rate", 0.5, minimum=0, limit=1),)),
}
# fmt: on
FORMS = forms(SHORTCUTS)


def get_shortcut(text: str) -> ShortcutFunction:
    """The shortcut that a name such as "B" or "exclusive_gating(-7)" stands for; without numbers, with the default ones.

    Raises:
        UserError: for an unknown name, another number of numbers, or a number out of range.
    """
    return choose(SHORTCUTS, text, "shortcut")
