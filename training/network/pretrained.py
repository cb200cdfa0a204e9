"""The network with the weights that a run starts from, loaded before its data are opened wherever that can be."""

from typing import NamedTuple

import keras

from keras_resnet.errors import UserError
from keras_resnet.metadata import Origin
from keras_resnet.preprocessing import Preprocessing

from ..config import TrainConfig
from ..data.containers.listing import Listing
from ..data.dataset import class_names_of
from .classifier import check_kept_head, pretrained_classifier
from .preflight import check_augmentation


class Pretrained(NamedTuple):
    """A whole network with given weights, on raw pixels, the preprocessing inside of it, and whose weights they are."""

    model: keras.Model
    preprocessing: Preprocessing
    origin: Origin | None = None


def load_before_data(config: TrainConfig, listing: Listing | None) -> Pretrained | None:
    """Builds the network with `config.weights`, for the classes of a data set that may not be there yet.

    None without weights, and where only the prepared data set tells its classes, or what is wrong with it. listing: of a
    container.
    """
    if not config.weights:
        return None
    class_names = listing.class_names if listing else names_before_download(config)
    if not class_names:
        return None
    check_kept_head(config, class_names)
    return load_pretrained(config, len(class_names))


def load_pretrained(config: TrainConfig, classes: int) -> Pretrained:
    """Builds the network with `config.weights`, and checks that its images are large enough for the augmentation."""
    keras.utils.set_random_seed(config.seed)
    pretrained = Pretrained(*pretrained_classifier(config, classes))
    check_augmentation(config.recipe, min(pretrained.preprocessing.shape[:2]))
    return pretrained


def names_before_download(config: TrainConfig) -> tuple[str, ...]:
    """The class names of a data set that may not be there yet; () if only the prepared one tells, or what is wrong with it."""
    try:
        return class_names_of(config.dataset, config.data_dir)
    except UserError:
        return ()
