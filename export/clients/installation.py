"""Where a client is installed: in a folder of its own that `install` has made, or beside this package."""

import dataclasses
import importlib.metadata
import os
import shutil
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

from packaging.requirements import Requirement

from keras_resnet.errors import UserError
from keras_resnet.records import read_json

from ..formats.web.browser import VARIABLE, find_browser
from .table import Client, group_of

FOLDER = ".clients"  # of `make clients`
STAMP = "installed.json"  # in the folder of a client that is complete: what was installed
SCRIPTS = Path(__file__).with_name("scripts")


@dataclasses.dataclass(frozen=True)
class Installation:
    """A client that can be run.

    Attributes:
        client: The client.
        interpreter: Python's or Node's path.
        arguments: Of its script, after the folder of the request.
        separate: Whether it is an environment of its own, which this process's search path does not concern.
    """

    client: Client
    interpreter: str
    arguments: tuple[str, ...] = ()
    separate: bool = False

    def command(self, folder: Path) -> list[str]:
        return [self.interpreter, str(SCRIPTS / self.client.script), str(folder), *self.arguments]


class NotInstalledError(UserError):
    """A client that cannot be run here; the message says what to install."""


def find_installation(client: Client, folder: Path) -> Installation:
    """Finds a client in its subfolder of the folder that `install` makes, or else beside this package.

    Raises:
        NotInstalledError: If it is nowhere.
    """
    made = (folder / client.name).resolve()
    if client.uses_node:
        return find_node_installation(client, made)
    if is_complete(client, made):
        return Installation(client, str(python_of(made)), separate=True)
    requirement = Requirement(client.packages[0])
    if any(requirement.specifier.contains(version, prereleases=True) for version in versions(client.distributions)):
        return Installation(client, sys.executable)
    wanted = " ".join(f"'{package}'" for package in client.packages)
    raise NotInstalledError(f"{client.name} is not installed: pip install {wanted}, or {make_command(client, folder)}")


def find_node_installation(client: Client, made: Path) -> Installation:
    node = shutil.which("node")
    if not node:
        raise NotInstalledError(f"{client.name} runs in Node.js, and no node is on the PATH: install Node.js 20 or newer")
    if not is_complete(client, made):
        raise NotInstalledError(f"{client.name} is not installed: {make_command(client, made.parent)}")
    if not client.in_browser:
        return Installation(client, node, (str(made),))
    browser = find_browser()
    if not browser:
        raise NotInstalledError(
            f"{client.name} runs in a page, and no browser is there: install Chromium, or name one in {VARIABLE}"
        )
    return Installation(client, node, (str(made), client.name, str(browser)))


def find_installations(names: Sequence[str], clients: Iterable[Client], folder: Path) -> list[Installation]:
    """Finds the clients that a user chose by `names`. Of a group, those that are installed; one of them must be.

    Raises:
        NotInstalledError: For the first that is missing.
    """
    found, missing = [], {}
    for client in clients:
        try:
            found.append(find_installation(client, folder))
        except NotInstalledError as error:
            missing.setdefault(group_of(names, client), error)
    present = {group_of(names, installation.client) for installation in found}
    for name, error in missing.items():
        if name not in present:
            raise error
    return found


def versions(distributions: Iterable[str]) -> list[str]:
    """The versions of those distributions that this interpreter has."""
    found = []
    for name in distributions:
        try:
            found.append(importlib.metadata.version(name))
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def python_of(environment: Path) -> Path:
    """The interpreter of a virtual environment."""
    return environment / ("Scripts/python.exe" if os.name == "nt" else "bin/python")


def is_complete(client: Client, made: Path) -> bool:
    """Whether the folder holds what the table says, installed to the end."""
    try:
        return read_json(made / STAMP) == stamp(client)
    except UserError:
        return False


def stamp(client: Client) -> dict[str, object]:
    return {"packages": list(client.packages), "python": list(sys.version_info[:2])}


def make_command(client: Client, folder: Path) -> str:
    return f"python -m {__package__}.install --folder={folder} {client.name}"
