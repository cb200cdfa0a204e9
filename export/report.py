"""What was exported and how well it agrees, for a program (`report.json`) and for a person (`report.html`)."""

import base64
import dataclasses
import html
import io
import json
import string
from importlib import metadata, resources

import numpy as np
from PIL import Image

RECORD, PAGE = "report.json", "report.html"
COLUMNS = ("artefact", "size", "accuracy", "same label as Keras", "largest difference", "within tolerance")
LIBRARIES = ("keras", "tensorflow", "ai-edge-litert", "tf2onnx", "onnx", "onnxruntime")
EXAMPLES = 16


def read(folder):
    """The record of an earlier export in the folder, or None."""
    try:
        record = json.loads((folder / RECORD).read_text(encoding="utf-8"))
        return record if {"model", "dataset", "artefacts", "versions"} <= set(record) else None
    except (OSError, ValueError, TypeError):
        return None


@dataclasses.dataclass(frozen=True)
class Report:
    """The verifications of one export; `reference` and `outputs[name]` are (N, classes) for the `images` (N, H, W, C)."""

    config: object
    classifier: object
    verifications: list
    images: np.ndarray
    labels: np.ndarray
    reference: np.ndarray
    outputs: dict

    @property
    def failed(self):
        return [verification for verification in self.verifications if not verification.passed]

    @property
    def accuracy(self):
        return float(np.mean(self.reference.argmax(axis=1) == self.labels))

    def write(self, folder):
        (folder / RECORD).write_text(json.dumps(self.to_dict(), indent=2) + "\n", encoding="utf-8")
        (folder / PAGE).write_text(self.to_html(), encoding="utf-8")

    def to_dict(self):
        return {
            "model": self.classifier.model,
            "dataset": self.classifier.dataset,
            "output": self.config.output,
            "images": len(self.images),
            "versions": {name: metadata.version(name) for name in LIBRARIES},
            "keras": {"bytes": self.config.model_path.stat().st_size, "accuracy": self.accuracy},
            "artefacts": [{**numbers(dataclasses.asdict(v)), "passed": v.passed} for v in self.verifications],
        }

    def to_html(self):
        curves = self.config.model_path.with_name("curves.png")
        template = resources.files(__package__).joinpath("report_template.html").read_text(encoding="utf-8")
        sizes = [self.config.model_path.stat().st_size, *(v.bytes for v in self.verifications)]
        return string.Template(template).substitute(
            title=html.escape(f"{self.classifier.model} on {self.classifier.dataset}"),
            verdict=html.escape(self.verdict()),
            verdict_class="failed" if self.failed else "passed",
            header="".join(f"<th>{column}" for column in COLUMNS),
            rows=table(self.rows(), sizes),
            images=len(self.images),
            examples="\n".join(self._example(index) for index in self._example_indices()),
            curves=f"<h2>Training</h2>\n{picture(curves.read_bytes(), 'training curves')}" if curves.is_file() else "",
        )

    def verdict(self):
        """One line: all agree, or which do not and how far."""
        if not self.failed:
            worst = max(v.max_difference for v in self.verifications)
            return f"All {len(self.verifications)} artefacts agree with Keras, to {worst:.1e} at worst."
        return "; ".join(
            f"{v.name} {v.error or f'differs by {v.max_difference:.1e}, {v.tolerance:.1e} allowed'}" for v in self.failed
        )

    def rows(self):
        """The table as text, Keras first."""
        keras = ("keras", megabytes(self.config.model_path.stat().st_size), f"{self.accuracy:.2%}", "", "", "")
        return [keras] + [
            (
                v.name,
                megabytes(v.bytes),
                f"{v.accuracy:.2%}",
                f"{v.top1_agreement:.2%}",
                f"{v.max_difference:.1e}",
                "yes" if v.passed else "NO",
            )
            for v in self.verifications
        ]

    def _example_indices(self):
        """The images that Keras gets wrong first, then others from all over the split."""
        wrong = np.flatnonzero(self.reference.argmax(axis=1) != self.labels)[: EXAMPLES // 2]
        others = np.setdiff1d(np.linspace(0, len(self.images) - 1, EXAMPLES).astype(int), wrong)
        return [*wrong, *others][:EXAMPLES]

    def _example(self, index):
        names, label = self.classifier.labels, self.labels[index]
        answers = {"keras": self.reference[index], **{name: output[index] for name, output in self.outputs.items()}}
        lines = "<br>".join(
            f"<span class={'right' if scores.argmax() == label else 'wrong'}>"
            f"{name}: {html.escape(names[scores.argmax()])} ({scores.max():.3f})</span>"
            for name, scores in answers.items()
        )
        caption = f"<figcaption><b>{html.escape(names[label])}</b><br>{lines}</figcaption>"
        return f"<figure>{picture(png(self.images[index]), names[label], pixelated=True)}{caption}</figure>"


def table(rows, sizes):
    """HTML rows of `rows`, with a bar beside each size."""
    lines = []
    for (name, size, *cells), bytes_ in zip(rows, sizes, strict=True):
        bar = f'<meter max="{max(sizes)}" value="{bytes_}"></meter>'
        lines.append(f"<tr><td>{name}<td>{bar} {size}{''.join(f'<td>{cell}' for cell in cells)}</tr>")
    return "\n".join(lines)


def numbers(record):
    """The record with null for not a number, which JSON does not have."""
    return {key: None if value != value else value for key, value in record.items()}


def megabytes(bytes_):
    return f"{bytes_ / 1e6:.2f} MB"


def png(image):
    """A uint8 (H, W, C) image as the bytes of a PNG file."""
    buffer = io.BytesIO()
    Image.fromarray(image[..., 0] if image.shape[-1] == 1 else image).save(buffer, "PNG")
    return buffer.getvalue()


def picture(content, alt, pixelated=False):
    source = f"data:image/png;base64,{base64.b64encode(content).decode()}"
    return f'<img src="{source}" alt="{html.escape(alt)}"{" class=pixelated" if pixelated else ""}>'
