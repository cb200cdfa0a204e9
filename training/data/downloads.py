"""Downloads and prepares a dataset of tensorflow-datasets; without a network it says so soon and in one line."""

import contextlib
import io
import queue
import sys
import textwrap
import threading
import time
import urllib.parse
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import requests
import tensorflow_datasets as tfds

from keras_resnet.errors import UserError, first_line, print_message
from keras_resnet.records import read_json

EMBEDDED = "digits"
CONNECT_TIMEOUT = 10  # seconds to wait for a host; tensorflow-datasets itself tries for minutes
NO_HOST = (502, 503, 504)  # HTTP status codes of a proxy that cannot reach the host


def prepare(name: str, builder: tfds.core.DatasetBuilder, manual_dir: str | Path | None = None) -> None:
    """Downloads a dataset and prepares it in the builder's folder, if it is not there yet.

    A dataset appears in its folder only when it is complete: tensorflow-datasets writes to another folder and renames it.

    Args:
        name: The dataset, for messages.
        builder: Its builder.
        manual_dir: Folder with archives that the user downloaded; these are not downloaded again.

    Raises:
        UserError: It cannot be downloaded or prepared, or its folder is incomplete.
    """
    if builder.is_prepared():
        return
    missing = f"dataset {name!r} is not in {builder.data_dir}"
    instructions = builder.MANUAL_DOWNLOAD_INSTRUCTIONS
    if instructions and manual_dir is None:
        raise UserError(f"{missing} and must be downloaded by hand: give --manual_dir=FOLDER. {shortened(instructions)}")
    if name != EMBEDDED:
        print_message(f"downloading dataset {name} to {builder.data_dir}")
    if not instructions and (host := unreachable_host(builder, manual_dir)):
        raise UserError(f"{missing} and cannot be downloaded: {offline_advice(host, builder)}")
    if name == EMBEDDED or not sys.stderr.isatty():
        tfds.disable_progress_bar()
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            builder.download_and_prepare(download_config=tfds.download.DownloadConfig(manual_dir=manual_dir))
    except Exception as error:
        if builder.is_prepared():  # by another process, meanwhile
            return
        raise UserError(f"{missing} and cannot be downloaded: {reason(error, builder)}") from error
    if not builder.is_prepared():
        raise UserError(f"{builder.data_dir} is not a complete dataset: remove it to download it again")


def reason(error: Exception, builder: tfds.core.DatasetBuilder) -> str:
    """Returns what went wrong and what to do about it."""
    if builder.MANUAL_DOWNLOAD_INSTRUCTIONS:
        return f"{first_line(error)}. {shortened(builder.MANUAL_DOWNLOAD_INSTRUCTIONS)}"
    no_connection = isinstance(error, requests.ConnectionError | requests.exceptions.RetryError)
    if no_connection and error.request is not None and error.request.url:
        return offline_advice(hostname(str(error.request.url)), builder)
    return first_line(error)


def offline_advice(host: str, builder: tfds.core.DatasetBuilder) -> str:
    archives = ", ".join(sorted({info.filename for info in url_infos(builder).values() if info.filename})[:3])
    return (
        f"{host} cannot be reached. Give --data_dir=FOLDER where it is already prepared, or --manual_dir=FOLDER with its "
        f"archives{f' ({archives})' if archives else ''}, or run `tfds build {builder.info.full_name.rpartition('/')[0]}` "
        "on a machine with network access and copy the folder"
    )


def shortened(instructions: str) -> str:
    return textwrap.shorten(" ".join(instructions.split()), 240, placeholder=" ...")


def url_infos(builder: tfds.core.DatasetBuilder) -> Mapping[str, Any]:
    """Returns {URL: its `UrlInfo`} of all that a dataset may download, in any of its configurations; {} if not known."""
    return builder.url_infos or {}


def hostname(url: str) -> str:
    return urllib.parse.urlsplit(url).hostname or url


def unreachable_host(builder: tfds.core.DatasetBuilder, manual_dir: str | Path | None) -> str | None:
    """Returns a host that the dataset is downloaded from if none of its hosts can be reached, else None.

    A dataset of which an archive is already on this machine is left to tensorflow-datasets: it may need no more than that.
    """
    infos = url_infos(builder)
    if not infos or not all(url.startswith("http") for url in infos) or has_archive(builder, manual_dir):
        return None
    roots = sorted({urllib.parse.urljoin(url, "/") for url in infos})
    return None if any_reachable(roots) else hostname(roots[0])


def has_archive(builder: tfds.core.DatasetBuilder, manual_dir: str | Path | None) -> bool:
    """Whether any archive of the dataset is in `manual_dir` or was downloaded before."""
    infos = url_infos(builder)
    if manual_dir and any((Path(manual_dir) / info.filename).exists() for info in infos.values() if info.filename):
        return True
    downloads = Path(builder.data_dir_root) / "downloads"
    records = [*downloads.glob("*.INFO"), *(downloads / builder.name).rglob("*.INFO")]
    return any(not infos.keys().isdisjoint(recorded_urls(record)) for record in records)


def recorded_urls(record: Path) -> list[str]:
    """The URLs of a download's record; none if it cannot be read, as when the download was killed."""
    try:
        return [str(url) for url in read_json(record)["urls"]]
    except (UserError, TypeError, KeyError):
        return []


def any_reachable(urls: Collection[str]) -> bool:
    """Whether any of these URLs answers within `CONNECT_TIMEOUT` seconds; all are asked at the same time."""
    answers: queue.SimpleQueue[bool] = queue.SimpleQueue()
    for url in urls:
        # Daemon threads, since the time that a name lookup takes cannot be limited.
        threading.Thread(target=lambda url=url: answers.put(is_reachable(url)), daemon=True).start()
    deadline = time.monotonic() + CONNECT_TIMEOUT
    for _ in urls:
        try:
            if answers.get(timeout=max(0.0, deadline - time.monotonic())):
                return True
        except queue.Empty:
            return False
    return False


def is_reachable(url: str) -> bool:
    """Whether a host answers, be it through the environment's proxy."""
    try:
        return requests.head(url, timeout=CONNECT_TIMEOUT, allow_redirects=False).status_code not in NO_HOST
    except requests.exceptions.SSLError:
        return True  # the download itself says what is wrong
    except requests.exceptions.RequestException:
        return False
