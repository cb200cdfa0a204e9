"""Catches a page on the trained weights that says something else than their index.

`python tests/test_pretrained_page.py` writes it anew.
"""

import re
from pathlib import Path

import keras_resnet

PAGE = Path(__file__).parent.parent / "docs" / "pretrained.md"
START = "<!-- python tests/test_pretrained_page.py writes what follows -->\n"


def written():
    """What follows `START`: a table of all trained weights, and their cards."""
    entries = keras_resnet.list_pretrained()
    rows = ["| weights | images | classes | test accuracy | size |", "|---|---|---|---|---|"]
    for entry in entries:
        link = re.sub(r"[^\w-]", "", entry.full_name.lower())
        measured = f"{entry.accuracy:.2%} of {entry.images:,}"
        size, shape = f"{entry.bytes / 1e6:.2f} MB", "x".join(map(str, entry.preprocessing.shape))
        rows.append(f"| [`{entry.full_name}`](#{link}) | {shape} | {len(entry.class_names)} | {measured} | {size} |")
    return "\n".join([*rows, "", "## Model cards", "", "\n".join(entry.card for entry in entries)])


def test_the_page_is_not_what_the_index_says():
    assert PAGE.read_text(encoding="utf-8").partition(START)[2] == written(), "run `python tests/test_pretrained_page.py`"


if __name__ == "__main__":
    PAGE.write_text(PAGE.read_text(encoding="utf-8").partition(START)[0] + START + written(), encoding="utf-8")
