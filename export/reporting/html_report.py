"""`report.html`: one page without outside resources."""

import html
import string
from collections.abc import Iterable, Mapping, Sequence
from importlib import resources
from pathlib import Path

import numpy as np

from keras_resnet.files import write_text
from keras_resnet.html import img, png, table
from keras_resnet.metrics import predicted_labels

from ..sensitivity import Explanation
from ..verification.result import VerificationResult
from . import charts
from .report import CLIENT_COLUMNS, COLUMNS, Report, client_row

PAGE, TEMPLATE = "report.html", "report_template.html"
EXAMPLES = MISTAKES = 16
OPERATORS = 20  # of each artifact, whose noise is shown
NOISE_COLUMNS = ("kept in float", "signal to noise", "same prediction", "accuracy")
NOISE_INTRODUCTION = """<h2>Quantization noise</h2>
<p>How much noise each operator adds by being quantized, the worst first, when it is given what the float network gives it. 6 dB
are a bit. The predictions are those of the artifact with this operator in float, which <code>--keep_float</code> with its name
brings; they were measured for the worst.</p>"""


def write_page(report: Report, folder: Path) -> None:
    """Writes the page into a folder."""
    write_text(folder / PAGE, render(report))


def render(report: Report) -> str:
    """Renders the page."""
    template = (resources.files(__name__.rpartition(".")[0]) / TEMPLATE).read_text(encoding="utf-8")
    curves = report.config.model_path.with_name("curves.png")
    megabytes = {"keras": report.model_bytes / 1e6, **{result.name: result.bytes / 1e6 for result in report.results}}
    accuracies = {"keras": report.accuracy, **{result.name: result.accuracy for result in report.results}}
    points = {name: (megabytes[name], 100 * accuracies[name]) for name in megabytes}
    return string.Template(template).substitute(
        title=html.escape(f"{report.metadata.model} on {report.metadata.dataset or 'its own classes'}"),
        verdict=html.escape(report.verdict()),
        verdict_class="failed" if report.failed else "passed",
        table=table(COLUMNS, report.rows()),
        notes="".join(f"\n<p>{html.escape(note)}</p>" for note in report.notes),
        images=len(report.images),
        sizes=charts.bars(megabytes, "{:.2f} MB"),
        latencies=charts.bars({result.name: result.milliseconds for result in report.results}, "{:.3g} ms"),
        scatter=charts.scatter(points, "{:.2f} MB", "{:.2f} %"),
        agreement=agreement_table(report.outputs_by_name),
        operators=operators_table(report.results),
        noise=noise_section(report.explanations),
        clients=clients_section(report),
        mistakes=mistakes_section(report),
        examples=figures(report, example_indices(report)),
        curves=f"<h2>Training</h2>\n{img(curves.read_bytes(), 'training curves')}" if curves.is_file() else "",
    )


def agreement_table(outputs: dict[str, np.ndarray]) -> str:
    """How often each two models give the same prediction."""
    labels = {name: predicted_labels(scores) for name, scores in outputs.items()}
    rows = [
        [name, *(f"{np.mean((one == other) & (one >= 0)):.2%}" for other in labels.values())] for name, one in labels.items()
    ]
    return table(["", *labels], rows)


def clients_section(report: Report) -> str:
    """What other runtimes made of the artifacts; nothing where none was asked."""
    if not report.clients:
        return ""
    images = report.clients[0].images
    return f"""<h2>Other runtimes</h2>
<p class="verdict {"failed" if report.failed_in_clients else "passed"}">{html.escape(report.client_verdict())}</p>
<p>Each artifact that passed was run on {images} of the images, and compared with what it gives above. A prediction counts where
the two best classes are apart.</p>
<div class="wide long">
{table(CLIENT_COLUMNS, map(client_row, report.clients))}
</div>"""


def operators_table(results: Sequence[VerificationResult]) -> str:
    """How often each operator occurs in each artifact."""
    names = dict.fromkeys(name for result in results for name in result.inspection.operators)
    rows = [[name, *(result.inspection.operators.get(name, "") for result in results)] for name in names]
    return table(["", *(result.name for result in results)], rows)


def noise_section(explanations: Mapping[str, Explanation]) -> str:
    """The operators of each artifact that add most noise, and what keeping them in float would bring."""
    parts = []
    for name, found in explanations.items():
        rows = [["none", "", percent(found.agreement), percent(found.accuracy)]]
        for noise in found.operators[:OPERATORS]:
            rows.append([noise.operator, f"{noise.decibels:.1f} dB", percent(noise.agreement), percent(noise.accuracy)])
        parts += [
            f"<h3>{html.escape(name)}</h3>",
            f"<p>On {found.images} calibration images, of which float gets {percent(found.float_accuracy)} right.",
            f"{len(rows) - 1} of {len(found.operators)} operators are shown; <code>report.json</code> has all.</p>",
            f'<div class="wide long">{table(NOISE_COLUMNS, rows)}</div>',
        ]
    return "\n".join([NOISE_INTRODUCTION, *parts]) if parts else ""


def percent(share: float | None) -> str:
    return "" if share is None else f"{share:.2%}"


def example_indices(report: Report) -> list[int]:
    """Images that Keras gets wrong, then others from all over the split."""
    wrong = np.flatnonzero(predicted_labels(report.reference) != report.labels)[: EXAMPLES // 2]
    others = np.setdiff1d(np.linspace(0, len(report.images) - 1, EXAMPLES).astype(int), wrong)
    return [*wrong, *others][:EXAMPLES]


def mistakes_section(report: Report) -> str:
    """Images that Keras gets right and an artifact does not."""
    right = predicted_labels(report.reference) == report.labels
    lost = right & np.any([predicted_labels(scores) != report.labels for scores in report.outputs.values()], axis=0)
    if not lost.any():
        return "<p>None: every artifact is right wherever Keras is.</p>"
    shown = np.flatnonzero(lost)[:MISTAKES]
    return f"<p>{lost.sum()} of {len(lost)} images, {len(shown)} shown.</p>\n{figures(report, shown)}"


def figures(report: Report, indices: Iterable[int]) -> str:
    return f'<div class="examples">\n{chr(10).join(figure(report, index) for index in indices)}\n</div>'


def figure(report: Report, index: int) -> str:
    """An image with its true label in bold and the prediction of each model."""
    class_names, label = report.metadata.labels, report.labels[index]
    lines = []
    for name, scores in report.outputs_by_name.items():
        predicted = predicted_labels(scores[index : index + 1])[0]
        answer = f"{html.escape(class_names[predicted])} ({scores[index, predicted]:.3f})" if predicted >= 0 else "no output"
        lines.append(f"<span class={'right' if predicted == label else 'wrong'}>{name}: {answer}</span>")
    caption = f"<figcaption><b>{html.escape(class_names[label])}</b><br>{'<br>'.join(lines)}</figcaption>"
    return f"<figure>{img(png(report.images[index]), class_names[label], pixelated=True)}{caption}</figure>"
