"""What mkdocs does to the pages of this folder: it runs the commands whose output they show, and sets their formulas.

Formulas become MathML, which browsers render by themselves: the site needs no script from anywhere else.
"""

from __future__ import annotations

import html
import os
import re
import subprocess
import sys

from latex2mathml.converter import convert

OUTPUT_OF = re.compile(r"^<!-- output of: keras-resnet (.+) -->$", flags=re.MULTILINE)
FORMULA = re.compile(r'<(span|div) class="arithmatex">\\([(\[])(.+?)\\[)\]]</\1>', flags=re.DOTALL)
DISPLAY = {"[": "block", "(": "inline"}


def on_page_markdown(markdown: str, **_: object) -> str:
    """Puts the output of a command in the place of `<!-- output of: keras-resnet ... -->`."""
    return OUTPUT_OF.sub(lambda match: f"```text\n{output_of(match[1])}\n```", markdown)


def output_of(arguments: str) -> str:
    """Returns what `keras-resnet ARGUMENTS` prints."""
    program = "from keras_resnet.cli import main; main()"
    environment = {**os.environ, "COLUMNS": "80"}
    done = subprocess.run(
        [sys.executable, "-c", program, *arguments.split()], check=True, capture_output=True, text=True, env=environment
    )
    return done.stdout.rstrip()


def on_page_content(content: str, **_: object) -> str:
    """Sets the formulas that `pymdownx.arithmatex` has marked."""
    return FORMULA.sub(lambda match: convert(html.unescape(match[3]), display=DISPLAY[match[2]]), content)
