"""`report.html`: one page, whole in itself, on how a network was trained and what it gets right and wrong."""

import html
import json
import string
from importlib import resources

import numpy as np

from keras_resnet.files import write_text

from . import confusion_matrix
from .evaluation import COLUMNS
from .image_grid import data_uri, png
from .plots import curves_png

PAGE, TEMPLATE = "report.html", "report_template.html"
MISTAKES = 32


def write_report(path, *, title, config, records, evaluation, images, labels, names, probabilities, facts=()):
    """Writes the page to `path`.

    config: a dictionary, nested or not. records: those of `metrics.jsonl`. evaluation: the `Evaluation` of `probabilities`
    (N, classes) for the uint8 `images` (N, H, W, C) with their `labels` (N,), which index `names`. facts: (name, text) pairs,
    to stand at the top.
    """
    template = resources.files(__package__).joinpath(TEMPLATE).read_text(encoding="utf-8")
    page = string.Template(template).substitute(
        title=html.escape(title),
        figures=definitions(figures(evaluation, records)),
        facts=definitions(facts),
        curves=curves_section(records),
        confusion=confusion_matrix.section(evaluation),
        header="".join(f"<th>{column}" for column in COLUMNS),
        rows=class_rows(evaluation),
        mistakes=mistakes_section(evaluation.mistakes, images, labels, names, probabilities),
        settings=definitions(flat(config)),
    )
    write_text(path, page)


def figures(evaluation, records):
    """The few numbers that one looks for first."""
    images, wrong = int(evaluation.support.sum()), len(evaluation.mistakes)
    validated = [(record["val_accuracy"], -record["epoch"]) for record in records if record.get("val_accuracy") is not None]
    yield "test accuracy", f"{evaluation.top1:.2%}"
    if evaluation.top5 is not None:
        yield "top-5 accuracy", f"{evaluation.top5:.2%}"
    yield "test loss", f"{evaluation.loss:.4f}"
    yield f"wrong, of {images:,}", f"{wrong:,}"
    if validated:
        accuracy, epoch = max(validated)
        yield f"validation, epoch {-epoch}", f"{accuracy:.2%}"


def curves_section(records):
    """The curves twice, for a light and for a dark page; the browser shows one."""
    if not any("epoch" in record for record in records):
        return ""
    light, dark = (data_uri(curves_png(records, dark)) for dark in (False, True))
    source = f'<source media="(prefers-color-scheme: dark)" srcset="{dark}">'
    return f'<h2>Training</h2>\n<picture>{source}<img src="{light}" alt="training curves"></picture>'


def class_rows(evaluation):
    """A row per class; where there are too many to read, the worst first."""
    rows = list(zip(evaluation.rows(), evaluation.accuracy, strict=True))
    if len(rows) > confusion_matrix.FEW:
        rows.sort(key=lambda row: np.nan_to_num(row[1], nan=2.0))
    lines = []
    for (name, support, accuracy, precision, taken), share in rows:
        bar = f'<meter value="{share:.4f}"></meter> ' if share == share else ""
        cells = (html.escape(name), support, bar + accuracy, precision, html.escape(taken))
        lines.append(f"<tr>{''.join(f'<td>{cell}' for cell in cells)}</tr>")
    return "\n".join(lines)


def mistakes_section(mistakes, images, labels, names, probabilities):
    """The wrong images that the network was surest of."""
    if not len(mistakes):
        return f"<p>None of the {len(labels):,} images is given a wrong name.</p>"
    shown = mistakes[:MISTAKES]
    intro = (
        f"<p>{len(shown):,} of {len(mistakes):,}, those first that the network was surest of: in bold the true class, in red "
        "the answer, each with its probability.</p>"
    )
    examples = [example(image, names, int(labels[i]), probabilities[i]) for i, image in zip(shown, images[shown], strict=True)]
    return f'{intro}\n<div class="examples">\n' + "\n".join(examples) + "\n</div>"


def example(image, names, label, scores):
    """A picture with the true class in bold, and beneath it what the network says, in red."""
    true, taken = html.escape(names[label]), html.escape(names[scores.argmax()])
    lines = f"<b>{true}</b> <small>{scores[label]:.1%}</small><br><span class=wrong>{taken} {scores.max():.1%}</span>"
    pixelated = " class=pixelated" if max(image.shape[:2]) < 100 else ""
    return f'<figure><img src="{data_uri(png(image))}" alt="{true}"{pixelated}><figcaption>{lines}</figcaption></figure>'


def definitions(pairs):
    return "\n".join(f"<div><dt>{html.escape(str(key))}<dd>{html.escape(str(value))}</div>" for key, value in pairs)


def flat(config, prefix=""):
    """(name, text) of every value, those inside a dictionary under `outer.inner`."""
    for key, value in config.items():
        if isinstance(value, dict):
            yield from flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value if isinstance(value, str) else json.dumps(value, default=str)
