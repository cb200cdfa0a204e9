"""`keras-resnet list`: which networks there are."""

from keras_resnet import info

from .command import Command
from .flags import Flags
from .output import print_lines, show_table


def list_models(flags: Flags, arguments: list[str]) -> None:
    """Lists every named network with its size, published error and available weights."""
    descriptions = [info.describe_with(name, sizes) for name, sizes in info.recorded_sizes().items()]
    show_table(info.SUMMARY, [info.summary(description) for description in descriptions])
    print_lines("Multiply-adds are at the default image size. keras_resnet.describe(NAME) tells more about one network.")


COMMAND = Command(list_models)
