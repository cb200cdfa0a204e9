"""`keras-resnet evaluate`: the accuracy of a trained or exported classifier."""

from keras_resnet import environment

from .command import Command
from .data import define_artifact, define_test_data, open_dataset
from .flags import Flags


def define_flags(flags: Flags) -> None:
    define_artifact(flags)
    define_test_data(flags)


def evaluate(flags: Flags, arguments: list[str]) -> None:
    """Measures the accuracy of a .keras, .tflite or .onnx file or a SavedModel folder on a test split."""
    environment.configure(flags.verbosity)
    from keras_resnet.export.runtime import load_predictor
    from keras_resnet.metrics import summary

    predictor = load_predictor(flags.model_path)
    metadata = predictor.metadata
    test = open_dataset(flags, metadata).test.prepared(metadata.preprocessing)
    result = summary(predictor.probabilities(test.images), test.labels)
    top5 = f"  top-5 {result['top5']:.2%}" if "top5" in result else ""
    print(f"top-1 {result['top1']:.2%}{top5}  loss {result['loss']:.4f}  images {result['images']}")


COMMAND = Command(
    evaluate,
    define_flags,
    required=("model_path",),
    example="keras-resnet evaluate --model_path=runs/digits/model.keras",
)
