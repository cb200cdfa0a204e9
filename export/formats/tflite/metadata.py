"""What a `.tflite` file says about itself, for MediaPipe Tasks, Android Studio and whoever else opens it.

Two things are added to a model: a buffer named TFLITE_METADATA, see `metadata_schema`, and behind the flatbuffer, where its
readers do not look, a zip archive with the files that the metadata names and with the record that we read ourselves.
"""

import io
import zipfile

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema

import keras_resnet
from keras_resnet.errors import UserError
from keras_resnet.metadata import MEMBER

from . import metadata_schema

NAME = "TFLITE_METADATA"
MODEL_IDENTIFIER = b"TFL3"
LABELS_FILE = "labels.txt"

OUTPUTS = {  # by the name that `serving` gives them
    "probabilities": {"name": "probability", "description": "Of each class", "stats": {"max": [1.0], "min": [0.0]}},
    "logits": {"name": "logit", "description": "Of each class; their softmax are the probabilities"},
}
CLASSES = {
    "content": {"content_properties": {"FeatureProperties": {}}},
    "associated_files": [{"name": LABELS_FILE, "description": "The classes, one a line", "type": "TENSOR_AXIS_LABELS"}],
}


def with_metadata(content, classifier, *, description, license):
    """A `.tflite` file's bytes with metadata, labels and the classifier's record, in the place of any that it has.

    To be called last: what edits a model drops the archive. Other metadata, such as the converter's, stays.

    Raises:
        UserError: for a label that is not one line of `labels.txt`.
    """
    model = unpack(content)
    set_metadata(model, metadata_schema.pack(metadata(model, classifier, description, license)))
    file = io.BytesIO(pack(model))
    with zipfile.ZipFile(file, "a") as archive:
        # A ZipInfo of its own means stored, which is all that MediaPipe reads, and no time: the same export is the same file.
        archive.writestr(zipfile.ZipInfo(LABELS_FILE), lines(classifier.labels))
        archive.writestr(zipfile.ZipInfo(MEMBER), classifier.to_json())
    return file.getvalue()


def read_metadata(content):
    """The metadata in a `.tflite` file's bytes as plain data, or None."""
    buffer = metadata_buffer(unpack(content))
    return buffer and metadata_schema.unpack(bytes(buffer.data))


def unpack(content):
    """A `.tflite` file's bytes as a `schema.ModelT` that needs nothing behind the flatbuffer.

    There ai-edge-quantizer puts the weights, as models beyond 2 GB need; a model that is packed anew would lose them.
    """
    model = schema.ModelT.InitFromPackedBuf(content, 0)
    for buffer in model.buffers:
        if buffer.offset > 1:  # 0 and 1 mean none
            buffer.data = np.frombuffer(content, np.uint8, buffer.size, buffer.offset)
            buffer.offset = buffer.size = 0
    return model


def pack(model):
    """A `schema.ModelT` as bytes."""
    builder = Aligned(1 << 20)
    builder.Finish(model.Pack(builder), MODEL_IDENTIFIER)
    return bytes(builder.Output())


class Aligned(flatbuffers.Builder):
    """Begins vectors of bytes at multiples of 16: the schema wants it of weights, and the generated code forgets it."""

    def StartVector(self, elemSize, numElems, alignment):  # noqa: N802, N803  the base class's names
        return super().StartVector(elemSize, numElems, 16 if elemSize == 1 else alignment)


def metadata_buffer(model):
    """The buffer that holds the metadata of a `schema.ModelT`, or None."""
    entries = model.metadata or ()
    return next((model.buffers[entry.buffer] for entry in entries if entry.name.decode() == NAME), None)


def set_metadata(model, content):
    """Makes `content` the metadata of a `schema.ModelT`."""
    buffer = metadata_buffer(model)
    if buffer is None:
        buffer, entry = schema.BufferT(), schema.MetadataT(NAME.encode(), len(model.buffers))
        model.buffers.append(buffer)
        model.metadata = [*(model.metadata or ()), entry]
    buffer.data = np.frombuffer(content, np.uint8)


def metadata(model, classifier, description, license):
    """The record of a `ModelMetadata` about a `schema.ModelT` with one picture as its input, and one output."""
    (output,) = model.signatureDefs[0].outputs
    scores = {**OUTPUTS[output.name.decode()], **CLASSES}
    return {
        "name": classifier.model,
        "description": description,
        "version": keras_resnet.__version__,
        "subgraph_metadata": [
            {"input_tensor_metadata": [picture(classifier.preprocessing)], "output_tensor_metadata": [scores]}
        ],
        "license": license,
        "min_parser_version": "1.0.0",  # the schema's, which had all the fields that we write
    }


def picture(preprocessing):
    """About the input tensor. The normalisation is the identity: scaling and normalisation are inside the graph."""
    height, width, channels = preprocessing.shape
    colour_space = "GRAYSCALE" if channels == 1 else "RGB"
    return {
        "name": "image",
        "description": f"{colour_space} picture, {width} pixels wide and {height} high, pixels from 0 to 255",
        "content": {
            "content_properties": {
                "ImageProperties": {"color_space": colour_space, "default_size": {"width": width, "height": height}}
            }
        },
        "process_units": [{"options": {"NormalizationOptions": {"mean": [0.0] * channels, "std": [1.0] * channels}}}],
        "stats": {"max": [255.0] * channels, "min": [0.0] * channels},
    }


def lines(labels):
    """The labels as a text file, one a line."""
    broken = [label for label in labels if label.splitlines() != [label]]
    if broken:
        raise UserError(f"a label is {broken[0]!r}, which is not one line of {LABELS_FILE}")
    return "".join(f"{label}\n" for label in labels)
