"""What runs beside a residual branch: `shortcut(x, y, filters, stride, project=..., name=...)`.

`x` is the trunk as it enters the unit, `y` what a projection reads: the trunk itself in v1, the shared pre-activation in v2.
`project` is the unit's way to project: with a norm in v1, the bare convolution in v2. Every shortcut maps
(N, H, W, C) -> (N, H/stride, W/stride, filters), or to None where there is none, and returns beside it what becomes of the
branch before the two are added: a function `f(branch) -> branch`.
"""

import functools
import inspect
import math

from keras_resnet.errors import UserError, comma_join

from .layers import channels, conv, dropout, multiply, pad_channels, scale, sigmoid, subsample


def identity_branch(branch):
    return branch


def identity(x, filters, stride, *, name):
    """The trunk; where the shape changes, every stride-th pixel of it and zero channels."""
    x = subsample(x, stride, name=f"{name}_subsample")
    return x if channels(x) == filters else pad_channels(x, filters, name=f"{name}_pad")


def option_a(x, y, filters, stride, *, project, name):
    """Identity; where the shape changes, subsample and pad zero channels. He et al. 2015, section 3.3 (A), no parameters."""
    return identity(x, filters, stride, name=name), identity_branch


def option_b(x, y, filters, stride, *, project, name):
    """Identity; where the width changes, a 1x1 projection. He et al. 2015, section 3.3 (B), eq. 2."""
    if channels(x) == filters:
        return identity(x, filters, stride, name=name), identity_branch
    return project(y, filters, 1, stride, name=name), identity_branch


def option_c(x, y, filters, stride, *, project, name):
    """A 1x1 projection in every unit. He et al. 2015, section 4.1 (C); 2016, Figure 2(e), Table 1 "1x1 conv"."""
    return project(y, filters, 1, stride, name=name), identity_branch


def no_shortcut(x, y, filters, stride, *, project, name):
    """A plain network. He et al. 2015, section 3.3, "Plain Network"."""
    return None, identity_branch


# He et al. 2016, section 3, on a network with option A: what they change is the identity, in every unit.


def constant_scaling(x, y, filters, stride, shortcut_factor=0.5, branch_factor=0.5, *, project, name):
    """Both paths times a constant. He et al. 2016, Figure 2(b); Table 1 has (0, 1), (0.5, 1) and (0.5, 0.5)."""
    x = scale(identity(x, filters, stride, name=name), shortcut_factor, name=f"{name}_scale")
    return x, lambda branch: branch if branch_factor == 1 else scale(branch, branch_factor, name=f"{name}_branch_scale")


def exclusive_gating(x, y, filters, stride, bias=-6.0, *, project, name):
    """(1 - g(x)) * x beside g(x) * F(x). He et al. 2016, Figure 2(c); Table 1 varies the gate's initial bias from 0 to -7."""
    g = gate(x, filters, stride, bias, name=name)
    x = multiply(identity(x, filters, stride, name=name), complement(g, name=name), name=f"{name}_gated")
    return x, lambda branch: multiply(branch, g, name=f"{name}_branch_gated")


def shortcut_only_gating(x, y, filters, stride, bias=-6.0, *, project, name):
    """(1 - g(x)) * x, and F(x) as it is. He et al. 2016, Figure 2(d); Table 1 has the gate's initial biases 0 and -6."""
    g = gate(x, filters, stride, bias, name=name)
    return multiply(identity(x, filters, stride, name=name), complement(g, name=name), name=f"{name}_gated"), identity_branch


def dropout_shortcut(x, y, filters, stride, rate=0.5, *, project, name):
    """Dropout on the identity. He et al. 2016, Figure 2(f), Table 1."""
    return dropout(identity(x, filters, stride, name=name), rate, name=f"{name}_dropout"), identity_branch


def gate(x, filters, stride, bias, *, name):
    """g(x) = sigmoid(W x + b), a 1x1 convolution, one gate for each output: (N, H, W, C) -> (N, H/s, W/s, filters)."""
    x = conv(x, filters, 1, stride, use_bias=True, bias=bias, name=f"{name}_gate")
    return sigmoid(x, name=f"{name}_sigmoid")


def complement(g, *, name):
    return scale(g, -1.0, 1.0, name=f"{name}_complement")


SHORTCUTS = {
    "A": option_a,
    "B": option_b,
    "C": option_c,
    "none": no_shortcut,
    "constant_scaling": constant_scaling,
    "exclusive_gating": exclusive_gating,
    "shortcut_only_gating": shortcut_only_gating,
    "conv1x1": option_c,
    "dropout": dropout_shortcut,
}
FORMS = (
    "A, B, C, none, constant_scaling(0.5,0.5), exclusive_gating(-6), shortcut_only_gating(-6), conv1x1, dropout(0.5); "
    "the numbers may be left out"
)


def get_shortcut(text):
    """The shortcut that a name such as "B" or "exclusive_gating(-7)" stands for; the numbers are those of Table 1."""
    name, opened, numbers = str(text).replace(" ", "").partition("(")
    if name not in SHORTCUTS or bool(opened) != numbers.endswith(")"):
        raise UserError(f"unknown shortcut {text!r}; the shortcuts are {FORMS}")
    parameters = inspect.signature(SHORTCUTS[name]).parameters.values()
    names = [parameter.name for parameter in parameters if parameter.default is not parameter.empty]
    if not opened:
        return SHORTCUTS[name]
    try:
        values = [float(number) for number in numbers[:-1].split(",")]
    except ValueError:
        values = []
    if len(values) != len(names) or not all(map(math.isfinite, values)):
        raise UserError(f"shortcut {text!r}: {name} takes {comma_join(names) or 'no number'}; the shortcuts are {FORMS}")
    if name == "dropout" and not 0 <= values[0] < 1:
        raise UserError(f"shortcut {text!r}: the rate is at least 0 and below 1")
    return functools.partial(SHORTCUTS[name], **dict(zip(names, values, strict=True)))
