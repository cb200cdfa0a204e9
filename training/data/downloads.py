"""Fetching a set of tensorflow-datasets, and saying soon and in one line why that cannot be."""

import contextlib
import functools
import io
import sys
import textwrap
import threading
import urllib.parse
from unittest import mock

import requests
import tensorflow_datasets as tfds
from tensorflow_datasets.core.download import downloader

from keras_resnet.errors import UserError, first_line

EMBEDDED = "digits"
CONNECT_TIMEOUT = 10  # seconds to wait for a host; tensorflow-datasets itself tries for minutes
NOBODY_THERE = (502, 503, 504)  # says a proxy


class UnreachableError(Exception):
    """str: the host."""


def prepare(name, builder, manual_dir=None):
    """Downloads the set and lays it down in the builder's folder, if it is not there yet.

    manual_dir: folder with archives that the user downloaded; what is in there is not fetched. A set appears in its folder
    when it is whole: tensorflow-datasets writes beside it and renames.
    """
    if builder.is_prepared():
        return
    missing = f"dataset {name!r} is not in {builder.data_dir}"
    by_hand = builder.MANUAL_DOWNLOAD_INSTRUCTIONS
    if by_hand and manual_dir is None:
        raise UserError(f"{missing} and is to be downloaded by hand: give --manual_dir=FOLDER. {one_sentence(by_hand)}")
    if name != EMBEDDED:
        print(f"fetching dataset {name} into {builder.data_dir}", file=sys.stderr)
    if name == EMBEDDED or not sys.stderr.isatty():
        tfds.disable_progress_bar()
    config = tfds.download.DownloadConfig(manual_dir=manual_dir)
    try:
        with contextlib.redirect_stdout(io.StringIO()), fail_fast():
            builder.download_and_prepare(download_config=config)
    except Exception as error:
        if builder.is_prepared():  # by another process, meanwhile
            return
        raise UserError(f"{missing} and cannot be fetched: {reason(error, builder, by_hand)}") from error
    if not builder.is_prepared():
        raise UserError(f"{builder.data_dir} is not a whole data set: remove it, to have it fetched again")


def reason(error, builder, by_hand):
    """What went wrong, and what to do."""
    if by_hand:
        return f"{first_line(error)}. {one_sentence(by_hand)}"
    if not isinstance(error, UnreachableError):
        return first_line(error)
    archives = ", ".join(sorted({info.filename for info in (builder.url_infos or {}).values() if info.filename})[:3])
    return (
        f"{error} cannot be reached. Give --data_dir=FOLDER that it is prepared in, or --manual_dir=FOLDER with its archives"
        f"{f' ({archives})' if archives else ''}, or run `tfds build {builder.info.full_name.rpartition('/')[0]}` "
        "on a machine with a network and copy the folder"
    )


def one_sentence(instructions):
    return textwrap.shorten(" ".join(instructions.split()), 240, placeholder=" ...")


@contextlib.contextmanager
def fail_fast():
    """Lets tensorflow-datasets see at once, not after its ten tries, that a host cannot be reached; it has no setting."""
    original = downloader._open_url

    def open_url(url, **options):
        if url.startswith("http") and not reachable(urllib.parse.urljoin(url, "/")):
            raise UnreachableError(urllib.parse.urlsplit(url).hostname)
        return original(url, **options)

    with mock.patch.object(downloader, "_open_url", open_url):
        yield


@functools.cache
def reachable(address):
    """Whether anything answers at a web address, within `CONNECT_TIMEOUT` seconds; the environment's proxies are used."""
    answered, done = threading.Event(), threading.Event()

    def ask():
        try:
            if requests.head(address, timeout=CONNECT_TIMEOUT, allow_redirects=False).status_code not in NOBODY_THERE:
                answered.set()
        except requests.exceptions.SSLError:
            answered.set()  # the download itself says what is wrong
        except requests.exceptions.RequestException:
            pass
        finally:
            done.set()

    threading.Thread(target=ask, daemon=True).start()  # looking a name up cannot be given a limit
    done.wait(CONNECT_TIMEOUT)
    return answered.is_set()
