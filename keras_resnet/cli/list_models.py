"""`keras-resnet list`: which networks there are."""

from keras_resnet import info
from keras_resnet.weights.pretrained.entries import PretrainedWeights
from keras_resnet.weights.pretrained.lookup import list_pretrained

from .command import Command
from .flags import Flags
from .output import print_lines, show_table

PRETRAINED = ("trained weights", "images", "classes", "test accuracy", "size")


def list_models(flags: Flags, arguments: list[str]) -> None:
    """Lists every named network with its size and published error, and the trained weights that come with the package."""
    descriptions = [info.describe_with(name, sizes) for name, sizes in info.recorded_sizes().items()]
    show_table(info.SUMMARY, [info.summary(description) for description in descriptions])
    print_lines("Multiply-adds are at the default image size. keras_resnet.describe(NAME) tells more about one network.")
    show_table(PRETRAINED, map(row, list_pretrained()))
    print_lines("weights=NAME of a constructor and --weights=NAME take what is after the /, --model_path all of it.")


def row(entry: PretrainedWeights) -> tuple[str, ...]:
    """The columns `PRETRAINED` of trained weights."""
    measured = f"{entry.accuracy:.2%} of {entry.images:,} images"
    return (
        entry.full_name,
        entry.preprocessing.summary(),
        str(len(entry.class_names)),
        measured,
        f"{entry.bytes / 1e6:.2f} MB",
    )


COMMAND = Command(list_models)
