"""`report.html`: one self-contained page on how a network was trained and what it gets right and wrong."""

import html
from collections.abc import Iterable, Iterator, Mapping, Sequence
from importlib import resources
from typing import Any

import numpy as np

from keras_resnet.files import write_text
from keras_resnet.html import img, picture, png
from keras_resnet.remote import AnyPath

from ..config import flatten
from ..data.splits import LazyImages
from .confusion_matrix import MAX_TABLE_CLASSES, confusion_section
from .evaluation import COLUMNS, Evaluation
from .page import as_text, definitions, fill_template
from .plots import Record, curves_png

REPORT_FILE, TEMPLATE = "report.html", "report_template.html"
MISTAKES = 32  # shown
MAX_SIDE, MAX_PIXELATED_SIDE = 256, 99  # pixels: larger images are shrunk, larger ones enlarged smoothly


def write_report(
    path: AnyPath,
    *,
    title: str,
    config: Mapping[str, Any],
    records: Sequence[Record],
    evaluation: Evaluation,
    images: np.ndarray | LazyImages,
    labels: np.ndarray,
    probabilities: np.ndarray,
    facts: Iterable[tuple[str, str]] = (),
) -> None:
    """Writes the page.

    Args:
        path: of the HTML file.
        title: of the page.
        config: of the run; may be nested.
        records: of `metrics.jsonl`.
        evaluation: of `probabilities`.
        images: uint8 (N, H, W, C), of the test split; may be read lazily.
        labels: (N,), the true classes.
        probabilities: (N, classes), the network's.
        facts: (name, text) pairs for the top of the page.
    """
    page = fill_template(
        resources.files(__package__ or "") / TEMPLATE,
        title=html.escape(title),
        figures=definitions(key_figures(evaluation, records)),
        facts=definitions(facts),
        curves=curves_section(records),
        confusion=confusion_section(evaluation),
        header="".join(f"<th>{column}" for column in COLUMNS),
        rows=class_rows(evaluation),
        mistakes=mistakes_section(evaluation, images, labels, probabilities),
        config=definitions((name, as_text(value)) for name, value in flatten(config).items()),
    )
    write_text(path, page)


def key_figures(evaluation: Evaluation, records: Sequence[Record]) -> Iterator[tuple[str, str]]:
    """The few numbers that a reader looks for first."""
    images, wrong = int(evaluation.support.sum()), len(evaluation.mistakes)
    validated = [(record["val_accuracy"], -record["epoch"]) for record in records if record.get("val_accuracy") is not None]
    yield "test accuracy", f"{evaluation.top1:.2%}"
    if evaluation.top5 is not None:
        yield "top-5 accuracy", f"{evaluation.top5:.2%}"
    yield "test loss", f"{evaluation.loss:.4f}"
    yield f"misclassified of {images:,}", f"{wrong:,}"
    if validated:
        accuracy, epoch = max(validated)
        yield f"validation, epoch {-epoch}", f"{accuracy:.2%}"


def curves_section(records: Sequence[Record]) -> str:
    """The curves twice, for a light and for a dark page; the browser shows one."""
    if not any("epoch" in record for record in records):
        return ""
    light, dark = (curves_png(records, dark) for dark in (False, True))
    return f"<h2>Training</h2>\n{picture(light, dark, 'training curves')}"


def class_rows(evaluation: Evaluation) -> str:
    """A row per class; where there are too many to read, the worst first."""
    rows = list(zip(evaluation.rows(), evaluation.accuracy, strict=True))
    if len(rows) > MAX_TABLE_CLASSES:
        rows.sort(key=lambda row: np.nan_to_num(row[1], nan=2.0))
    lines = []
    for (name, support, accuracy, precision, confused_with), share in rows:
        bar = f'<meter value="{share:.4f}"></meter> ' if np.isfinite(share) else ""
        cells = (html.escape(name), support, bar + accuracy, precision, html.escape(confused_with))
        lines.append(f"<tr>{''.join(f'<td>{cell}' for cell in cells)}</tr>")
    return "\n".join(lines)


def mistakes_section(
    evaluation: Evaluation, images: np.ndarray | LazyImages, labels: np.ndarray, probabilities: np.ndarray
) -> str:
    """The misclassified images that the network was most confident about."""
    mistakes = evaluation.mistakes
    if not len(mistakes):
        return f"<p>All {len(labels):,} images are classified correctly.</p>"
    shown = mistakes[:MISTAKES]
    intro = (
        f"<p>{len(shown):,} of {len(mistakes):,}, the most confident first: the true class in bold, the predicted one in red, "
        "each with its probability.</p>"
    )
    names = evaluation.class_names
    examples = [example(image, names, int(labels[i]), probabilities[i]) for i, image in zip(shown, images[shown], strict=True)]
    return f'{intro}\n<div class="examples">\n' + "\n".join(examples) + "\n</div>"


def example(image: np.ndarray, class_names: Sequence[str], label: int, probabilities: np.ndarray) -> str:
    """An image with the true class in bold and the predicted one in red."""
    true, predicted = html.escape(class_names[label]), html.escape(class_names[int(probabilities.argmax())])
    lines = (
        f"<b>{true}</b> <small>{probabilities[label]:.1%}</small><br>"
        f"<span class=wrong>{predicted} {probabilities.max():.1%}</span>"
    )
    pixelated = max(image.shape[:2]) <= MAX_PIXELATED_SIDE
    shown = img(png(image, MAX_SIDE), class_names[label], pixelated=pixelated)
    return f"<figure>{shown}<figcaption>{lines}</figcaption></figure>"
