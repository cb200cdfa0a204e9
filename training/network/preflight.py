"""What is wrong with a run, as far as its configuration, the environment and the file system tell: without TensorFlow.

The command asks before it imports TensorFlow, which takes seconds, and `train` before it reads data, which can take hours.
"""

from collections.abc import Sequence
from pathlib import Path

from keras_resnet.errors import UserError, comma_join
from keras_resnet.hub.names import is_hub_name
from keras_resnet.hub.repository import find_repository
from keras_resnet.metadata import ClassifierMetadata
from keras_resnet.models import variants
from keras_resnet.models.naming import PARTS
from keras_resnet.remote import AnyPath, is_remote
from keras_resnet.remote_copies import local
from keras_resnet.weights import availability
from keras_resnet.weights.pretrained import lookup

from ..config import TrainConfig
from ..data.location import check_location
from ..distribute.cluster import check_strategy, may_be_chief
from ..recipes import Recipe
from ..workdir import check_path, open_existing


def check_run(config: TrainConfig, workdir: AnyPath) -> None:
    """Raises a `UserError` for what can be known to be wrong before a run begins. Writes nothing, and locks nothing.

    config: what to train. workdir: the run's folder, of which only the chief asks whether it may train there.
    """
    check_path(workdir)
    check_strategy(config.strategy)
    on_disk = isinstance(workdir, Path)  # what a server has takes TensorFlow to see
    if on_disk and may_be_chief(config.strategy) and (existing := open_existing(workdir, config)):
        existing.close()
    row = variants.with_overrides(variants.get_variant(config.model), **config.variations)
    stages = len(variants.stage_depths(row))
    check_freeze(config.recipe, [part for part in PARTS if part[:-1] != "stage" or int(part[-1]) <= stages], config.model)
    check_accumulation(config.recipe)
    check_location(config.dataset, config.data_dir, config.manual_dir)
    if config.weights:
        width_multiplier = config.options.width_multiplier
        availability.check_available(config.weights, config.model, **config.variations, width_multiplier=width_multiplier)
    if side := known_side(config):
        check_augmentation(config.recipe, side)


def known_side(config: TrainConfig) -> int | None:
    """The shorter side of the images in pixels; None where only the data, or what is in the weights' file, tells."""
    if config.image_size or not config.weights:
        return config.image_size
    unread = is_remote(config.weights) and not is_hub_name(config.weights)
    classifier = None if unread else metadata_of(config.model, config.weights)
    return min(classifier.preprocessing.shape[:2]) if classifier else None


def metadata_of(model: str, weights: str) -> ClassifierMetadata | None:
    """Labels and preprocessing of weights of this package or the hub, or of those in a classifier of ours; None for others."""
    if lookup.is_name(weights):
        return lookup.find_entry(model, weights).metadata
    if entry := lookup.entry_of_file(weights):
        return entry.metadata
    if repository := find_repository(weights):
        return repository.metadata(model)
    path = local(weights)
    return ClassifierMetadata.read_from(path) if Path(path).is_file() else None


def check_freeze(recipe: Recipe, parts: Sequence[str], name: str) -> None:
    """Raises a `UserError` for parts to freeze that a network does not have. parts: those that it has. name: its name."""
    if unknown := [part for part in recipe.freeze if part not in parts]:
        raise UserError(f"freeze names {comma_join(unknown)}; the parts of {name} are {comma_join(parts)}")
    if {*parts} == {*recipe.freeze} and recipe.norm_layers != "trained":
        raise UserError(f"freeze names all parts of {name}, {comma_join(parts)}: nothing is left to train")


def check_accumulation(recipe: Recipe, replicas: int = 1) -> None:
    """Raises a `UserError` for batches that cannot be cut into pieces of one size. replicas: over all workers."""
    pieces = recipe.gradient_accumulation_steps
    if recipe.batch_size % (replicas * pieces):
        divisor = f"{replicas} replicas" + (f" times {pieces} gradient_accumulation_steps" if pieces > 1 else "")
        raise UserError(f"batch_size is {recipe.batch_size}, over all replicas; it must be divisible by {divisor}")


def check_augmentation(recipe: Recipe, side: int) -> None:
    """Raises a `UserError` for augmentation that needs larger images. side: their shorter one, in pixels."""
    for field in ("crop_padding", "cutout"):
        if getattr(recipe, field) > side:
            raise UserError(f"{field} is {getattr(recipe, field)}; it must be at most the images' side, {side} pixels")
