"""`README.md`: what anyone who finds the files should know (Mitchell et al. 2019, arXiv:1810.03993), and the hub, too."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path

from keras_resnet.errors import UserError
from keras_resnet.hub.cards import CARD, front_matter
from keras_resnet.hub.licenses import is_non_commercial
from keras_resnet.metadata import Origin
from keras_resnet.records import from_record, read_json
from keras_resnet.weights.pretrained.data_sources import DataSource
from keras_resnet.weights.pretrained.entries import PretrainedWeights
from keras_resnet.weights.pretrained.lookup import entry_of_file

from ..selftest import archive as selftest
from .front_matter import front_matter_entries
from .report import COLUMNS, Report

FILE = CARD
CONFIG = "config.json"  # next to a model.keras that `keras-resnet train` wrote
OUTPUTS = {
    "probabilities": "probabilities, one for each line of `labels.txt`.",
    "logits": "logits, one for each line of `labels.txt`.",
    "features": "features, the embedding that the last layer reads.",
    "gradcam": "gradcam, a map (height, width) of where the evidence for the prediction lies, without a scale.",
}


def model_card(report: Report) -> str:
    """Renders the card of an export as Markdown."""
    metadata, config = report.metadata, report.config
    entry = entry_of_file(config.model_path)
    preprocessing, dataset = metadata.preprocessing, entry.name if entry else metadata.dataset
    license = config.license or metadata.license or (entry.license if entry else "")
    table = [COLUMNS, ["---"] * len(COLUMNS), *report.rows()]
    lines = [
        front_matter(front_matter_entries(report, license, dataset)),
        "",
        f"# {metadata.model}{f' on {dataset}' if dataset else ''}",
        "",
        config.description or f"An image classifier of {len(metadata.labels)} classes.",
        "",
        "## Intended use",
        "",
        f"Classifies single images of {enumerated(metadata.labels)}. It answers with one of these classes",
        "whatever it is shown, and its scores are not calibrated. How well it does on images unlike its training data was not",
        "measured.",
        "",
        f"Input: {preprocessing.summary()}, raw {config.input_dtype} pixels from 0 to 255; scaling and normalization are",
        "inside the model.",
        *(f"Output: {OUTPUTS[name]}" for name in config.output),
        "",
        "## Training",
        "",
        f"Data: {dataset or 'not recorded'}.",
        run_line(recorded_run(entry)) if entry else recipe_line(config.model_path.with_name(CONFIG)),
        "",
        *([data_line(entry.source), ""] if entry else []),
        *([origin_line(metadata.origin), ""] if metadata.origin else []),
        "## Files",
        "",
        f"Measured on {len(report.images)} images of the test split, which was used for nothing else. Accuracy drops are in",
        "percentage points. Agreement is the share of images with the prediction of the Keras model, of those whose two best",
        "probabilities differ by at least 0.1 there.",
        "",
        *(f"| {' | '.join(row)} |" for row in table),
        "",
        *selftest_lines(report.selftest_images),
        *(line for note in report.notes for line in (note, "")),
        "## License",
        "",
        license or "Not stated.",
    ]
    return "\n".join(lines) + "\n"


def selftest_lines(images: int) -> list[str]:
    """Says how the files are checked again, and whose images are among them."""
    if not images:
        return []
    return [
        "## Self-test",
        "",
        f"{selftest.images_line(images)} To check the files again on another machine, run `keras-resnet verify` or",
        "`python verify.py` on this folder.",
        "",
    ]


def origin_line(origin: Origin) -> str:
    """Whose weights the network has or began its training with, and their license."""
    architecture = f", {origin.architecture}" if origin.architecture else ""
    license = f"license {origin.license}" if origin.license else "license not stated"
    forbids = "; it forbids commercial use" if is_non_commercial(origin.license) else ""
    return f"The weights are from, or their training began with, `{origin}`{architecture}: {license}{forbids}."


def enumerated(names: Sequence[str], limit: int = 10) -> str:
    shown = ", ".join(names[:limit])
    return shown if len(names) <= limit else f"{shown} and {len(names) - limit} other classes"


@dataclasses.dataclass(frozen=True)
class RecordedRun:
    """What the configuration of a training says about its recipe."""

    recipe: dict[str, str | float | bool | tuple[str | float, ...]]
    recipe_name: str
    seed: int


def recipe_line(path: Path) -> str:
    """The recipe, if the config of a training is at `path`."""
    try:
        run = from_record(read_json(path), RecordedRun, ignore_unknown=True)
    except UserError:
        return "Recipe: not recorded."
    return run_line(run)


def recorded_run(entry: PretrainedWeights) -> RecordedRun:
    """The recipe of trained weights that come with this package."""
    return RecordedRun(entry.recipe, entry.recipe_name, entry.seed)


def data_line(source: DataSource) -> str:
    """What trained weights that come with this package were trained on."""
    return f"{source} {source.caution}".rstrip()


def run_line(run: RecordedRun) -> str:
    """A recipe in one line, without what is 0 or off."""
    used = {name: value for name, value in run.recipe.items() if name != "reference" and value not in (0, False, (), [])}
    return f"Recipe: {run.recipe_name}, seed {run.seed}: {', '.join(f'{name} {value}' for name, value in used.items())}."
