"""Downloads the weights of keras.applications into Keras' usual cache."""

from typing import TYPE_CHECKING

from keras_resnet.errors import UserError, comma_join, first_line
from keras_resnet.models import naming
from keras_resnet.models.naming import LOGITS_LAYER
from keras_resnet.models.variants import IMAGENET_STAGES

from .checkpoint_formats import BARE_PROJECTION, PROJECTION
from .structure import Structure

if TYPE_CHECKING:
    import keras

IMAGENET = "imagenet"
URL = "https://storage.googleapis.com/tensorflow/keras-applications/resnet/"

# fmt: off
FILES = {  # keras.applications' name of the network: MD5 of its file with and without the top
    "resnet50":    ("2cb95161c43110f7111970584f804107", "4d473c1dd8becc155b73f8504c6f6626"),
    "resnet101":   ("f1aeb4b969a6efcfb50fad2f0c20cfc5", "88cf7a10940856eca736dc7b7e228a21"),
    "resnet152":   ("100835be76be38e30d865e96f2aaae62", "ee4c566cf9a93f14d82f913c2dc6dd0c"),
    "resnet50v2":  ("3ef43a0b657b3be2300d5770ece849e0", "fac2f116257151a9d068a22e544a4917"),
    "resnet101v2": ("6343647c601c52e1368623803854d971", "c0ed64b8031c3730f411d2eb4eea35b5"),
    "resnet152v2": ("a49b44d1979771252814e80f8ec446f9", "ed17cf2e0169df9d443503ef94b23b33"),
}
NETWORKS = {  # of this zoo, that compute the same
    "ResNet50V1": "resnet50", "ResNet101V1": "resnet101", "ResNet152V1": "resnet152",
    "ResNet50V2Slim": "resnet50v2", "ResNet101V2Slim": "resnet101v2", "ResNet152V2Slim": "resnet152v2",
}
# fmt: on


def fetch(model: "keras.Model", structure: Structure) -> str:
    """Downloads keras.applications' ImageNet weights for the network, with the top if it has one, and returns their path.

    Raises:
        UserError: if there are none, or the download fails.
    """
    import keras

    name = NETWORKS.get(variant_name(model, structure) or "")
    if name is None:
        raise UserError(no_weights_for(model.name))
    with_top = any(layer.name == LOGITS_LAYER for layer in model.layers)
    file = f"{name}_weights_tf_dim_ordering_tf_kernels{'' if with_top else '_notop'}.h5"
    try:
        return keras.utils.get_file(file, URL + file, cache_subdir="models", file_hash=FILES[name][0 if with_top else 1])
    except Exception as error:
        message = f"{file} cannot be downloaded from {URL}: {first_line(error)}"
        raise UserError(f"{message}; if you have the file, pass its path as weights") from error


def no_weights_for(name: str) -> str:
    return f"no weights 'imagenet' for {name}: keras.applications has them for {comma_join(NETWORKS)}"


def variant_name(model: "keras.Model", structure: Structure) -> str | None:
    """The name of the variant, among those of `NETWORKS`, that has the network's structure; None if it is another."""
    depth = {depths: depth for depth, depths in IMAGENET_STAGES["bottleneck"].items()}.get(structure.depths)
    layers = {layer.name: layer for layer in model.layers}
    plain = Structure("", "", (), "", ())
    columns = ("projection", "antialias", "attention", "standardized", "padding")
    if any(getattr(structure, column) != getattr(plain, column) for column in columns) or structure.pool != "zeros":
        return None
    if structure.block != "bottleneck" or layers[naming.unit_layer(1, 1, "conv1")].filters != 64:
        return None
    if (structure.order, structure.shortcut) == ("original", PROJECTION):
        return f"ResNet{depth}V1" if structure.stride_on != "3x3" else None
    if (structure.order, structure.shortcut) == ("full_preactivation", BARE_PROJECTION):
        return f"ResNet{depth}V2Slim" if layers[naming.STEM_CONV].use_bias else None
    return None
