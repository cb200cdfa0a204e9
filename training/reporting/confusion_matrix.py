"""The confusion matrix as a section of the report: a table for a few classes, an image for many."""

import html

import numpy as np

from keras_resnet.html import data_uri, png, table

from .evaluation import Evaluation

MAX_TABLE_CLASSES = 20
TOP_CONFUSIONS = 20  # listed below an image
MAX_UPRIGHT_LETTERS = 3  # of a column's heading; longer ones are turned
HIT, MISS, STRONGEST = (38, 118, 214), (214, 48, 49), 0.6


def confusion_section(evaluation: Evaluation) -> str:
    """HTML for the confusion matrix of an `Evaluation`."""
    if len(evaluation.class_names) > MAX_TABLE_CLASSES:
        return matrix_image(evaluation) + confusions_table(evaluation)
    return matrix_table(evaluation)


def shades(counts: np.ndarray) -> np.ndarray:
    """Counts (classes, classes) -> opacities: the hits' by their share of the row, the mistakes' by the largest of them.

    The square root keeps a single mistake among thousands visible.
    """
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    diagonal = np.eye(len(counts), dtype=bool)
    most = shares[~diagonal].max(initial=0)
    return STRONGEST * np.where(diagonal, shares, np.sqrt(shares / most) if most else 0)


def matrix_table(evaluation: Evaluation) -> str:
    names, counts = [html.escape(name) for name in evaluation.class_names], evaluation.confusion
    shade = shades(counts)
    turned = " class=long" if max(map(len, evaluation.class_names)) > MAX_UPRIGHT_LETTERS else ""

    def cell(true: int, predicted: int) -> str:
        count = counts[true, predicted]
        if not count:
            return "<td>"
        title = f"{count:,} of {counts[true].sum():,} images of {names[true]} classified as {names[predicted]}"
        kind = "hit" if true == predicted else "miss"
        return f'<td class={kind} style="--share: {shade[true, predicted]:.3f}" title="{title}">{count}'

    head = "".join(f"<th{turned}>{name}" for name in names)
    rows = [
        f"<tr><th>{name}{''.join(cell(true, predicted) for predicted in range(len(names)))}</tr>"
        for true, name in enumerate(names)
    ]
    return (
        "<p>One row per true class, one column per predicted class.</p>\n<div class=scroll>\n<table class=confusion>\n"
        f"<thead><tr><th>{head}</tr></thead>\n<tbody>\n" + "\n".join(rows) + "\n</tbody>\n</table>\n</div>"
    )


def matrix_image(evaluation: Evaluation) -> str:
    """A pixel per pair of classes, transparent where the count is zero, to suit a light and a dark page."""
    shade, classes = shades(evaluation.confusion) / STRONGEST, len(evaluation.class_names)
    pixels = np.empty((classes, classes, 4), np.uint8)
    pixels[..., :3] = MISS
    pixels[np.arange(classes), np.arange(classes), :3] = HIT
    pixels[..., 3] = np.round(255 * shade)
    return (
        "<p>One row per true class, one column per predicted class, both in the order of the labels; correct in blue.</p>\n"
        f'<img class="matrix pixelated" src="{data_uri(png(pixels))}" alt="confusion matrix">\n'
    )


def confusions_table(evaluation: Evaluation) -> str:
    """The most frequent mistakes by name."""
    names = evaluation.class_names
    rows = [
        (names[true], names[predicted], f"{count:,} of {evaluation.support[true]:,}")
        for true, predicted, count in evaluation.top_confusions(TOP_CONFUSIONS)
    ]
    return table(("true class", "classified as", "images"), rows) if rows else ""
