"""What a client's script is asked and answers: files in one folder. Needs NumPy and nothing of this package.

`request.json` names the artifacts and the numbers of images per inference, `images.bin` holds the pixels. The script appends
one line to `answers.jsonl` for each artifact as soon as it is through with it: where an artifact crashes the process, the
answers before it are there.
"""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

Outputs = dict[str, np.ndarray]  # (N, ...) by name
Run = Callable[[np.ndarray], Outputs]  # uint8 (N, H, W, C)


def answer(versions: dict[str, str], load: Callable[[dict[str, Any], int], "Run | str"]) -> None:
    """Answers the request in the folder that the command line names.

    Args:
        versions: Of the client.
        load: Opens an artifact, a record with `path`, `format`, `layout` and `labels`, for so many images per inference.
            Returns what runs it or, for a client that only converts, a note about what came out.
    """
    folder = Path(sys.argv[1])
    request = json.loads((folder / "request.json").read_text(encoding="utf-8"))
    images = np.fromfile(folder / "images.bin", np.uint8).reshape(request["shape"])
    for artifact in request["artifacts"]:
        answers = {str(size): attempt(load, artifact, size, images) for size in artifact["batch_sizes"]}
        line = json.dumps({"name": artifact["name"], "versions": versions, "batches": answers})
        with open(folder / "answers.jsonl", "a", encoding="utf-8") as file:
            file.write(line + "\n")


def attempt(load: Callable[[dict[str, Any], int], "Run | str"], artifact: dict[str, Any], size: int, images: np.ndarray) -> Any:
    """Returns the outputs of all images, a note, or the error."""
    try:
        run = load(artifact, size)
        if isinstance(run, str):
            return {"note": run}
        batches = [run(images[start : start + size]) for start in range(0, len(images), size)]
        return {"outputs": {name: record(np.concatenate([batch[name] for batch in batches])) for name in batches[0]}}
    except Exception as error:
        lines = [line.strip() for line in str(error).splitlines() if line.strip()]
        return {"error": f"{type(error).__name__}: {lines[-1] if lines else ''}"}


def record(outputs: np.ndarray) -> dict[str, Any]:
    return {"shape": outputs.shape, "integer": outputs.dtype.kind in "iu", "values": outputs.ravel().tolist()}
