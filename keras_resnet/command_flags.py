"""The flags of each command."""

import dataclasses
import functools

from absl import flags as absl_flags

from keras_resnet.options import Options
from keras_resnet.training import recipes


def recipe_fields():
    return [field for field in dataclasses.fields(recipes.Recipe) if field.name != "source"]


DEFINERS = {
    int: absl_flags.DEFINE_integer,
    float: absl_flags.DEFINE_float,
    str: absl_flags.DEFINE_string,
    bool: absl_flags.DEFINE_bool,
    tuple: absl_flags.DEFINE_list,
    int | None: absl_flags.DEFINE_integer,
}


def define_nothing(values):
    """A command without flags of its own."""


def define_network(values):
    string = functools.partial(absl_flags.DEFINE_string, flag_values=values)
    string("model", None, "a named network, see `keras-resnet list`")
    string("block", None, "basic or bottleneck")
    string("unit", None, "the order inside the unit, such as bn_after_addition")
    string("shortcut", None, "A, B, C, none, or one of 2016, such as exclusive_gating(-6)")
    for field in dataclasses.fields(Options):
        DEFINERS[field.type](
            field.name, field.default, "an option of the network, see the docstrings of its constructor", flag_values=values
        )


def define_train(values):
    define_network(values)
    string = functools.partial(absl_flags.DEFINE_string, flag_values=values)
    string("dataset", None, "digits, or a set of tensorflow-datasets")
    string("data_dir", None, "folder of tensorflow-datasets' sets")
    string("workdir", None, "folder of the run; one with a checkpoint in it continues")
    string("recipe", None, f"one of {', '.join(recipes.RECIPES)}; by default the one of the dataset's name, or he2015_cifar")
    string("strategy", "auto", "auto or one_device")
    absl_flags.DEFINE_float("validation_fraction", 0.1, "share of the training split to choose by", flag_values=values)
    absl_flags.DEFINE_integer("seed", 0, "seed of the weights, the order and the augmentation", flag_values=values)
    for field in recipe_fields():
        DEFINERS[field.type](field.name, None, "overrides the recipe", flag_values=values)


def define_artefact(values):
    absl_flags.DEFINE_string("model_path", None, "a file or folder that train or export wrote", flag_values=values)


def define_data(values):
    absl_flags.DEFINE_string(
        "dataset", None, "where the test split is from; by default that of the training", flag_values=values
    )
    absl_flags.DEFINE_string("data_dir", None, "folder of tensorflow-datasets' sets", flag_values=values)


def define_import(values):
    define_network(values)
    string = functools.partial(absl_flags.DEFINE_string, flag_values=values)
    string("weights", None, "a file of ours, keras.applications', torchvision's, timm's or akamaster's; or imagenet")
    string("output", None, "the .keras file to write")
    string("labels", None, "a text file with the classes' names, one a line, in the order of the outputs")
    string("dataset", None, "the set whose labels they are, and that evaluate and export take by default")
    string("data_dir", None, "folder of tensorflow-datasets' sets")
    string("protocol", None, "how pictures are prepared, such as torchvision_v2; by default as the weights' source does it")


def define_benchmark(values):
    define_network(values)
    string = functools.partial(absl_flags.DEFINE_string, flag_values=values)
    string("what", None, "train (steps under fit) or build, each against the same network in stock layers")
    string("json", None, "also write what was measured to this file")
    absl_flags.DEFINE_integer("batch_size", 128, "images per step", lower_bound=1, flag_values=values)
    absl_flags.DEFINE_integer("steps", 4, "steps per measurement", lower_bound=1, flag_values=values)
    absl_flags.DEFINE_integer("rounds", 7, "pairs of measurements", lower_bound=1, flag_values=values)


def define_evaluate(values):
    define_artefact(values)
    define_data(values)


def define_predict(values):
    define_artefact(values)
    absl_flags.DEFINE_integer("top", 3, "how many labels", lower_bound=1, flag_values=values)


def define_export(values):
    define_artefact(values)
    define_data(values)
    absl_flags.DEFINE_string("output_dir", None, "folder for the artefacts", flag_values=values)
    absl_flags.DEFINE_list("formats", ["saved_model", "tflite", "onnx"], "what to write", flag_values=values)
    absl_flags.DEFINE_string("output", "probabilities", "probabilities or logits", flag_values=values)
    absl_flags.DEFINE_float("tolerance", 1e-4, "largest difference to Keras allowed", flag_values=values)
    absl_flags.DEFINE_integer(
        "verification_images", 1000, "images of the test split to verify on, 0 for all", lower_bound=0, flag_values=values
    )
