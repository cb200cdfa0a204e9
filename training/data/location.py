"""What is wrong with the name and the folders of a dataset, as far as it shows without TensorFlow and without reading data."""

from pathlib import Path

from keras_resnet.errors import UserError
from keras_resnet.files import PATTERN

from .containers.table import CONTAINERS, check_data_dir, hint


def check_location(name: str, data_dir: str | Path | None, manual_dir: str | Path | None = None) -> None:
    """Raises a `UserError` for an unknown dataset, and for folders that are not there. What is in them is not looked at."""
    check_folders(name, data_dir, manual_dir)
    if name not in CONTAINERS and not PATTERN.search(str(data_dir)):  # for such a folder, `get_builder` makes a link
        from .builders import get_builder  # of tensorflow-datasets, which some have without TensorFlow

        get_builder(name, data_dir)


def check_folders(name: str, data_dir: str | Path | None, manual_dir: str | Path | None = None) -> None:
    """The same for the folders alone."""
    if manual_dir is not None and not Path(manual_dir).is_dir():
        raise UserError(f"manual_dir is {manual_dir}, which is not a folder; it must hold archives that you downloaded")
    if name in CONTAINERS:
        check_data_dir(name, data_dir)
    elif data_dir is not None and Path(data_dir).is_file():
        raise UserError(f"data_dir is {data_dir}, which is a file; for dataset {name!r} it must be a folder{hint(data_dir)}")
