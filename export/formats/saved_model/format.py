"""SavedModel: for TensorFlow Serving, and for whatever else reads TensorFlow's graphs."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..context import ConversionContext
from ..format import GRADCAM, ExportTarget, Format
from ..inspection import Inspection, count

if TYPE_CHECKING:
    from keras_resnet.metadata import ClassifierMetadata

    from .runner import SavedModelRunner

SILENT = {"Placeholder", "Const", "Identity", "NoOp", "ReadVariableOp"}  # operations that compute nothing


class SavedModelFormat(Format[Mapping[str, Any]]):
    name = "saved_model"
    title = "SavedModel"
    suffix = ""
    libraries = ("tensorflow",)
    targets = (ExportTarget("saved_model", "none", "saved_model", max_difference=1e-4),)

    def convert(self, context: ConversionContext, pixel_dtype: str) -> Mapping[str, Any]:
        """Grad-CAM has a signature of its own, with all outputs: who only classifies does not pay for it."""
        from .archive import endpoints

        names = context.options.output
        serve = context.serving_function(pixel_dtype, *(name for name in names if name != GRADCAM))
        functions = endpoints(serve, context.metadata.preprocessing)
        return {**functions, GRADCAM: context.serving_function(pixel_dtype)} if GRADCAM in names else functions

    def write(self, content: Mapping[str, Any], path: Path, context: ConversionContext) -> None:
        from .archive import write_archive

        write_archive(content, path, context.metadata)

    def read_metadata(self, path: Path) -> ClassifierMetadata | None:
        from keras_resnet.metadata import SAVED_MODEL_MEMBER, ClassifierMetadata
        from keras_resnet.records import read_record

        record = path / SAVED_MODEL_MEMBER
        return read_record(record, ClassifierMetadata) if record.exists() else None

    def open(self, path: Path) -> SavedModelRunner:
        from .runner import SavedModelRunner

        return SavedModelRunner(path)

    def inspect(self, path: Path, runner: SavedModelRunner) -> Inspection:
        from keras_resnet._tensorflow_internals import graphs_of_function

        graphs = graphs_of_function(runner.function)
        operations = (operation.type for graph in graphs for operation in graph.get_operations())
        return Inspection(count(name for name in operations if name not in SILENT and not name.endswith("PartitionedCall")))


SAVED_MODEL = SavedModelFormat()
