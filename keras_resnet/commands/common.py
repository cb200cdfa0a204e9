"""What several commands share."""

import dataclasses

from rich.console import Console
from rich.table import Table

from keras_resnet import variants
from keras_resnet.options import Options


def check_model(flags, given=None):
    """Refuses an unknown network or option before TensorFlow is loaded. `given`: a configuration instead of the flags."""
    given = given or flags
    row = variants.find(given.model)
    variants.stage_depths(variants.vary(row, block=given.block, unit=given.unit, shortcut=given.shortcut))


def options_of(flags):
    return Options(**{field.name: flags[field.name].value for field in dataclasses.fields(Options)})


def show_table(columns, rows):
    console = Console()
    if not console.is_terminal:
        console.width = 160
    table = Table(*columns, box=None, pad_edge=False)
    for row in rows:
        table.add_row(*map(str, row))
    console.print(table)
