"""What was taken for what, as a part of the report: a table for a few classes, a picture for many."""

import html

import numpy as np

from .image_grid import data_uri, png

FEW, PAIRS, SHORT = 20, 20, 3  # classes in a table; pairs beneath a picture; letters of a heading that need not be turned
HIT, MISS, STRONGEST = (38, 118, 214), (214, 48, 49), 0.6


def section(evaluation):
    """HTML for an `Evaluation`."""
    if len(evaluation.names) > FEW:
        return picture(evaluation) + pairs(evaluation)
    return table(evaluation)


def shades(counts):
    """Counts (classes, classes) -> opacities: the hits' by their share of the row, the mistakes' by the largest of them.

    The square root lets a single mistake among thousands still be seen.
    """
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    diagonal = np.eye(len(counts), dtype=bool)
    most = shares[~diagonal].max(initial=0)
    return STRONGEST * np.where(diagonal, shares, np.sqrt(shares / most) if most else 0)


def table(evaluation):
    names, counts, shade = [html.escape(name) for name in evaluation.names], evaluation.confusion, shades(evaluation.confusion)
    turned = " class=long" if max(map(len, evaluation.names)) > SHORT else ""

    def cell(true, taken):
        count = counts[true, taken]
        if not count:
            return "<td>"
        title = f"{count:,} of {counts[true].sum():,} images of {names[true]} taken for {names[taken]}"
        kind = "hit" if true == taken else "miss"
        return f'<td class={kind} style="--share: {shade[true, taken]:.3f}" title="{title}">{count}'

    head = "".join(f"<th{turned}>{name}" for name in names)
    rows = [
        f"<tr><th>{name}{''.join(cell(true, taken) for taken in range(len(names)))}</tr>" for true, name in enumerate(names)
    ]
    return (
        "<p>A row per true class, a column per answer.</p>\n<div class=scroll>\n<table class=confusion>\n"
        f"<thead><tr><th>{head}</tr></thead>\n<tbody>\n" + "\n".join(rows) + "\n</tbody>\n</table>\n</div>"
    )


def picture(evaluation):
    """A pixel per pair of classes, transparent where there is nothing, so that it suits a light and a dark page."""
    shade, classes = shades(evaluation.confusion) / STRONGEST, len(evaluation.names)
    pixels = np.empty((classes, classes, 4), np.uint8)
    pixels[..., :3] = MISS
    pixels[np.arange(classes), np.arange(classes), :3] = HIT
    pixels[..., 3] = np.round(255 * shade)
    return (
        "<p>A row per true class, a column per answer, both in the order of the labels; right answers in blue.</p>\n"
        f'<img class="matrix pixelated" src="{data_uri(png(pixels, largest=classes))}" alt="confusion matrix">\n'
    )


def pairs(evaluation):
    """The most frequent mistakes by name."""
    found = [
        (html.escape(evaluation.names[true]), html.escape(evaluation.names[taken]), count, evaluation.support[true])
        for true, taken, count in evaluation.top_confusions(PAIRS)
    ]
    lines = [f"<tr><td>{true}<td>{taken}<td>{count:,} of {support:,}</tr>" for true, taken, count, support in found]
    head = "<thead><tr><th>true class<th>taken for<th>images</tr></thead>"
    body = "\n".join(lines)
    return f"<table>\n{head}\n<tbody>\n{body}\n</tbody>\n</table>" if found else ""
