"""Whose turn it is, and what becomes of one that fails."""

import contextlib

from keras_resnet.errors import UserError

from .processes import FailedError


def rotated(keys, by):
    """Whoever comes behind a noisy moment, it is another one each time."""
    keys = list(keys)
    by %= len(keys)
    return keys[by:] + keys[:by]


@contextlib.contextmanager
def failures_noted(entry, essential=False):
    """The reason becomes the entry's `failure`; if it is essential there is no contest without it."""
    try:
        yield
    except FailedError as error:
        if essential:
            raise (UserError if error.is_user_error else RuntimeError)(str(error)) from error
        entry.failure = str(error)
