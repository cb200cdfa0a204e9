"""Catches a page on everyone's weights that says something else than the table in the package.

`python tests/test_published_page.py` writes it anew.
"""

from pathlib import Path

import keras_resnet
from keras_resnet.weights.published.entries import PACKAGE, REFERENCES

PAGE = Path(__file__).parent.parent / "docs" / "published.md"
START = "<!-- python tests/test_published_page.py writes what follows -->\n"


def written():
    """What follows `START`: a table for each source, and one of what is refused."""
    entries = [entry for entry in keras_resnet.list_pretrained("*") if entry.source != PACKAGE]
    lines = []
    for source in dict.fromkeys(entry.source for entry in entries):
        lines += [f"## {source}", ""]
        if source in REFERENCES:
            lines += [f"Accuracy: {REFERENCES[source]}.", ""]
        lines += ["| weights | network | license | images | classes | top-1 | top-5 |", "|---|---|---|---|---|---|---|"]
        lines += [line(entry) for entry in entries if entry.source == source and entry.model]
        lines += [""]
    lines += ["## Refused", "", "| weights | source | why |", "|---|---|---|"]
    lines += [f"| `{entry.name}` | {entry.source} | {entry.refused} |" for entry in entries if entry.refused]
    return "\n".join(lines) + "\n"


def line(entry):
    accuracies = ("" if number is None else f"{number:.2f}" for number in (entry.top1, entry.top5))
    name = f"`{entry.name}`" if entry.name != "imagenet" else f"`imagenet` of {entry.architecture}"
    cells = (name, f"`{entry.model}`", entry.license, "x".join(map(str, entry.input_shape)), entry.classes or "", *accuracies)
    return f"| {' | '.join(map(str, cells))} |"


def test_the_page_is_not_what_the_table_says():
    assert PAGE.read_text(encoding="utf-8").partition(START)[2] == written(), "run `python tests/test_published_page.py`"


if __name__ == "__main__":
    PAGE.write_text(PAGE.read_text(encoding="utf-8").partition(START)[0] + START + written(), encoding="utf-8")
