"""`keras-resnet import`: existing weights made into a classifier."""

import dataclasses
from pathlib import Path
from typing import NamedTuple

from keras_resnet import environment
from keras_resnet.class_names import first_difference
from keras_resnet.errors import UserError, comma_join
from keras_resnet.hub.repository import find_repository
from keras_resnet.metadata import Origin
from keras_resnet.models.variants import VARIATIONS
from keras_resnet.remote import AnyPath, as_path, check_reachable
from keras_resnet.training.data.containers.table import CONTAINERS
from keras_resnet.weights.checkpoint_formats import PREPROCESSING_PRESETS, check_preset
from keras_resnet.weights.pretrained.lookup import find_entry, is_name

from .command import Command
from .data import LABELS_TEXT, check_dataset, class_names_of_dataset, read_labels_file
from .field_help import TRAINING_HELP, WEIGHTS
from .flags import FlagHelp, Flags
from .network import check_model, define_network, model_options
from .output import print_lines

CLASSIFIER = "Classifier"


class Known(NamedTuple):
    """What is known about weights before they are read; `labels`, `dataset` and `origin` as `ClassifierMetadata` has them."""

    labels: tuple[str, ...] = ()
    channels: int = 3
    dataset: str = ""
    origin: Origin | None = None


def define_flags(flags: Flags) -> None:
    weights = FlagHelp(CLASSIFIER, f"The weights: {WEIGHTS}", placeholder="FILE")
    flags.define("weights", str, None, weights)
    output_path = FlagHelp(CLASSIFIER, "The .keras file to write. It must not exist yet.", placeholder="FILE")
    flags.define("output_path", str, None, output_path)
    define_network(flags, "that of the config.json of weights on the hub; needed for others")
    labels = FlagHelp(
        CLASSIFIER,
        f"{LABELS_TEXT}.",
        default="those of --dataset, or of weights of this package or the hub",
        placeholder="FILE",
    )
    flags.define("labels", str, None, labels)
    dataset = (
        "The data set that has these classes, and that evaluate and export then use by default: digits, a data set of "
        f"tensorflow-datasets, or what the images in --data_dir lie in: {comma_join(CONTAINERS)}."
    )
    flags.define("dataset", str, None, FlagHelp(CLASSIFIER, dataset, placeholder="NAME"))
    flags.define("data_dir", str, None, dataclasses.replace(TRAINING_HELP["data_dir"], group=CLASSIFIER))
    preprocessing = FlagHelp(
        CLASSIFIER,
        "How images are resized, cropped and normalized: as for the published figures of these weights.",
        tuple(PREPROCESSING_PRESETS),
        "that of the weights, which are recognized by their content",
    )
    flags.define("preprocessing", str, None, preprocessing)


def import_weights(flags: Flags, arguments: list[str]) -> None:
    """Turns existing weights into a classifier of raw pixels that evaluate, predict and export can use."""
    if flags.model:
        check_model(**flags.values(("model", *VARIATIONS)))
    output_path = as_path(flags.output_path)
    if isinstance(output_path, Path):
        check_output_path(output_path)
    if flags.preprocessing:
        check_preset(flags.preprocessing)
    model_name = flags.model or model_of_weights(flags.weights)
    known = known_of(model_name, flags.weights)
    class_names = None if flags.dataset else read_class_names(flags, known)
    from keras_resnet.weights.availability import check_available

    check_available(flags.weights, model_name, **flags.values(VARIATIONS), width_multiplier=flags.width_multiplier)
    environment.configure(flags.verbosity, tensorflow=False)
    check_dataset(flags)
    environment.configure(flags.verbosity)
    check_reachable(output_path)
    check_output_path(output_path)
    import keras_resnet

    class_names = class_names or read_class_names(flags, known)
    of_weights = not (flags.labels or flags.dataset or is_name(flags.weights))  # their classes, as a repository says
    if of_weights and (repository := find_repository(flags.weights)):
        from keras_resnet.pretrained import check_classes

        check_classes(repository)
    model = getattr(keras_resnet, model_name)(
        input_shape=(None, None, known.channels),
        classes=len(class_names),
        **flags.values(VARIATIONS),
        **dataclasses.asdict(model_options(flags)),
    )
    keras_resnet.load_weights(model, flags.weights)
    preprocessing = keras_resnet.preprocessing_for(flags.preprocessing or model)
    dataset = flags.dataset or known.dataset
    keras_resnet.save_classifier(model, flags.output_path, class_names, preprocessing, dataset)
    print_lines(f"the classifier is {flags.output_path}: {preprocessing.summary()}, {len(class_names)} classes")
    if known.origin:
        print_lines(f"{model_name} from {known.origin}, license: {known.origin.license or 'not stated'}")


def model_of_weights(weights: str) -> str:
    """The network that the config.json of weights on the hub, or in a folder like its repositories, describes.

    Or the one that a full name of weights of this package begins with.
    """
    from keras_resnet.weights.architectures import model_of_repository

    if is_name(weights) and "/" in weights:
        return weights.partition("/")[0]
    if repository := find_repository(weights):
        return model_of_repository(repository)
    raise UserError(f"import needs --model: {weights} does not say of which network it is, as a repository on the hub does")


def known_of(model: str, weights: str) -> Known:
    """What is known about trained weights of this package, or about those of the hub; nothing about others."""
    if is_name(weights):
        metadata = find_entry(model, weights).metadata
        return Known(metadata.labels, metadata.preprocessing.channels, metadata.dataset, metadata.origin)
    repository = find_repository(weights)
    if repository is None or repository.config is None:
        return Known()
    network = repository.config
    channels = network.preprocessing.channels if network.preprocessing else 3
    return Known(network.class_names, channels, origin=repository.origin)


def check_output_path(path: AnyPath) -> None:
    """Raises a `UserError` unless the classifier can be written there."""
    if path.suffix != ".keras" or path.exists():
        raise UserError(f"--output_path is {path}; it must be a .keras file that does not exist yet")


def read_class_names(flags: Flags, known: Known) -> tuple[str, ...]:
    """The names in --labels, or those of --dataset, or of the weights."""
    if flags.labels:
        return read_labels_file(flags.labels, distinct=True)
    if flags.dataset:
        names = class_names_of_dataset(flags)
        if known.labels and (different := first_difference(known.labels, names)):
            theirs, found = different
            raise UserError(
                f"the weights {flags.weights} are for other classes than dataset {flags.dataset!r} has: {theirs!r} instead of "
                f"{found!r}; leave out --dataset"
            )
        return names
    if known.labels:
        return known.labels
    raise UserError(
        "import needs class names: --labels=FILE with one per line, or --dataset=NAME of the data set that has them"
    )


COMMAND = Command(
    import_weights,
    define_flags,
    required=("weights", "output_path"),
    example="keras-resnet import --model=ResNet20V1 --weights=resnet20.th --dataset=cifar10 --output_path=resnet20.keras",
)
