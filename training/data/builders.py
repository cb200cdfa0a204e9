"""Builders of tensorflow-datasets by name, and of the embedded digits. To import this and to find one takes no TensorFlow."""

import atexit
import contextlib
import difflib
import re
from pathlib import Path

import tensorflow_datasets as tfds
from tensorflow_datasets.core import constants

from keras_resnet.errors import UserError, comma_join, first_line
from keras_resnet.files import PATTERN, without_pattern

from .containers.table import CONTAINERS
from .digits import digits_dataset_builder as _digits  # noqa: F401  registers "digits"

_links = contextlib.ExitStack()  # to folders whose names tensorflow-datasets would take for patterns
atexit.register(_links.close)


def get_builder(name: str, data_dir: str | Path | None) -> tfds.core.DatasetBuilder:
    """The builder of a dataset of tensorflow-datasets, registered or prepared in `data_dir`.

    Raises:
        UserError: if there is no such dataset, or it is damaged.
    """
    if data_dir is not None and PATTERN.search(str(data_dir)):
        Path(data_dir).mkdir(parents=True, exist_ok=True)
        data_dir = _links.enter_context(without_pattern(Path(data_dir)))
    try:
        return tfds.builder(name, data_dir=data_dir)
    except tfds.core.DatasetNotFoundError as error:
        similar = difflib.get_close_matches(name, [*CONTAINERS, *tfds.list_builders(with_community_datasets=False)], n=3)
        hint = f"did you mean {' or '.join(similar)}? " if similar else ""
        raise UserError(
            f"unknown dataset {name!r}: {hint}It must be digits, a dataset of tensorflow-datasets, or one of "
            f"{comma_join(CONTAINERS)}"
        ) from error
    except Exception as error:  # its records may be damaged in any way
        reason = re.sub(r"Failed to construct dataset .*?}\": ", "", first_line(error))
        raise UserError(f"dataset {name!r} cannot be opened: {reason}{prepared_in(name, data_dir)}") from error


def prepared_in(name: str, data_dir: str | Path | None) -> str:
    """What to do about a dataset that is there and cannot be opened, to end a message with; "" if it is not there."""
    folder = Path(data_dir or constants.DATA_DIR) / name.partition("/")[0].partition(":")[0]
    return f"; remove {folder} to prepare it again" if folder.is_dir() else ""
