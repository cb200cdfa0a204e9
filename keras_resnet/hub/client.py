"""Files of a repository, by the hub's own client: it caches them, and knows the user's token, endpoint and proxies."""

import contextlib
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from keras_resnet.errors import UserError, first_line

from .names import HubName

INSTALL = "pip install keras-resnet-zoo[hub]"


def client(name: HubName) -> Any:
    """The package `huggingface_hub`, with its modules `constants` and `errors`.

    Raises:
        UserError: where it is not installed.
    """
    try:
        import huggingface_hub.constants
        import huggingface_hub.errors
    except ImportError as error:
        raise UserError(f"{name} is on the Hugging Face Hub: reading it needs `{INSTALL}`") from error
    return huggingface_hub


def download(name: HubName, file: str) -> Path | None:
    """The path of a file in the client's cache, fetched if it is not there; None if the repository has no such file.

    The folder that it is in is called after the commit. Of a commit that is cached, nothing is asked; of a branch or tag the
    hub is asked what it is now, and where it does not answer, what was cached last is taken.

    Raises:
        UserError: if there is no such repository or revision, it is gated, or it is not cached and cannot be fetched.
    """
    hub = client(name)
    revision = name.revision or None
    cached = hub.try_to_load_from_cache(name.repo, file, revision=revision) if is_commit(name.revision) else None
    if cached is not None:
        return Path(cached) if isinstance(cached, str) else None  # it is known not to be there
    with hub_errors(name, file):
        try:
            return Path(hub.hf_hub_download(name.repo, file, revision=revision, library_name="keras-resnet-zoo"))
        except hub.errors.LocalEntryNotFoundError:
            raise
        except hub.errors.EntryNotFoundError:
            return None
    raise AssertionError


def is_commit(revision: str) -> bool:
    """Whether a revision is the full hash of a commit, whose files never change."""
    return len(revision) == 40 and set(revision) <= set("0123456789abcdef")


def files_of(name: HubName) -> list[str]:
    """The names of all files in a repository; empty where the hub cannot be asked."""
    hub = client(name)
    try:
        api = hub.HfApi(endpoint=hub.constants.ENDPOINT)
        return sorted(api.list_repo_files(name.repo, revision=name.revision or None))
    except Exception:  # it is only asked for a message about another mistake
        return []


@contextlib.contextmanager
def hub_errors(name: HubName, file: str) -> Iterator[None]:
    """Raises what the hub's client raises as a `UserError` that says what to do."""
    hub = client(name)
    logger = logging.getLogger("huggingface_hub")
    level = logger.level
    logger.setLevel(logging.ERROR)  # it warns of each of its attempts, and what comes of them is said here in one line
    try:
        yield
    except hub.errors.GatedRepoError as error:
        where = f"{hub.constants.ENDPOINT}/{name.repo}"
        raise UserError(f"{name} is gated: accept its terms at {where}, and log in by `hf auth login`") from error
    except hub.errors.RepositoryNotFoundError as error:
        raise UserError(
            f"{name}: there is no repository {name.repo} at {hub.constants.ENDPOINT}, or it is private; `hf auth login` logs in"
        ) from error
    except hub.errors.RevisionNotFoundError as error:
        raise UserError(f"{name}: {name.repo} has no revision {name.revision!r}") from error
    except hub.errors.LocalEntryNotFoundError as error:
        raise UserError(
            f"{name}: {file} is not in the cache, and {hub.constants.ENDPOINT} cannot be asked "
            f"({'HF_HUB_OFFLINE is set' if hub.constants.HF_HUB_OFFLINE else 'no answer'})"
        ) from error
    except hub.errors.HFValidationError as error:
        raise UserError(f"{name} is not the name of a repository: {first_line(error)}") from error
    except Exception as error:  # of HTTP, the network, the disk, and the client's other parts
        raise UserError(f"{name}: {file} cannot be fetched from {hub.constants.ENDPOINT}: {first_line(error)}") from error
    finally:
        logger.setLevel(level)
