"""What the Hugging Face Hub reads of a model card: its front matter, which makes the folder of an export a valid repository.

The entries are those of huggingface.co/docs/hub/model-cards and, for `model-index`, of its metadata specification.
"""

from typing import Any

from keras_resnet.hub.licenses import hub_license

from ..targets import TARGETS
from ..verification.result import VerificationResult
from .report import Report

LIBRARY = "keras-resnet-zoo"
TASK = "image-classification"
FORMAT_TAGS = {"saved_model": "tensorflow", "tflite": "tflite", "onnx": "onnx", "web": "litertjs"}


def front_matter_entries(report: Report, license: str, dataset: str) -> dict[str, Any]:
    """The entries of the front matter of an export's card. license: of the model. dataset: that it was measured on, or ""."""
    metadata = report.metadata
    formats = dict.fromkeys(TARGETS[result.name].format for result in report.results if result.passed)
    return {
        "library_name": LIBRARY,
        "pipeline_tag": TASK,
        "tags": [TASK, "keras", "resnet", *(FORMAT_TAGS[name] for name in formats)],
        **hub_license(license),
        "base_model": metadata.origin.repository if metadata.origin else "",
        "metrics": ["accuracy"],
        "model-index": [{"name": metadata.model, "results": [results_on(dataset, report)]}] if dataset else [],
    }


def results_on(dataset: str, report: Report) -> dict[str, Any]:
    """The accuracy of the Keras model and of each artifact that passed, on the images that they were verified on."""
    count = len(report.images)
    return {
        "task": {"type": TASK, "name": "Image classification"},
        "dataset": {"type": dataset, "name": dataset, "split": "test"},
        "metrics": [
            accuracy_entry(report.accuracy, "Keras model", count),
            *(artifact_entry(result, count) for result in report.results if result.passed),
        ],
    }


def artifact_entry(result: VerificationResult, images: int) -> dict[str, Any]:
    return accuracy_entry(result.accuracy, result.file, images)


def accuracy_entry(accuracy: float, what: str, images: int) -> dict[str, Any]:
    return {"type": "accuracy", "value": round(float(accuracy), 6), "name": f"Accuracy of {what} on {images} images"}
