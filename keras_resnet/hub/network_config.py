"""What the config.json of a repository says about a network, whichever library wrote it."""

import collections
import dataclasses
from collections.abc import Iterable

from keras_resnet.class_names import check_are_lines
from keras_resnet.preprocessing import Preprocessing


@dataclasses.dataclass(frozen=True)
class NetworkConfig:
    """A network as a config.json describes it.

    Attributes:
        library: that wrote it, "timm" or "transformers".
        architecture: the library's name of the network, such as "resnet50d"; for transformers a spelling of ours, see
            `transformers_config`.
        classes: their number; 0 for a network without classifier.
        class_names: in the order of the outputs; () if they are not there.
        preprocessing: how images are prepared; None if that is not there.
        license: an identifier such as "apache-2.0"; "" if it is not there.
    """

    library: str
    architecture: str
    classes: int
    class_names: tuple[str, ...] = ()
    preprocessing: Preprocessing | None = None
    license: str = ""


def distinct_names(names: Iterable[str]) -> tuple[str, ...]:
    """The names of classes; those that several classes share, such as ImageNet's two "crane", with their index."""
    names = [name.strip() for name in names]
    check_are_lines(names, "it has names of classes that are not a line of text")
    counts = collections.Counter(names)
    return tuple(name if counts[name] == 1 and name else f"{name} ({index})".lstrip() for index, name in enumerate(names))
