"""The flags of each command."""

import dataclasses
import functools

from absl import flags as absl_flags

from keras_resnet.export import targets as artifacts
from keras_resnet.models.options import ModelOptions
from keras_resnet.training import recipes
from keras_resnet.training.config import TrainConfig

# What the flags of `train` say of themselves; the others override the recipe or are options of the network.
RUN = {
    "model": "a named network, see `keras-resnet list`",
    "dataset": "digits, a set of tensorflow-datasets, or folder: pictures in --data_dir",
    "block": "basic or bottleneck",
    "unit": "the order inside the unit, such as bn_after_addition",
    "shortcut": "A, B, C, none, or one of 2016, such as exclusive_gating(-6)",
    "weights": "begin with these: a file of ours, keras.applications', torchvision's, timm's or akamaster's; or imagenet",
    "skip_head": "leave the classifier out of --weights, as another number of classes needs",
    "image_size": "side of the images in pixels; by default their own, or that of the weights' preprocessing",
    "validation_fraction": "share of the training split to choose by",
    "on_bad_image": "skip or fail: what to do about pictures that cannot be decoded",
    "seed": "seed of the weights, the order and the augmentation",
    "precision": "float32, mixed_bfloat16 or mixed_float16, of computation; weights are float32",
    "sync_batch_norm": "normalise over the images of all replicas",
    "deterministic": "the same bits in every run, where TensorFlow can; slower",
    "data_dir": "folder of pictures, or of tensorflow-datasets' sets",
    "manual_dir": "folder of archives that you downloaded, for sets that need it",
    "strategy": "auto, one_device, mirrored, multi_worker or tpu",
    "jit_compile": "compile the step with XLA; for GPUs and TPUs",
    "steps_per_execution": "training steps in one call of the host; 0 fits it to about a second",
    "checkpoint_minutes": "longest time between two checkpoints, besides those of every epoch",
    "keep_checkpoints": "how many of the newest checkpoints stay",
}


def run_fields():
    return list(RUN)


def recipe_fields():
    return [field.name for field in dataclasses.fields(recipes.Recipe) if field.name != "reference"]


def option_fields():
    return [field.name for field in dataclasses.fields(ModelOptions)]


DEFINERS = {
    int: absl_flags.DEFINE_integer,
    float: absl_flags.DEFINE_float,
    str: absl_flags.DEFINE_string,
    bool: absl_flags.DEFINE_bool,
    tuple: absl_flags.DEFINE_list,
    int | None: absl_flags.DEFINE_integer,
    str | None: absl_flags.DEFINE_string,
}


def define_nothing(values):
    """A command without flags of its own."""


def define_fields(cls, names, describe, values, default=lambda field: field.default):
    """A flag for each of those fields of a dataclass."""
    for field in dataclasses.fields(cls):
        if field.name in names:
            given = default(field)
            given = None if given is dataclasses.MISSING else given
            DEFINERS[field.type](field.name, given, describe(field.name), flag_values=values)


def define_network(values):
    define_fields(TrainConfig, ("model", "block", "unit", "shortcut"), RUN.get, values)
    define_options(values)


def define_options(values):
    about = "an option of the network, see the docstrings of its constructor"
    define_fields(ModelOptions, option_fields(), lambda name: about, values)


def define_train(values):
    string = functools.partial(absl_flags.DEFINE_string, flag_values=values)
    string("workdir", None, "folder of the run; one with a checkpoint in it continues")
    string("config", None, "config.json of a run, to repeat it but for the flags that are given")
    string("recipe", None, f"one of {', '.join(recipes.RECIPES)}; by default one that fits the data and the network")
    define_fields(TrainConfig, run_fields(), RUN.get, values)
    define_options(values)
    define_fields(recipes.Recipe, recipe_fields(), lambda name: "overrides the recipe", values, lambda field: None)


def define_launch(values):
    absl_flags.DEFINE_integer("workers", None, "how many processes", lower_bound=1, flag_values=values)
    absl_flags.DEFINE_integer(
        "max_restarts", 0, "how often all begin again from the last checkpoint when one dies", lower_bound=0, flag_values=values
    )


def define_artifact(values):
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
    string("output_path", None, "the .keras file to write")
    string("labels", None, "a text file with the classes' names, one a line, in the order of the outputs")
    string("dataset", None, "the set whose labels they are, and that evaluate and export take by default")
    string("data_dir", None, "folder of tensorflow-datasets' sets")
    string(
        "preprocessing", None, "how pictures are prepared, such as torchvision_v2; by default as the weights' source does it"
    )


def define_benchmark(values):
    define_network(values)
    string = functools.partial(absl_flags.DEFINE_string, flag_values=values)
    string(
        "task",
        None,
        "train, fit, input, build or export: our training, Keras' fit, the input pipeline, building, what was exported; "
        "each against others'",
    )
    string("json", None, "also write what was measured to this file")
    string("output_dir", None, "for export: the folder that export left")
    string("model_path", None, "for export: the .keras file behind it; by default the one that its report names")
    several = functools.partial(absl_flags.DEFINE_list, flag_values=values)
    several("threads", ["1", "2"], "for export: how many threads a runtime has, each number measured by itself")
    several(
        "baselines",
        None,
        "whom to run beside ours, for export also folders of other exports; by default all that fit and no folder",
    )
    number = functools.partial(absl_flags.DEFINE_integer, flag_values=values)
    number("batch_size", None, "images per step or inference; by default 128, for export 1", lower_bound=1)
    number("image_size", None, "side of the images in pixels; by default the network's own", lower_bound=1)
    number("steps", 0, "steps or inferences per measurement; 0 fits them to a few seconds, for export to 0.3", lower_bound=0)
    number("rounds", None, "measurements of each contestant; by default 5, for export 30", lower_bound=1)


def define_evaluate(values):
    define_artifact(values)
    define_data(values)


def define_predict(values):
    define_artifact(values)
    absl_flags.DEFINE_integer("top", 3, "how many labels", lower_bound=1, flag_values=values)


def define_export(values):
    define_artifact(values)
    define_data(values)
    string = functools.partial(absl_flags.DEFINE_string, flag_values=values)
    several = functools.partial(absl_flags.DEFINE_list, flag_values=values)
    string("output_dir", None, "folder for the artifacts")
    several("formats", list(artifacts.FORMATS), "what to write")
    several(
        "quantize", None, f"of {', '.join(artifacts.QUANTIZATIONS)}; by default {', '.join(artifacts.DEFAULT_QUANTIZATIONS)}"
    )
    string("output", "probabilities", "probabilities or logits")
    absl_flags.DEFINE_bool("fold", True, "take normalisations out of the network, which computes the same", flag_values=values)
    several("keep_float", [], "operators that stay float in int8 and int16x8, by name; auto finds them by measuring")
    absl_flags.DEFINE_integer(
        "calibration_images", 256, "images of the training part that ranges are taken from", lower_bound=1, flag_values=values
    )
    absl_flags.DEFINE_float(
        "max_difference", None, "largest difference to Keras allowed; by default 1e-4 in float32", flag_values=values
    )
    absl_flags.DEFINE_float("max_accuracy_drop", 1.0, "points of accuracy that may be lost", flag_values=values)
    absl_flags.DEFINE_integer(
        "verification_images", 1000, "images of the test split to verify on, 0 for all", lower_bound=0, flag_values=values
    )
    string("onnx_layout", "nhwc", "nhwc or nchw, of the pixels that the ONNX file takes")
    absl_flags.DEFINE_integer("opset", 15, "of ONNX", flag_values=values)
    string("description", "", "a sentence about the model, for the files and the card")
    string("license", "", "the model's licence, for the files and the card")
    string("normalization", None, "how somebody else's .keras file wants its pixels: none, caffe, tf or torch")
    string("labels", None, "a text file with the classes' names, one a line, where the file does not know them")
    absl_flags.DEFINE_integer(
        "image_size", None, "side in pixels, for a network that takes any", lower_bound=1, flag_values=values
    )
