"""Makes small exports with a self-test, without a network to export, and self-tests that are wrong in one way each."""

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from life.artifacts import METADATA, SIDE, write_onnx

from keras_resnet.export.formats.inspection import Inspection
from keras_resnet.export.runtime import load_predictor
from keras_resnet.export.selftest.archive import write_selftest
from keras_resnet.export.selftest.standalone import SELF_TEST
from keras_resnet.export.targets import TARGETS
from keras_resnet.export.verification.agreement import compare
from keras_resnet.export.verification.result import Tolerances, VerificationResult

IMAGES = np.linspace(0, 40, 50).astype(np.uint8)[:, None, None, None] * np.ones((1, SIDE, SIDE, 1), np.uint8)


def result(name: str, outputs: np.ndarray, reference: np.ndarray, tolerances: Tolerances) -> VerificationResult:
    """A verification of which only the tolerances matter."""
    agreement = compare(outputs, reference, tolerances.min_agreement)
    return VerificationResult(
        name, TARGETS[name].file, 0, len(reference), {"probabilities": 0}, 0, 1, agreement, 1, 0, 1, tolerances, Inspection({})
    )  # fmt: skip


def write_export(folder: Path, count: int = 32) -> Path:
    """A folder with `model.onnx` and `model_int8.onnx`, and a self-test of them."""
    folder.mkdir(parents=True, exist_ok=True)
    reference = load_predictor(write_onnx(folder / "model.onnx", scale=0.05)).probabilities(IMAGES)
    found = load_predictor(write_onnx(folder / "model_int8.onnx", scale=0.051)).probabilities(IMAGES)
    passed = [
        (TARGETS[name], result(name, outputs, reference, tolerances), {"probabilities": outputs})
        for name, outputs, tolerances in (
            ("onnx", reference, Tolerances({"probabilities": 1e-4}, 1.0)),
            ("onnx_int8", found, Tolerances({"probabilities": np.inf}, 1.0, 97.0)),
        )
    ]
    write_selftest(folder, count, IMAGES, {"probabilities": reference}, passed, METADATA)
    return folder


def arrays_of(path: Path) -> dict[str, Any]:
    with np.load(path) as archive:
        return {name: archive[name] for name in archive.files}


def with_arrays(**changed: Any) -> Callable[[Path], None]:
    """Writes the good self-test with other arrays, or without those that are None."""

    def write(path: Path) -> None:
        arrays = {name: array for name, array in {**arrays_of(path), **changed}.items() if array is not None}
        with open(path, "wb") as file:
            np.savez(file, **arrays)

    return write


def with_record(change: Callable[[dict[str, Any]], Any]) -> Callable[[Path], None]:
    """Writes the good self-test with its record as `change` makes it."""

    def write(path: Path) -> None:
        record = json.loads(arrays_of(path)["record"].tobytes())
        changed = change(record)
        with_arrays(record=np.frombuffer(json.dumps(changed).encode(), np.uint8))(path)

    return write


def with_artifact(**changed: Any) -> Callable[[Path], None]:
    """Writes the good self-test with other entries of its first artifact."""
    return with_record(lambda record: {**record, "artifacts": [{**record["artifacts"][0], **changed}]})


def flip_a_bit(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[300] ^= 1
    path.write_bytes(content)


def one_array() -> bytes:
    with io.BytesIO() as file:
        np.save(file, np.zeros(3))
        return file.getvalue()


BAD_SELF_TESTS: dict[str, Callable[[Path], object]] = {
    "empty": lambda path: path.write_bytes(b""),
    "text": lambda path: path.write_text("no archive"),
    "truncated": lambda path: path.write_bytes(path.read_bytes()[:1000]),
    "a flipped bit": flip_a_bit,
    "one array": lambda path: path.write_bytes(one_array()),
    "somebody else's arrays": lambda path: np.savez(path, a=np.zeros(3)),
    "objects": with_arrays(images=np.array([{}, []], object)),
    "no images": with_arrays(images=None),
    "images of no number": with_arrays(images=np.zeros((0, SIDE, SIDE, 1), np.uint8)),
    "float images": with_arrays(images=np.zeros((32, SIDE, SIDE, 1))),
    "no outputs": with_arrays(expected_probabilities=None),
    "outputs of other images": with_arrays(expected_probabilities=np.zeros((31, 3), np.float32)),
    "outputs of one axis": with_arrays(expected_probabilities=np.zeros(32, np.float32)),
    "outputs of text": with_arrays(expected_probabilities=np.full((32, 3), "a")),
    "one decision": with_arrays(decided=np.zeros((), bool)),
    "no record": with_arrays(record=None),
    "a record of no JSON": with_arrays(record=np.frombuffer(b"\xff{", np.uint8)),
    "a record of a list": with_record(lambda record: [record]),
    "of a later version": with_record(lambda record: {**record, "version": 2}),
    "no artifacts": with_record(lambda record: {**record, "artifacts": []}),
    "a number of artifacts": with_record(lambda record: {**record, "artifacts": 2}),
    "a path for a file": with_artifact(file="../model.onnx"),
    "a digest of another file": with_artifact(sha256={"../model.onnx": "0"}),
    "no digest": with_artifact(sha256={}),
    "digests of numbers": with_artifact(sha256={"model.onnx": 3}),
    "no tolerances": with_artifact(outputs={}),
    "tolerances of text": with_artifact(outputs={"probabilities": {"max_difference": "much"}}),
    "an unknown output": with_artifact(outputs={"features": {}}),
    "a format of nothing": with_artifact(format=None),
}


def write_bad(kind: str, folder: Path) -> Path:
    BAD_SELF_TESTS[kind](write_export(folder) / SELF_TEST)
    return folder


def with_limits(folder: Path, **limits: Any) -> Path:
    """The good export, whose artifacts may differ by other limits."""

    def change(record: dict[str, Any]) -> dict[str, Any]:
        return {**record, "artifacts": [{**one, "outputs": {"probabilities": limits}} for one in record["artifacts"]]}

    with_record(change)(write_export(folder) / SELF_TEST)
    return folder
