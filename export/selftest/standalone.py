"""Runs a self-test: are the artifacts in this folder, on this machine, what they were when they were exported?

    python verify.py [FOLDER or FILE] [--formats=tflite,onnx]

keras-resnet writes this script as `verify.py` beside the artifacts. It needs NumPy, and for .tflite files ai-edge-litert,
tflite-runtime or tensorflow, for .onnx files onnxruntime. Each artifact is given the images of `selftest.npz`, one by one, and
its outputs are compared with those that Keras had. Exit status: 0, all passed; 1, an artifact failed, is missing or was not
run; 2, there is nothing that could be run. Of a SavedModel and a web page it compares the digests only: `keras-resnet verify`
runs them.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib
import json
import platform
import sys
import zipfile
from importlib import metadata
from pathlib import Path
from typing import Any, Callable, NamedTuple, Sequence  # noqa: UP035  this file also runs in older Pythons than the package

import numpy as np

SELF_TEST, SCRIPT, VERSION, EXPECTED = "selftest.npz", "verify.py", 1, "expected_"
SCORES = ("probabilities", "logits")  # outputs whose largest number is the prediction
PASSED, FAILED, NOT_RUN, UNCHANGED = "passed", "FAILED", "not run", "unchanged"
MEASURES = {  # {what is measured: (its tolerance, in words)}
    "max_difference": ("max_difference", "the largest difference"),
    "mean_difference": ("max_mean_difference", "the mean difference"),
    "disagreements": ("max_disagreements", "the number of other predictions"),
}
FORMATS = ("saved_model", "tflite", "onnx", "web")
RUNTIMES = {  # of each format, the first that is installed
    "tflite": ("ai_edge_litert", "tflite_runtime", "tensorflow"),
    "onnx": ("onnxruntime",),
    "saved_model": ("tensorflow",),
}
CPU_FEATURES = ("AVX2", "AVX512F", "AVX512VNNI", "ASIMD", "ASIMDDP")  # by NumPy's names


class SelfTestError(ValueError):
    """There is no self-test, or none that can be read."""


class SelfTest(NamedTuple):
    """What is in `selftest.npz`. expected: {output: (N, ...)}; decided: where Keras' two best probabilities differ by 0.1."""

    images: np.ndarray
    expected: dict[str, np.ndarray]
    decided: np.ndarray
    record: dict[str, Any]


class Result(NamedTuple):
    """One artifact. outputs: {output: what was found}, see `compare`."""

    name: str
    file: str
    verdict: str
    reasons: list[str]
    outputs: dict[str, dict[str, Any]]


def locate(path: Path) -> Path:
    """Returns the path of the self-test in the folder of an export, or beside one of its artifacts."""
    for folder in (path, path.absolute().parent):
        if (folder / SELF_TEST).is_file():
            return folder / SELF_TEST
    if not path.exists():
        raise SelfTestError(f"no file or folder {path}")
    where = f"{path} has no {SELF_TEST} in it" if path.is_dir() else f"there is no {SELF_TEST} beside {path}"
    raise SelfTestError(f"{where}: it is not from an export, or that was made without images to test")


def read(path: Path) -> SelfTest:
    """Reads the self-test in the folder of an export, or beside one of its artifacts."""
    path = locate(path)
    try:
        if not zipfile.is_zipfile(path):
            raise ValueError("it is not a zip archive")
        with open(path, "rb") as file, np.load(file, allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in archive.files}
        record = json.loads(arrays["record"].tobytes().decode())
        expected = {name[len(EXPECTED) :]: array for name, array in arrays.items() if name.startswith(EXPECTED)}
        test = SelfTest(arrays["images"], expected, arrays["decided"], record)
        check(test)
    except Exception as error:  # of zipfile, zlib, json and NumPy, and all that a damaged record leads to
        raise SelfTestError(f"{path} is damaged: {type(error).__name__}: {error}".splitlines()[0]) from error
    return test


def check(test: SelfTest) -> None:
    """Raises whatever there is to raise about what this version of the script does not know."""
    if test.record["version"] != VERSION:
        raise ValueError(f"it is of version {test.record['version']}, which another version of keras-resnet reads")
    count = len(test.images)
    shapes = [(count,) == array.shape[:1] and (name not in SCORES or array.ndim == 2) for name, array in test.expected.items()]
    if test.images.dtype != np.uint8 or test.images.ndim != 4 or not count or not shapes or test.decided.shape != (count,):
        raise ValueError("it has no images, or no outputs")
    if not all(shapes) or any(array.dtype.kind != "f" for array in test.expected.values()):
        raise ValueError("its outputs are not those of its images")
    for artifact in test.record["artifacts"]:
        file, digests, outputs = artifact["file"], artifact["sha256"], artifact["outputs"]
        if not all(isinstance(text, str) for text in (artifact["name"], artifact["format"], file, *digests.values())):
            raise ValueError("its record has something else where texts belong")
        if not digests or any(Path(name).parts[:1] != (file,) or ".." in Path(name).parts for name in digests):
            raise ValueError(f"it has digests of other files than {file}")
        if not outputs or not set(outputs) <= set(test.expected):
            raise ValueError(f"it does not say what is expected of {file}")
        if any(not isinstance(limit, (int, float, type(None))) for limits in outputs.values() for limit in limits.values()):
            raise ValueError(f"it has tolerances of {file} that are not numbers")


def select(test: SelfTest, path: Path, formats: Sequence[str]) -> list[tuple[dict[str, Any], Path]]:
    """Returns the artifacts to be run, and their paths: those of a folder, or one file, whose name may have changed."""
    whole = (path / SELF_TEST).is_file()
    chosen = [artifact for artifact in test.record["artifacts"] if not formats or artifact["format"] in formats]
    if not whole:
        by_name = [artifact for artifact in chosen if artifact["file"] == path.absolute().name]
        by_digest = [artifact for artifact in chosen if path.is_file() and digest(path) in artifact["sha256"].values()]
        chosen = (by_name or by_digest)[:1]
    if not chosen:
        names = ", ".join(artifact["file"] for artifact in test.record["artifacts"]) or "nothing"
        asked = " of ".join(([] if whole else [path.name]) + ([", ".join(formats)] if formats else []))
        raise SelfTestError(f"{SELF_TEST} is of {names}, and not of {asked or 'anything'}")
    return [(artifact, path / artifact["file"] if whole else path) for artifact in chosen]


def digest(path: Path) -> str:
    """Returns the SHA-256 of a file."""
    found = hashlib.sha256()
    with open(path, "rb") as file:
        for piece in iter(lambda: file.read(1 << 20), b""):
            found.update(piece)
    return found.hexdigest()


def differing_files(artifact: dict[str, Any], path: Path) -> list[str]:
    """Says which files of an artifact are missing, or are not those that were exported."""
    found = []
    for name, expected in artifact["sha256"].items():
        file = path.joinpath(*Path(name).parts[1:])
        if not file.is_file():
            found.append(f"{name} is missing")
        elif digest(file) != expected:
            found.append(f"{name} is not the file that was exported: its digest is another one")
    return found


def compare(test: SelfTest, name: str, found: np.ndarray, limits: dict[str, float]) -> dict[str, Any]:
    """Compares one output with Keras': what was found, and in `failures` what is not allowed."""
    expected = test.expected[name].astype(np.float64)
    if found.shape != expected.shape:
        return {"failures": [f"gives {name} of shape {found.shape}, {expected.shape} expected"]}
    difference = np.abs(found.astype(np.float64) - expected)
    result: dict[str, Any] = {
        "max_difference": float(difference.max()),
        "mean_difference": float(difference.mean()),
    }
    if name in SCORES:
        wrong = (found.argmax(axis=1) != expected.argmax(axis=1)) | np.isnan(found).any(axis=1)
        result["decided"], result["disagreements"] = int(test.decided.sum()), int((wrong & test.decided).sum())
    result["failures"] = []
    for key, (limit, label) in MEASURES.items():
        if key in result and limits.get(limit) is not None and not result[key] <= limits[limit]:  # true for NaN
            result["failures"].append(f"{label} of {name} is {result[key]:.3g}, {limits[limit]:.3g} allowed")
    if not np.isfinite(found).all():
        result["failures"].append(f"{name} has numbers that are NaN or infinite")
    return result


def judge(test: SelfTest, artifact: dict[str, Any], found: dict[str, np.ndarray]) -> Result:
    """Judges what an artifact gives for the images, {output: (N, ...)}."""
    outputs: dict[str, dict[str, Any]] = {}
    for name, limits in artifact["outputs"].items():
        outputs[name] = compare(test, name, found[name], limits) if name in found else {"failures": [f"has no output {name}"]}
    reasons = [reason for output in outputs.values() for reason in output.pop("failures")]
    return Result(artifact["name"], artifact["file"], FAILED if reasons else PASSED, reasons, outputs)


def run_tflite(path: Path, images: np.ndarray) -> dict[str, np.ndarray]:
    """Runs a .tflite file, an image at a time; integer outputs are dequantized."""
    package = installed_runtime("tflite")
    module = importlib.import_module(package if package == "tensorflow" else f"{package}.interpreter")
    runner = getattr(module, "lite", module).Interpreter(model_path=str(path)).get_signature_runner()
    ((name, details),) = runner.get_input_details().items()
    outputs = stacked([runner(**{name: image[np.newaxis].astype(details["dtype"])}) for image in images])
    for name, details in runner.get_output_details().items():
        scale, zero_point = details["quantization"]
        if outputs[name].dtype.kind in "iu" and scale:
            outputs[name] = (outputs[name].astype(np.float32) - zero_point) * np.float32(scale)
    return outputs


def run_onnx(path: Path, images: np.ndarray) -> dict[str, np.ndarray]:
    """Runs an .onnx file, whose pixels may be in either order of axes, an image at a time."""
    onnxruntime = importlib.import_module(installed_runtime("onnx"))
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3  # errors
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    if session.get_modelmeta().custom_metadata_map.get("layout") == "nchw":
        images = np.ascontiguousarray(images.transpose(0, 3, 1, 2))
    (pixels,), names = session.get_inputs(), [output.name for output in session.get_outputs()]
    images = images.astype(np.float32) if pixels.type == "tensor(float)" else images
    rows = [session.run(names, {pixels.name: image[np.newaxis]}) for image in images]
    return stacked([{name: row[index] for index, name in enumerate(names)} for row in rows])


RUNNERS: dict[str, Callable[[Path, np.ndarray], dict[str, np.ndarray]]] = {"tflite": run_tflite, "onnx": run_onnx}


def stacked(rows: list[dict[str, np.ndarray]]) -> dict[str, np.ndarray]:
    return {name: np.concatenate([row[name] for row in rows]) for name in rows[0]}


def installed_runtime(format: str) -> str:
    """Returns the package that runs a format, or raises an ImportError that says which can be installed."""
    errors = []
    for package in RUNTIMES[format]:
        try:
            importlib.import_module(package)
        except ImportError as error:  # also of a library that does not load on this machine
            errors.append(str(error).partition("\n")[0])
        else:
            return package
    raise ImportError("; ".join(errors))


def versions() -> dict[str, str]:
    """Returns the versions of Python, NumPy and the runtimes that are installed."""
    found = {"python": platform.python_version(), "numpy": np.__version__}
    for package in dict.fromkeys(package for packages in RUNTIMES.values() for package in packages):
        try:
            found[package] = metadata.version(package.replace("_", "-"))
        except metadata.PackageNotFoundError:
            continue
    return found


def cpu_features() -> str:
    """Returns the instructions that NumPy finds on this CPU, of those that kernels for integers are chosen by."""
    for package in ("numpy._core", "numpy.core"):  # of NumPy 2 and 1, neither of which documents it
        try:
            found = importlib.import_module(f"{package}._multiarray_umath").__cpu_features__
        except (ImportError, AttributeError):
            continue
        return ", ".join(name for name in CPU_FEATURES if found.get(name)) or "none that NumPy knows"
    return "unknown"


def exit_status(results: list[Result]) -> int:
    verdicts = {result.verdict for result in results}
    if not verdicts & {PASSED, FAILED}:
        return 2
    return 0 if verdicts <= {PASSED, UNCHANGED} else 1


def describe(result: Result) -> str:
    """One line about an artifact."""
    texts = list(result.reasons)
    for name, output in result.outputs.items():
        if not result.reasons and output:
            texts.append(f"{name} differ by at most {output['max_difference']:.1e}")
        if "decided" in output:
            texts.append(f"{output['decided'] - output['disagreements']} of {output['decided']} predictions agree")
    return f"{result.verdict:9} {result.file:28} {'; '.join(texts)}"


def run_artifact(test: SelfTest, artifact: dict[str, Any], path: Path) -> Result:
    """Runs an artifact in this process."""
    name, file = artifact["name"], artifact["file"]
    try:
        if reasons := differing_files(artifact, path):
            return Result(name, file, FAILED, reasons, {})
        if artifact["format"] not in RUNNERS:
            return Result(name, file, UNCHANGED, ["is the file that was exported; keras-resnet verify runs it"], {})
        return judge(test, artifact, RUNNERS[artifact["format"]](path, test.images))
    except ImportError as error:
        return Result(name, file, NOT_RUN, [f"its runtime is not installed: {error}"], {})
    except Exception as error:  # of the runtimes, which raise anything at all
        return Result(name, file, FAILED, [f"cannot be run: {error}".splitlines()[0]], {})


def main() -> int:
    parser = argparse.ArgumentParser(
        description="Runs selftest.npz against the .tflite and .onnx files beside it, and compares the digests of the others."
    )
    parser.add_argument("path", nargs="?", type=Path, default=Path(__file__).parent, help="the folder, or one of its files")
    parser.add_argument("--formats", default=",".join(FORMATS), help="of which artifacts, by default %(default)s")
    flags = parser.parse_args()
    formats = flags.formats.split(",")
    if unknown := [name for name in formats if name not in FORMATS]:
        parser.error(f"unknown format {', '.join(unknown)}; the formats are {', '.join(FORMATS)}")
    try:
        test = read(flags.path)
        results = [run_artifact(test, artifact, path) for artifact, path in select(test, flags.path, formats)]
    except (SelfTestError, OSError) as error:
        print(f"{SCRIPT}: {error}", file=sys.stderr)
        return 2
    lines = [describe(result) for result in results]
    lines.append(f"on {platform.platform()}, with instructions {cpu_features()}")
    lines.append(f"with {', '.join(f'{name} {version}' for name, version in versions().items())}")
    for line in lines:
        print("".join(letter if letter.isprintable() else "?" for letter in line))
    return exit_status(results)


if __name__ == "__main__":
    sys.exit(main())
