"""`report.html`: one page without outside resources."""

import base64
import html
import io
import string
from importlib import resources

import numpy as np
from PIL import Image

from . import charts

EXAMPLES = MISTAKES = 16


def render(result):
    """The page of a `report.Report`."""
    template = resources.files(__package__).joinpath("report_template.html").read_text(encoding="utf-8")
    curves = result.config.model_path.with_name("curves.png")
    verifications = result.verifications
    sizes = {"keras": result.source_bytes, **{v.name: v.bytes for v in verifications}}
    accuracies = {"keras": result.accuracy, **{v.name: v.accuracy for v in verifications}}
    points = {name: (sizes[name] / 1e6, 100 * accuracies[name]) for name in sizes}
    return string.Template(template).substitute(
        title=html.escape(f"{result.classifier.model} on {result.classifier.dataset or 'its own classes'}"),
        verdict=html.escape(result.verdict()),
        verdict_class="failed" if result.failed else "passed",
        table=table(result.columns, result.rows()),
        images=len(result.images),
        sizes=charts.bars({name: bytes_ / 1e6 for name, bytes_ in sizes.items()}, "{:.2f} MB"),
        latencies=charts.bars({v.name: v.milliseconds for v in verifications}, "{:.3g} ms"),
        scatter=charts.scatter(points, "{:.2f} MB", "{:.2f} %"),
        agreement=table(*agreement(result)),
        operators=table(*operators(verifications)),
        mistakes=mistakes(result),
        examples=figures(result, example_indices(result)),
        curves=f"<h2>Training</h2>\n{picture(curves.read_bytes(), 'training curves')}" if curves.is_file() else "",
    )


def table(header, rows):
    """HTML of a header and rows of text."""
    lines = [f"<tr>{''.join(f'<th>{html.escape(str(cell))}' for cell in header)}</tr>"]
    lines += [f"<tr>{''.join(f'<td>{html.escape(str(cell))}' for cell in row)}</tr>" for row in rows]
    return f"<table>\n{chr(10).join(lines)}\n</table>"


def answers(result):
    """`{name: scores}`, Keras first."""
    return {"keras": result.reference, **result.outputs}


def agreement(result):
    """How often each two give the same first label."""
    best = {name: first_labels(scores) for name, scores in answers(result).items()}
    rows = [[name, *(f"{np.mean((one == other) & (one >= 0)):.2%}" for other in best.values())] for name, one in best.items()]
    return ["", *best], rows


def first_labels(scores):
    """-1 for no answer."""
    return np.where(np.isnan(scores).any(axis=1), -1, scores.argmax(axis=1))


def operators(verifications):
    """How often each operator occurs in each artifact."""
    names = dict.fromkeys(name for v in verifications for name in v.inspection.operators)
    rows = [[name, *(v.inspection.operators.get(name, "") for v in verifications)] for name in names]
    return ["", *(v.name for v in verifications)], rows


def example_indices(result):
    """The images that Keras gets wrong first, then others from all over the split."""
    wrong = np.flatnonzero(result.reference.argmax(axis=1) != result.labels)[: EXAMPLES // 2]
    others = np.setdiff1d(np.linspace(0, len(result.images) - 1, EXAMPLES).astype(int), wrong)
    return [*wrong, *others][:EXAMPLES]


def mistakes(result):
    """Images that Keras gets right and an artifact does not."""
    right = result.reference.argmax(axis=1) == result.labels
    lost = right & np.any([first_labels(scores) != result.labels for scores in result.outputs.values()], axis=0)
    if not lost.any():
        return "<p>None: each artifact knows every image that Keras knows.</p>"
    shown = np.flatnonzero(lost)[:MISTAKES]
    return f"<p>{lost.sum()} of {len(lost)} images, {len(shown)} shown.</p>\n{figures(result, shown)}"


def figures(result, indices):
    return f'<div class="examples">\n{chr(10).join(figure(result, index) for index in indices)}\n</div>'


def figure(result, index):
    """An image with its true label in bold and everybody's answer."""
    names, label = result.classifier.labels, result.labels[index]
    lines = []
    for name, scores in answers(result).items():
        best = first_labels(scores[index : index + 1])[0]
        answer = f"{html.escape(names[best])} ({scores[index, best]:.3f})" if best >= 0 else "no answer"
        lines.append(f"<span class={'right' if best == label else 'wrong'}>{name}: {answer}</span>")
    caption = f"<figcaption><b>{html.escape(names[label])}</b><br>{'<br>'.join(lines)}</figcaption>"
    return f"<figure>{picture(png(result.images[index]), names[label], pixelated=True)}{caption}</figure>"


def png(image):
    """A uint8 (H, W, C) image as the bytes of a PNG file."""
    buffer = io.BytesIO()
    Image.fromarray(image[..., 0] if image.shape[-1] == 1 else image).save(buffer, "PNG")
    return buffer.getvalue()


def picture(content, alt, pixelated=False):
    source = f"data:image/png;base64,{base64.b64encode(content).decode()}"
    return f'<img src="{source}" alt="{html.escape(alt)}"{" class=pixelated" if pixelated else ""}>'
