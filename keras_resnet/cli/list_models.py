"""`keras-resnet list`: which networks there are, and which trained weights."""

from keras_resnet import info
from keras_resnet.errors import UserError, comma_join
from keras_resnet.weights.pretrained.entries import PretrainedWeights
from keras_resnet.weights.pretrained.lookup import list_pretrained
from keras_resnet.weights.published.entries import REFERENCES, PublishedWeights

from .command import Command
from .flags import FlagHelp, Flags
from .output import print_lines, show_table

PRETRAINED = ("trained weights", "images", "classes", "test accuracy", "size")
PUBLISHED = ("weights", "network", "source", "license", "images", "classes", "top-1", "top-5")
EXAMPLE = "keras-resnet list --pretrained 'resnet50*'"


def list_models(flags: Flags, arguments: list[str]) -> None:
    """Lists the named networks with their sizes and published errors, and trained weights: this package's, or everyone's."""
    if flags.value("pretrained"):
        list_published(*arguments)
        return
    if arguments:
        raise UserError(f"list takes a pattern with --pretrained only, not {comma_join(arguments)}; for example {EXAMPLE}")
    descriptions = [info.describe_with(name, sizes) for name, sizes in info.recorded_sizes().items()]
    show_table(info.SUMMARY, [info.summary(description) for description in descriptions])
    print_lines("Multiply-adds are at the default image size. keras_resnet.describe(NAME) tells more about one network.")
    show_table(PRETRAINED, map(row, list_pretrained()))
    print_lines("weights=NAME of a constructor and --weights=NAME take what is after the /, --model_path all of it.")


def list_published(pattern: str = "*", *others: str) -> None:
    """Prints what is known about everyone's trained weights that a pattern matches."""
    if others:
        raise UserError(f"list takes one pattern, not {comma_join([pattern, *others])}: put it in quotes, as in {EXAMPLE}")
    found = list_pretrained(pattern)
    if not found:
        raise UserError(
            f"no weights or networks match {pattern!r}; keras-resnet list --pretrained shows all, and {EXAMPLE} some"
        )
    show_table(PUBLISHED, map(published_row, found))
    print_lines(*dict.fromkeys(f"Refused: {entry.architecture}, {entry.refused}." for entry in found if entry.refused))
    for source in dict.fromkeys(entry.source for entry in found if entry.reference):
        print_lines(f"Accuracy of {source}: {REFERENCES[source]}.")


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


def published_row(entry: PublishedWeights) -> tuple[str, ...]:
    """The columns `PUBLISHED` of anyone's weights."""
    return (
        entry.name,
        entry.model or "refused",
        entry.source,
        entry.license,
        "x".join(map(str, entry.input_shape)),
        str(entry.classes or ""),
        *("" if accuracy is None else f"{accuracy:.2f}" for accuracy in (entry.top1, entry.top5)),
    )


def define(flags: Flags) -> None:
    """Defines the flags of `list`."""
    about = FlagHelp(
        "Weights",
        "List everyone's trained weights that a PATTERN such as 'resnet50*' matches, by name or network; without one, all. "
        "They are facts: nothing is downloaded.",
    )
    flags.define("pretrained", bool, False, about)


COMMAND = Command(list_models, define, arguments="[PATTERN]", example=EXAMPLE)
