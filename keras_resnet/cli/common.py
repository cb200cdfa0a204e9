"""What several commands share."""

import dataclasses
from pathlib import Path

from rich.console import Console
from rich.table import Table

from keras_resnet.errors import UserError
from keras_resnet.models import variants
from keras_resnet.models.options import ModelOptions


def check_model(chosen):
    """Refuses an unknown network or variation before TensorFlow is loaded. `chosen`: the flags or a configuration."""
    row = variants.get_variant(chosen.model)
    variants.stage_depths(variants.with_overrides(row, block=chosen.block, unit=chosen.unit, shortcut=chosen.shortcut))


def options_of(flags):
    return ModelOptions(**{field.name: flags[field.name].value for field in dataclasses.fields(ModelOptions)})


def show_table(columns, rows):
    console = Console()
    if not console.is_terminal:
        console.width = 160
    table = Table(*columns, box=None, pad_edge=False)
    for row in rows:
        table.add_row(*map(str, row))
    console.print(table)


def read_labels(path):
    try:
        return tuple(line.strip() for line in Path(path).read_text(encoding="utf-8-sig").splitlines() if line.strip())
    except UnicodeDecodeError as error:
        raise UserError(f"{path} is not a text file in UTF-8") from error
