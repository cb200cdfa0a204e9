"""The table of who runs: one row per contestant, each of them a class of this package that `session` loads by its name.

Such a class has `load(steps)`, which lays the data ready; `build()`, from nothing to where a step could begin; `run()`, which
goes through the data once and leaves in `steps` how many that were; and `facts()`: multiply-adds of an image and versions.
"""

import dataclasses

from keras_resnet.benchmarks.applications import APPLICATIONS
from keras_resnet.errors import UserError, choices


@dataclasses.dataclass(frozen=True)
class Contestant:
    """home: module and class. our_environment: whether oneDNN is turned on as the command does, or left as users get it.
    variables: of the process's environment, besides. by_default: whether it runs where --against does not name it.
    """

    title: str
    home: str
    our_environment: bool = True
    needs_graph: bool = False  # of our network, for it cannot ask Keras
    variables: dict = dataclasses.field(default_factory=dict)
    by_default: bool = True


WITHOUT_ONEDNN = {"TF_ENABLE_ONEDNN_OPTS": "0"}

# fmt: off
CONTESTANTS = {
    "input": {
        "ours": Contestant("ours, batch by batch", "reading.Ours"),
        "per_image": Contestant("tf.image, image by image", "reading.PerImage"),
    },
    "train": {
        "ours": Contestant("ours", "ours.Ours"),
        "stock": Contestant("stock Keras, as users get it", "stock.Stock", our_environment=False),
        "stock_same": Contestant("stock Keras, our environment", "stock.Stock"),
        "stock_plain": Contestant(  # what users get on processors without VNNI, where TensorFlow leaves oneDNN off
            "stock Keras, without oneDNN", "stock.Stock", our_environment=False, variables=WITHOUT_ONEDNN, by_default=False
        ),
        "applications": Contestant("keras.applications, as users get it", "stock.Applications", our_environment=False),
        "applications_same": Contestant("keras.applications, our environment", "stock.Applications"),
        "torch": Contestant("PyTorch, channels_last", "pytorch.PyTorch", our_environment=False, needs_graph=True),
        "mirrored": Contestant("ours, mirrored", "ours.Mirrored"),
    },
    "fit": {
        "ours": Contestant("ours, under fit", "stock.Fast"),
        "stock": Contestant("stock Keras, as users get it", "stock.Stock", our_environment=False),
        "stock_same": Contestant("stock Keras, our environment", "stock.Stock"),
    },
    "build": {
        "ours": Contestant("ours", "building.Ours"),
        "stock": Contestant("stock Keras", "building.Stock"),
    },
}
MATRIX_MULTIPLY = Contestant("matrix multiplication", "matrix_multiply.MatrixMultiply")
# fmt: on


def chosen(config):
    """`{key: Contestant}` of those that `config` asks for, ours first."""
    table = CONTESTANTS[config.what]
    opponents = [key for key in table if key != "ours"]
    fitting = [key for key in opponents if not key.startswith("applications") or has_twin(config)]
    if config.against is None:
        return {key: table[key] for key in ("ours", *fitting) if table[key].by_default}
    if unknown := [key for key in config.against if key not in opponents]:
        raise UserError(f"--against names {choices(unknown)}; for --what={config.what} there are {choices(opponents)}")
    if set(config.against) - set(fitting):
        raise UserError(f"keras.applications has no {config}; it has what is nearest to {choices(APPLICATIONS)} as they are")
    return {key: table[key] for key in table if key in ("ours", *config.against)}


def has_twin(config):
    return config.model in APPLICATIONS and config.as_named
