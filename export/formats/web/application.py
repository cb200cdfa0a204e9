"""The files of the page: its sources, the model, and what it knows about the model."""

import base64
import gzip
import hashlib
import html
import io
import json
import re
import shutil
import string
from collections.abc import Sequence
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np

from keras_resnet.errors import comma_join
from keras_resnet.files import json_text
from keras_resnet.metadata import ClassifierMetadata

from ..context import Samples
from ..format import OUTPUTS
from . import litertjs

PAGE, MODEL, DESCRIPTION, SAMPLES = "index.html", "model.tflite", "classifier.json", "samples.json"
STYLE = "style.css"
SHOWN_LABELS = 12
MODULES = ("preprocess.js", "assets.js", "decode.js", "classify.js", "camera.js", "page.js")  # each imports those before it
LOCAL_IMPORT = re.compile(r'^import .*? from "\./.*?";\n', re.MULTILINE)
EXPORT = re.compile(r"^export (?=(async )?(function|class|const))", re.MULTILINE)
# What the page may load. Nothing of it is from elsewhere.
POLICY = (
    "default-src 'none'; base-uri 'none'; form-action 'none'; script-src {scripts} 'wasm-unsafe-eval'; style-src {styles}; "
    "connect-src {connections}; img-src 'self' blob: data:; media-src blob:"
)


def description_json(metadata: ClassifierMetadata, outputs: dict[str, Any]) -> str:
    """What the page knows about the model: the classifier's metadata, and how integer outputs are to be read."""
    return json_text({**json.loads(metadata.to_json()), "outputs": outputs}, indent=2) + "\n"


def samples_json(samples: Samples | None, class_names: Sequence[str]) -> str:
    """Images as PNG in base64, with their true classes and what Keras gives for them."""
    if samples is None:
        return "[]\n"
    records = [
        {
            "image": base64.b64encode(png_bytes(image)).decode(),
            "label": class_names[samples.labels[number]],
            "outputs": {name: samples.outputs[name][number].tolist() for name in OUTPUTS if name in samples.outputs},
        }
        for number, image in enumerate(samples.images)
    ]
    return json_text(records) + "\n"


def png_bytes(image: np.ndarray) -> bytes:
    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(image.squeeze(-1) if image.shape[-1] == 1 else image).save(buffer, "PNG")
    return buffer.getvalue()


def write_folder(folder: Path, metadata: ClassifierMetadata, contents: dict[str, bytes], runtime: Path | None) -> None:
    """Writes the page as a folder that a web server can hand out.

    Args:
        folder: Is made.
        metadata: Of the classifier.
        contents: The model, its description and the samples, by their names.
        runtime: The folder `@litertjs` to copy; None leaves a `package.json` that brings it.
    """
    folder.mkdir()
    for name in (*MODULES, STYLE):
        (folder / name).write_bytes(source(name).encode())
    for name, content in contents.items():
        (folder / name).write_bytes(content)
    if runtime is None:
        (folder / "package.json").write_text(litertjs.package_json(), encoding="utf-8", newline="\n")
    else:
        for name in litertjs.FILES:
            (folder / litertjs.FOLDER / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(runtime / name, folder / litertjs.FOLDER / name)
    imports = import_map({name: f"./{litertjs.FOLDER}/{file}" for name, file in litertjs.IMPORTS.items()})
    head = [
        f'<link rel="stylesheet" href="{STYLE}">',
        f'<script type="importmap">{imports}</script>',
        *(f'<link rel="modulepreload" href="{name}">' for name in MODULES),
        '<script type="module" src="page.js"></script>',
    ]
    policy = POLICY.format(scripts=f"'self' {hash_of(imports)}", styles="'self'", connections="'self' data:")
    write_page(folder, metadata, policy, head)


def write_single_file(folder: Path, metadata: ClassifierMetadata, contents: dict[str, bytes], runtime: Path) -> None:
    """Writes the page as one file that carries the runtime and the model, and works from a disk. See `write_folder`."""
    folder.mkdir()
    wasm = runtime / litertjs.WASM[1]  # which every browser runs
    carried = {
        **contents,
        "litert.js": wasm.with_suffix(".js").read_bytes(),
        "litert.wasm": wasm.with_suffix(".wasm").read_bytes(),
    }
    imports = import_map({name: data_url((runtime / file).read_bytes()) for name, file in litertjs.IMPORTS.items()})
    style, script = source(STYLE), f"\n{joined_modules()}"
    head = [
        f"<style>{style}</style>",
        f'<script type="importmap">{imports}</script>',
        *(f'<script type="text/plain" id="{name}">{compressed(content)}</script>' for name, content in carried.items()),
        f'<script type="module">{script}</script>',
    ]
    scripts = f"{hash_of(imports)} {hash_of(script)} data: blob:"
    write_page(folder, metadata, POLICY.format(scripts=scripts, styles=hash_of(style), connections="data:"), head)


def write_page(folder: Path, metadata: ClassifierMetadata, policy: str, head: Sequence[str]) -> None:
    page = string.Template(source(PAGE)).substitute(
        title=html.escape(metadata.model),
        summary=html.escape(f"Knows {len(metadata.labels)} classes: {comma_join(metadata.labels, SHOWN_LABELS)}"),
        policy=html.escape(policy),
        head="\n".join(head),
    )
    (folder / PAGE).write_text(page, encoding="utf-8", newline="\n")


def source(name: str) -> str:
    """One of the page's sources, as this package has it."""
    return (resources.files(__name__.rpartition(".")[0]) / "page" / name).read_text(encoding="utf-8")


def joined_modules() -> str:
    """The page's modules as one, in the order of their imports."""
    return "\n".join(EXPORT.sub("", LOCAL_IMPORT.sub("", source(name))) for name in MODULES)


def import_map(imports: dict[str, str]) -> str:
    return json.dumps({"imports": imports})


def hash_of(script: str) -> str:
    """How a policy names an inline script or style."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}'"


def data_url(script: bytes) -> str:
    return f"data:text/javascript;base64,{base64.b64encode(script).decode()}"


def compressed(content: bytes) -> str:
    """The same bytes for the same content: without a time."""
    return base64.b64encode(gzip.compress(content, mtime=0)).decode()
