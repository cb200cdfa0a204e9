"""What runs beside a residual branch: `shortcut(x, y, filters, stride, project=..., name=...)`.

`x` is the trunk as it enters the unit, `y` what a projection reads: the trunk itself in v1, the shared pre-activation in v2.
`project` is the unit's way to project: convolution and norm in v1, the bare convolution in v2. Every shortcut maps
(N, H, W, C) -> (N, H/stride, W/stride, filters).
"""

from keras_resnet.layers import channels, pad_channels, subsample


def option_a(x, y, filters, stride, *, project, name):
    """Identity; where the shape changes, subsample and pad zero channels. He et al. 2015, section 3.3 (A), no parameters."""
    if channels(x) == filters:
        return subsample(x, stride, name=f"{name}_subsample")
    return pad_channels(subsample(x, stride, name=f"{name}_subsample"), filters, name=f"{name}_pad")


def option_b(x, y, filters, stride, *, project, name):
    """Identity; where the shape changes, a 1x1 projection. He et al. 2015, section 3.3 (B), eq. 2."""
    if channels(x) == filters and stride == 1:
        return x
    return project(y, filters, 1, stride, name=name)


def option_c(x, y, filters, stride, *, project, name):
    """A 1x1 projection in every unit. He et al. 2015, section 4.1 (C)."""
    return project(y, filters, 1, stride, name=name)


def no_shortcut(x, y, filters, stride, *, project, name):
    """A plain network. He et al. 2015, section 3.3, "Plain Network"."""
    return None


SHORTCUTS = {"A": option_a, "B": option_b, "C": option_c, "none": no_shortcut}
