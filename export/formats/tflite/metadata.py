"""What a `.tflite` file says about itself, for MediaPipe Tasks, Android Studio and whoever else opens it.

Two things are added to a model: a buffer named TFLITE_METADATA, see `metadata_schema`, and after the flatbuffer, where its
readers do not look, a zip archive with the files that the metadata names and with the record that this package reads.
"""

import io
import zipfile
from collections.abc import Sequence
from typing import Any

import numpy as np

import keras_resnet
from keras_resnet._litert_internals import parse_model, schema, serialize_model
from keras_resnet.metadata import MEMBER, ClassifierMetadata
from keras_resnet.preprocessing import Preprocessing

from ..labels import LABELS_FILE, labels_text
from . import metadata_schema
from .metadata_schema import Record

NAME = "TFLITE_METADATA"

FEATURES: Record = {"content": {"content_properties": {"FeatureProperties": {}}}}
CLASSES: Record = {
    **FEATURES,
    "associated_files": [{"name": LABELS_FILE, "description": "The classes, one per line", "type": "TENSOR_AXIS_LABELS"}],
}
OUTPUTS: dict[str, Record] = {  # by the name of the signature
    "probabilities": {"name": "probability", "description": "Of each class", "stats": {"max": [1.0], "min": [0.0]}, **CLASSES},
    "logits": {"name": "logit", "description": "Of each class; their softmax are the probabilities", **CLASSES},
    "features": {"name": "features", "description": "The embedding that the last layer reads", **FEATURES},
}


def with_metadata(
    content: bytes, metadata: ClassifierMetadata, *, description: str, license: str, outputs: Sequence[str] = ()
) -> bytes:
    """Returns a `.tflite` file's bytes with metadata, labels and the classifier's record, in the place of any that it has.

    To be called last: what edits a model drops the archive. Other metadata, such as the converter's, stay. `outputs` are the
    names of the outputs in the order that they get; TensorFlow sorts them.

    Raises:
        UserError: For a label that is not one line of `labels.txt`.
    """
    model = parse_model(content)
    if outputs:
        order_outputs(model, outputs)
    set_metadata(model, metadata_schema.pack(model_metadata(model, metadata, description, license)))
    file = io.BytesIO(serialize_model(model))
    with zipfile.ZipFile(file, "a") as archive:
        # A ZipInfo of its own means stored, which is all that MediaPipe reads, and no time: the same export is the same file.
        archive.writestr(zipfile.ZipInfo(LABELS_FILE), labels_text(metadata.labels))
        archive.writestr(zipfile.ZipInfo(MEMBER), metadata.to_json())
    return file.getvalue()


def read_metadata(content: bytes) -> Record | None:
    """Reads the metadata in a `.tflite` file's bytes as plain data; None if there are none."""
    buffer = metadata_buffer(parse_model(content))
    return buffer and metadata_schema.unpack(bytes(buffer.data))


def order_outputs(model: Any, names: Sequence[str]) -> None:
    """Brings the outputs of a `schema.ModelT` into an order, for those who read them by number."""
    (graph,), (signature,) = model.subgraphs, model.signatureDefs
    signature.outputs.sort(key=lambda output: names.index(output.name.decode()))
    graph.outputs = [output.tensorIndex for output in signature.outputs]


def metadata_buffer(model: Any) -> Any:
    """Returns the buffer that holds the metadata of a `schema.ModelT`, or None."""
    entries = model.metadata or ()
    return next((model.buffers[entry.buffer] for entry in entries if entry.name.decode() == NAME), None)


def set_metadata(model: Any, content: bytes) -> None:
    """Makes `content` the metadata of a `schema.ModelT`."""
    buffer = metadata_buffer(model)
    if buffer is None:
        buffer, entry = schema.BufferT(), schema.MetadataT(NAME.encode(), len(model.buffers))
        model.buffers.append(buffer)
        model.metadata = [*(model.metadata or ()), entry]
    buffer.data = np.frombuffer(content, np.uint8)


def model_metadata(model: Any, metadata: ClassifierMetadata, description: str, license: str) -> Record:
    """Returns the record of a `ModelMetadata` about a `schema.ModelT` with one image as its input."""
    names = {output.tensorIndex: output.name.decode() for output in model.signatureDefs[0].outputs}
    outputs = [OUTPUTS[names[index]] for index in model.subgraphs[0].outputs]
    return {
        "name": metadata.model,
        "description": description,
        "version": keras_resnet.__version__,
        "subgraph_metadata": [
            {"input_tensor_metadata": [image_metadata(metadata.preprocessing)], "output_tensor_metadata": outputs}
        ],
        "license": license,
        "min_parser_version": "1.0.0",  # the schema's, which had all the fields that are written here
    }


def image_metadata(preprocessing: Preprocessing) -> Record:
    """Describes the input tensor. The normalization is the identity: scaling and normalization are inside the graph."""
    height, width, channels = preprocessing.shape
    color_space = "GRAYSCALE" if channels == 1 else "RGB"
    return {
        "name": "image",
        "description": f"{color_space} image, {width} pixels wide and {height} high, pixels from 0 to 255",
        "content": {
            "content_properties": {
                "ImageProperties": {"color_space": color_space, "default_size": {"width": width, "height": height}}
            }
        },
        "process_units": [{"options": {"NormalizationOptions": {"mean": [0.0] * channels, "std": [1.0] * channels}}}],
        "stats": {"max": [255.0] * channels, "min": [0.0] * channels},
    }
