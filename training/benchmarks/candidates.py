"""The table of who runs: one row per contestant, each of them a class of this package that `session` loads by its name.

Such a class has `load(steps)`, which lays the data ready; `build()`, from nothing to where a step could begin; `run()`, which
goes through the data once and leaves in `steps` how many that were; and `facts()`: multiply-adds of an image and versions.
"""

import dataclasses

from keras_resnet.benchmarks.applications import APPLICATIONS
from keras_resnet.errors import UserError, comma_join


@dataclasses.dataclass(frozen=True)
class Candidate:
    """home: module and class. our_environment: whether oneDNN is turned on as the command does, or left as users get it.
    variables: of the process's environment, besides. by_default: whether it runs where --baselines does not name it.
    """

    title: str
    class_path: str
    our_environment: bool = True
    needs_graph: bool = False  # of our network, for it cannot ask Keras
    variables: dict = dataclasses.field(default_factory=dict)
    by_default: bool = True


WITHOUT_ONEDNN = {"TF_ENABLE_ONEDNN_OPTS": "0"}

# fmt: off
CANDIDATES = {
    "input": {
        "ours": Candidate("ours, batch by batch", "reading.Ours"),
        "per_image": Candidate("tf.image, image by image", "reading.PerImage"),
    },
    "train": {
        "ours": Candidate("ours", "ours.Ours"),
        "stock": Candidate("stock Keras, as users get it", "stock.Stock", our_environment=False),
        "stock_same": Candidate("stock Keras, our environment", "stock.Stock"),
        "stock_plain": Candidate(  # what users get on processors without VNNI, where TensorFlow leaves oneDNN off
            "stock Keras, without oneDNN", "stock.Stock", our_environment=False, variables=WITHOUT_ONEDNN, by_default=False
        ),
        "applications": Candidate("keras.applications, as users get it", "stock.Applications", our_environment=False),
        "applications_same": Candidate("keras.applications, our environment", "stock.Applications"),
        "torch": Candidate("PyTorch, channels_last", "pytorch.PyTorch", our_environment=False, needs_graph=True),
        "mirrored": Candidate("ours, mirrored", "ours.Mirrored"),
    },
    "fit": {
        "ours": Candidate("ours, under fit", "stock.Fast"),
        "stock": Candidate("stock Keras, as users get it", "stock.Stock", our_environment=False),
        "stock_same": Candidate("stock Keras, our environment", "stock.Stock"),
    },
    "build": {
        "ours": Candidate("ours", "building.Ours"),
        "stock": Candidate("stock Keras", "building.Stock"),
    },
}
MATRIX_MULTIPLY = Candidate("matrix multiplication", "matrix_multiply.MatrixMultiply")
# fmt: on


def chosen(config):
    """`{key: Candidate}` of those that `config` asks for, ours first."""
    table = CANDIDATES[config.task]
    baselines = [key for key in table if key != "ours"]
    fitting = [key for key in baselines if not key.startswith("applications") or has_application(config)]
    if config.baselines is None:
        return {key: table[key] for key in ("ours", *fitting) if table[key].by_default}
    if unknown := [key for key in config.baselines if key not in baselines]:
        raise UserError(f"--baselines names {comma_join(unknown)}; for --task={config.task} there are {comma_join(baselines)}")
    if set(config.baselines) - set(fitting):
        raise UserError(f"keras.applications has no {config}; it has what is nearest to {comma_join(APPLICATIONS)} as they are")
    return {key: table[key] for key in table if key in ("ours", *config.baselines)}


def has_application(config):
    return config.model in APPLICATIONS and config.as_named
