"""`model_card.md`: what anyone who finds the files should know (Mitchell et al. 2019, arXiv:1810.03993)."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path

from keras_resnet.errors import UserError
from keras_resnet.records import from_record, read_json

from .report import COLUMNS, Report

FILE = "model_card.md"
CONFIG = "config.json"  # next to a model.keras that `keras-resnet train` wrote


def model_card(report: Report) -> str:
    """Renders the card of an export as Markdown."""
    metadata, config = report.metadata, report.config
    preprocessing, dataset = metadata.preprocessing, metadata.dataset
    table = [COLUMNS, ["---"] * len(COLUMNS), *report.rows()]
    lines = [
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
        f"Input: {preprocessing.summary()}, raw pixels from 0 to 255; scaling and normalization are inside the model.",
        f"Output: {config.output}, one for each line of `labels.txt`.",
        "",
        "## Training",
        "",
        f"Data: {dataset or 'not recorded'}.",
        recipe_line(config.model_path.with_name(CONFIG)),
        "",
        "## Files",
        "",
        f"Measured on {len(report.images)} images of the test split, which was used for nothing else. Accuracy drops are in",
        "percentage points.",
        "",
        *(f"| {' | '.join(row)} |" for row in table),
        "",
        *(line for note in report.notes for line in (note, "")),
        "## License",
        "",
        config.license or "Not stated.",
    ]
    return "\n".join(lines) + "\n"


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
    used = {name: value for name, value in run.recipe.items() if name != "reference" and value not in (0, False, ())}
    return f"Recipe: {run.recipe_name}, seed {run.seed}: {', '.join(f'{name} {value}' for name, value in used.items())}."
