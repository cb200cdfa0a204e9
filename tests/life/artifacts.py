"""Makes small artifacts, good and odd ones, without a network to export: what stands under a name that a command opens."""

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper

from keras_resnet.metadata import MEMBER, ClassifierMetadata
from keras_resnet.preprocessing import Preprocessing

SIDE, LABELS = 8, ("cat", "dog", "emu")
METADATA = ClassifierMetadata("Net", "", LABELS, Preprocessing(SIDE, SIDE, 1, (0.5,), (0.5,)))


def write_onnx(path: Path, labels: tuple[str, ...] = LABELS, outputs: int = 3, scale: float = 1.0, rank: int = 2) -> Path:
    """A classifier that is surer of its last class the brighter an image is: softmax(scale * brightness * [0, 1, ...]).

    scale: NaN for outputs that are. rank: 1 for outputs without an axis of images.
    """
    weights = (scale * np.arange(outputs, dtype=np.float32)).reshape(1, outputs)
    shape = ["batch", outputs] if rank == 2 else ["batch"]
    nodes = [
        helper.make_node("Cast", ["pixels"], ["x"], to=TensorProto.FLOAT),
        helper.make_node("ReduceMean", ["x"], ["mean"], axes=[1, 2], keepdims=0),
        helper.make_node("MatMul", ["mean", "weights"], ["logits"]),
        helper.make_node("Softmax", ["logits"], ["soft"], axis=1),
        helper.make_node("ReduceMax", ["soft"], ["probabilities"], axes=[1], keepdims=0)
        if rank == 1
        else helper.make_node("Identity", ["soft"], ["probabilities"]),
    ]
    graph = helper.make_graph(
        nodes,
        "net",
        [helper.make_tensor_value_info("pixels", TensorProto.UINT8, ["batch", SIDE, SIDE, 1])],
        [helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, shape)],
        [onnx.numpy_helper.from_array(weights, "weights")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    record = dataclasses.replace(METADATA, labels=labels).to_json()
    model.metadata_props.add(key=MEMBER, value=record)
    onnx.save(model, path)
    return path


def truncated(path: Path) -> None:
    content = write_onnx(path).read_bytes()
    path.write_bytes(content[: len(content) // 2])


def without_its_data(path: Path) -> None:
    """The weights are in a file beside it, which is not there."""
    model = onnx.load(write_onnx(path))
    onnx.external_data_helper.convert_model_to_external_data(model, location="weights.bin", size_threshold=0)
    onnx.save(model, path)
    (path.parent / "weights.bin").unlink()


def wrong_at_run(path: Path) -> None:
    """Opens, and fails on any images: it asks for one that is not among them."""
    model = onnx.load(write_onnx(path))
    model.graph.initializer.append(onnx.numpy_helper.from_array(np.array([10**6]), "index"))
    model.graph.node[2].input[0] = "odd"
    model.graph.node.insert(2, helper.make_node("Gather", ["mean", "index"], ["odd"], axis=0))
    onnx.save(model, path)


def of_another_suffix(path: Path) -> None:
    path.write_bytes(write_onnx(path.with_name("other.onnx")).read_bytes())
    path.with_name("other.onnx").unlink()


def without_signature(path: Path) -> None:
    """A SavedModel folder with this package's record, and a graph that TensorFlow cannot read."""
    record = path / "assets.extra" / MEMBER
    record.parent.mkdir(parents=True)
    record.write_text(METADATA.to_json())
    (path / "saved_model.pb").write_bytes(b"\x08\x01\x12\x00")


def with_record(text: str) -> Callable[[Path], None]:
    def write(path: Path) -> None:
        model = onnx.load(write_onnx(path))
        model.metadata_props[0].value = text
        onnx.save(model, path)

    return write


# {name: (suffix, writer, what the line about it says)}
BAD_ARTIFACTS: dict[str, tuple[str, Callable[[Path], object], str]] = {
    "empty": (".onnx", lambda path: path.write_bytes(b""), "carries no labels"),
    "truncated": (".onnx", truncated, "cannot be loaded"),
    "text": (".onnx", lambda path: path.write_text("no model"), "cannot be loaded"),
    "external data missing": (".onnx", without_its_data, "cannot be loaded"),
    "fails when run": (".onnx", wrong_at_run, "cannot be run"),
    "more outputs than labels": (".onnx", lambda path: write_onnx(path, outputs=4), "has 4 outputs and 3 labels"),
    "outputs of one axis": (".onnx", lambda path: write_onnx(path, rank=1), "gives outputs of shape"),
    "no record": (".onnx", lambda path: onnx.save(onnx.ModelProto(), path), "carries no labels"),
    "record of a list": (".onnx", with_record(json.dumps([1, 2])), "damaged"),
    "ONNX called TFLite": (".tflite", of_another_suffix, "carries no labels"),
    "empty TFLite": (".tflite", lambda path: path.write_bytes(b""), "carries no labels"),
    "empty folder": ("", lambda path: path.mkdir(), "carries no labels"),
}
