"""`selftest.npz`: images, what Keras gives for them, and what each artifact may differ by; and the script that runs it.

Its arrays are read by `standalone.read`, here and without this package:

- `images`: uint8 (N, H, W, C), raw pixels.
- `expected_NAME`: float32 (N, ...), Keras' output of that name.
- `decided`: bool (N,), where Keras' two best probabilities differ, see `verification.agreement`.
- `record`: JSON in UTF-8, as uint8: the artifacts, their digests and tolerances.
"""

import io
import shutil
import zipfile
from collections.abc import Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np

from keras_resnet.files import json_text, sha256_of
from keras_resnet.metadata import ClassifierMetadata
from keras_resnet.metrics import predicted_labels, softmax

from ..formats.format import ExportTarget, Outputs, evenly_spaced
from ..verification import agreement
from ..verification.result import VerificationResult
from . import standalone

# How much more an artifact may differ than at its export. On 4,000 choices of 32 images, a CIFAR ResNet-20 exceeded 3 times
# on 0.05 % in int8 TFLite in tflite-runtime 2.14 against LiteRT 2.3; on 89 % in int8 ONNX that saturates on a CPU without VNNI.
SEEN = 3
UNIX = 3  # a system of zip archives
SOURCE = "standalone.py"  # which becomes `standalone.SCRIPT`
FILES = (standalone.SELF_TEST, standalone.SCRIPT)


def write_selftest(
    folder: Path,
    count: int,
    images: np.ndarray,
    reference: Outputs,
    passed: Sequence[tuple[ExportTarget, VerificationResult, Outputs]],
    metadata: ClassifierMetadata,
) -> int:
    """Writes the self-test and its script beside the artifacts; the same export gives the same bytes.

    Args:
        folder: Where the artifacts are.
        count: How many images to take, evenly spread.
        images: uint8 (N, H, W, C), those of the verification.
        reference: What Keras gives for them.
        passed: The artifacts that have passed, with what they give for them.
        metadata: The classifier's.

    Returns:
        How many images are in it; 0 where there is nothing to test, and nothing is written.
    """
    rows = evenly_spaced(len(images), count)
    if not passed or not len(rows):
        return 0
    decided = np.zeros(len(rows), bool)
    if scores := [name for name in standalone.SCORES if name in reference]:
        given = reference[scores[0]][rows]
        decided = agreement.decided_images(softmax(given) if scores[0] == "logits" else given)
    record = {
        "version": standalone.VERSION,
        "model": metadata.model,
        "dataset": metadata.dataset,
        "artifacts": [
            {
                "name": target.name,
                "format": target.format,
                "file": target.file,
                "sha256": digests(folder / target.file),
                "outputs": {
                    name: tolerances(result, name, expected, found[name], rows, decided)
                    for name, expected in reference.items()
                    if name in found
                },
            }
            for target, result, found in passed
        ],
    }
    arrays: dict[str, Any] = {f"{standalone.EXPECTED}{name}": output[rows] for name, output in reference.items()}
    arrays |= {"images": images[rows], "decided": decided, "record": np.frombuffer(json_text(record).encode(), np.uint8)}
    save_npz(folder / standalone.SELF_TEST, arrays)
    with resources.as_file(resources.files(__name__.rpartition(".")[0]) / SOURCE) as script:
        shutil.copyfile(script, folder / standalone.SCRIPT)
    return len(rows)


def save_npz(path: Path, arrays: Mapping[str, np.ndarray]) -> None:
    """Writes what `np.load` reads, with the same bytes on every system.

    Stored, and without the extension for archives of over 4 GB that `np.savez` always writes: an app can read it with what its
    system has, see `docs/proof.md`.
    """
    with zipfile.ZipFile(path, "w") as archive:
        for name, array in arrays.items():
            member = zipfile.ZipInfo(f"{name}.npy")  # of 1980
            member.create_system, member.external_attr = UNIX, 0o644 << 16
            with io.BytesIO() as file:
                np.lib.format.write_array(file, array, allow_pickle=False)
                archive.writestr(member, file.getvalue())


def tolerances(
    result: VerificationResult, name: str, expected: np.ndarray, found: np.ndarray, rows: np.ndarray, decided: np.ndarray
) -> dict[str, float]:
    """Returns what one output of an artifact may differ by on the images of the self-test.

    It must do as it does here, and differ by at most `SEEN` times as much on the average over all numbers. Of other predictions
    there may be as many as verification allows, and never fewer than here: a file that passes on 1,000 images may have its few
    mistakes among these.
    """
    allowed = result.tolerances
    limits: dict[str, float] = {"max_difference": allowed.max_differences[name]}
    given, wanted = found[rows], expected[rows]
    if allowed.min_agreement:
        least = agreement.RELATIVE * np.abs(wanted).mean()
        limits["max_mean_difference"] = float(max(SEEN * np.abs(given.astype(np.float64) - wanted).mean(), least))
    if allowed.min_agreement and name in standalone.SCORES:
        seen = int((decided & (predicted_labels(given) != predicted_labels(wanted))).sum())
        limits["max_disagreements"] = max(agreement.allowed_disagreements(int(decided.sum()), allowed.min_agreement), seen)
    return limits


def digests(path: Path) -> dict[str, str]:
    """Returns `{name: SHA-256}` of a file, or of all files in a folder, by their names from the folder that `path` is in."""
    paths = [path] if path.is_file() else sorted(inner for inner in path.rglob("*") if inner.is_file())
    return {inner.relative_to(path.parent).as_posix(): sha256_of(inner) for inner in paths}


def images_line(images: int) -> str:
    """The sentence that tells a user whose images get published."""
    what = "1 image" if images == 1 else f"{images} images"
    return f"`{standalone.SELF_TEST}` contains {what} of the test split, published with the folder."
