"""The table of candidates: one row each, with the `Workload` of this package that `session` loads by its name."""

import dataclasses
from typing import Protocol, TypedDict

IMAGENET_IMAGES, MIN_IMAGES = 1_281_167, 10_000  # of --task=start; fewer would be checked before the first step
JPEG_SIDE = 64  # pixels from which on images of data sets are JPEG files of all sizes, not arrays
OURS = "ours"  # the key of the row that all others are compared with


class WorkloadInfo(TypedDict, total=False):
    """macs: multiply-adds per image. operations: of one step, where it is not a network's. notes: for below the table."""

    macs: int | None
    versions: dict[str, str]
    operations: int
    notes: list[str]


class Workload(Protocol):
    """What a process measures: made from a `BenchmarkConfig`, and from a graph or a folder of JPEGs if it needs one."""

    steps: int  # in one `run`
    # Also `peak_memory`, in megabytes, if it is not that of this process.

    def load_data(self, steps: int) -> None:
        """Prepares data for at least `steps` steps."""
        ...

    def build(self) -> None:
        """Does everything from nothing to where a step can begin."""
        ...

    def run(self) -> float | None:
        """Goes through the data once; this is what is timed, unless it returns the seconds of the part that counts."""
        ...

    def info(self) -> WorkloadInfo: ...


@dataclasses.dataclass(frozen=True)
class Candidate:
    """One row.

    Args:
        title: For the table of results.
        class_path: MODULE.CLASS inside this package.
        our_environment: Whether the process configures its environment (oneDNN) as the command does; or leaves it alone.
        needs_graph: Whether it is given the description of our network, because its process has no Keras.
        variables: Environment variables of the process.
        by_default: Whether it runs if `--baselines` does not name it.
    """

    title: str
    class_path: str
    our_environment: bool = True
    needs_graph: bool = False
    variables: dict[str, str] = dataclasses.field(default_factory=dict)
    by_default: bool = True


WITHOUT_ONEDNN = {"TF_ENABLE_ONEDNN_OPTS": "0"}

# fmt: off
CANDIDATES = {
    "input": {
        "ours": Candidate("ours, batch by batch", "input_pipeline.Ours"),
        "per_image": Candidate("tf.image, image by image", "input_pipeline.PerImage"),
    },
    "train": {
        "ours": Candidate("ours", "train_loop.Ours"),
        # Ours has loops where `--stack_units=auto` has them.
        "stacked": Candidate("ours, all alike units in loops", "train_loop.Stacked"),
        "unstacked": Candidate("ours, units one by one", "train_loop.Unstacked"),
        "rematerialized": Candidate("ours, rematerialized", "train_loop.Rematerialized"),
        "stock": Candidate("stock Keras, as users get it", "keras_fit.Stock", our_environment=False),
        "stock_same": Candidate("stock Keras, our environment", "keras_fit.Stock"),
        "stock_plain": Candidate(  # what users get on processors without VNNI, where TensorFlow leaves oneDNN off
            "stock Keras, without oneDNN", "keras_fit.Stock", our_environment=False, variables=WITHOUT_ONEDNN, by_default=False
        ),
        "applications": Candidate("keras.applications, as users get it", "keras_fit.Applications", our_environment=False),
        "applications_same": Candidate("keras.applications, our environment", "keras_fit.Applications"),
        "torch": Candidate("PyTorch, channels_last", "pytorch.PyTorch", our_environment=False, needs_graph=True),
        "mirrored": Candidate("ours, mirrored", "train_loop.Mirrored"),
    },
    "fit": {
        "ours": Candidate("ours, under fit", "keras_fit.Ours"),
        "stock": Candidate("stock Keras, as users get it", "keras_fit.Stock", our_environment=False),
        "stock_same": Candidate("stock Keras, our environment", "keras_fit.Stock"),
    },
    "start": {
        "ours": Candidate("a folder of JPEGs", "start.Folder", our_environment=False),
        "digits": Candidate("the embedded digits", "start.Digits", our_environment=False),
    },
    "build": {
        "ours": Candidate("ours", "model_building.Ours"),
        "stock": Candidate("stock Keras", "model_building.Stock"),
    },
}
JPEG_INPUT = {  # --task=input for larger images
    "ours": Candidate("ours, exact pixels", "jpeg_pipeline.Exact"),
    "no_antialias": Candidate("ours, jpeg_decoding=no_antialias", "jpeg_pipeline.NoAntialias"),
    "fast_dct": Candidate("ours, jpeg_decoding=fast_dct", "jpeg_pipeline.FastDct"),
    "fast": Candidate("ours, jpeg_decoding=fast", "jpeg_pipeline.Fast"),
    "kept": Candidate("ours, exact pixels, images in memory", "jpeg_pipeline.Kept"),
    "fast_kept": Candidate("ours, jpeg_decoding=fast, images in memory", "jpeg_pipeline.FastKept"),
    "per_image": Candidate("tf.image, image by image", "jpeg_pipeline.PerImage"),
    "torchvision": Candidate("torchvision, a worker per core", "torchvision_pipeline.Torchvision", our_environment=False),
}
MATMUL = Candidate("matrix multiplication", "matmul.Matmul")
# fmt: on
