"""Which weights a path or a name means, and whether they can be had: without Keras, as far as the file system tells."""

import os

from keras_resnet.errors import UserError, comma_join
from keras_resnet.hub.names import EXAMPLE
from keras_resnet.hub.repository import find_repository
from keras_resnet.models.variants import get_variant, with_overrides
from keras_resnet.remote import is_remote

from . import applications, architectures
from .pretrained import lookup
from .pretrained.arguments import check_unvaried
from .readers import find_reader
from .tensorflow_checkpoints import checkpoint_prefix


def valid_names() -> str:
    """The names that `load_weights` takes, as messages have them."""
    names = dict.fromkeys([applications.IMAGENET, *lookup.names_of_files()])
    *first, last = map(repr, names)
    return f"{comma_join(first)} or {last}, or a repository such as {EXAMPLE}" if first else last


def check_exists(path: str, path_or_name: object) -> None:
    """Raises a `UserError` if there is no such file. path_or_name: what was given."""
    if not os.path.exists(path) and checkpoint_prefix(path) is None:
        raise UserError(f"no weights {path_or_name!r}: it is the path of a file, or {valid_names()}")


def check_available(weights: str, model: str, *, width_multiplier: float = 1, **variations: str | None) -> None:
    """Raises a `UserError` for weights that a named network cannot have, whatever is in the file.

    Those are a name of other networks' weights, a file that is not there, one that is not of weights, and a repository of the
    hub that is not there, or whose config.json describes another network. What it has is fetched.

    Args:
        weights: a name or the path of a file, see `load_weights`.
        model: name of the network.
        width_multiplier, **variations: what makes it another network than the one of that name, see `variants.VARIATIONS`.
    """
    if lookup.is_name(weights):
        check_unvaried(lookup.find_entry(model, weights), variations, width_multiplier)
    elif weights == applications.IMAGENET:
        if model not in applications.NETWORKS and not any(variations.values()):
            raise UserError(applications.no_weights_for(model.lower()))
    elif repository := find_repository(weights):
        ours = with_overrides(get_variant(model), **variations)
        if repository.config and ours != get_variant(theirs := architectures.model_of_repository(repository)):
            said = repository.config.architecture
            raise UserError(f"{repository.name} does not fit {model}: its config.json says {said}, which is {theirs}")
        find_reader(os.fspath(repository.weights()))
    elif not is_remote(weights):
        check_exists(weights, weights)
        find_reader(weights)
