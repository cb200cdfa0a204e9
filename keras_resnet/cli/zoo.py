"""The networks: which there are, and other people's weights made into classifiers."""

import dataclasses
from pathlib import Path

from keras_resnet import environment
from keras_resnet import info as facts
from keras_resnet.errors import UserError

from .common import check_model, options_of, read_labels, show_table


def list_models(flags, arguments):
    """Shows every named network: its size, its published error and whose weights fit."""
    descriptions = [facts.describe_with(name, counts) for name, counts in facts.recorded_sizes().items()]
    show_table(facts.SUMMARY, [facts.summary(description) for description in descriptions])
    print("Multiply-adds are at the default image size. keras_resnet.describe(NAME) tells more of one.")


def import_weights(flags, arguments):
    """Makes a classifier of raw pixels, for evaluate, predict and export, from somebody's weights."""
    check_model(flags)
    environment.configure(flags.verbosity)
    import keras_resnet
    from keras_resnet.training.data.dataset import class_names_of

    if Path(flags.output_path).suffix != ".keras" or Path(flags.output_path).exists():
        raise UserError(f"--output_path is {flags.output_path}; it is a .keras file that does not exist yet")
    labels = (
        read_labels(flags.labels) if flags.labels else class_names_of(flags.dataset, flags.data_dir) if flags.dataset else None
    )
    if labels is None:
        raise UserError(
            "import needs the classes' names: --labels=FILE with one a line, or --dataset=NAME of the set they are in"
        )
    model = getattr(keras_resnet, flags.model)(
        input_shape=(None, None, 3),
        classes=len(labels),
        **{name: flags[name].value for name in ("block", "unit", "shortcut")},
        **dataclasses.asdict(options_of(flags)),
    )
    keras_resnet.load_weights(model, flags.weights)
    preprocessing = keras_resnet.preprocessing_for(flags.preprocessing or model)
    keras_resnet.save_classifier(model, flags.output_path, labels, preprocessing, flags.dataset or "")
    print(f"the classifier is {flags.output_path}: {preprocessing.summary()}, {len(labels)} classes")
