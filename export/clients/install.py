"""Installs clients, each in an environment of its own: `python -m keras_resnet.export.clients.install [NAME ...]`.

One that is complete is left alone. One that cannot be installed is reported in a line and does not stop the others.
"""

import argparse
import shutil
import subprocess
import sys
import sysconfig
import time
import venv
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from keras_resnet.errors import UserError, comma_join, print_message
from keras_resnet.files import json_text, write_text

from .installation import FOLDER, STAMP, is_complete, python_of, stamp
from .table import CLIENTS, Client

AT_ONCE = 2  # pip unpacks with one core, and waits for the network in between
MEGABYTE = 2**20


def install(client: Client, folder: Path) -> str:
    """Installs one client into its subfolder. Returns a line that says what was done.

    Raises:
        UserError: If it cannot be installed; what there is of it is removed.
    """
    made = folder.resolve() / client.name
    if is_complete(client, made):
        return f"{client.name}: is there"
    begin = time.monotonic()
    shutil.rmtree(made, ignore_errors=True)
    made.mkdir(parents=True)
    try:
        (install_npm if client.uses_node else install_pip)(client, made)
    except UserError:
        shutil.rmtree(made, ignore_errors=True)
        raise
    write_text(made / STAMP, json_text(stamp(client)))
    size = sum(path.stat().st_size for path in made.rglob("*") if path.is_file() and not path.is_symlink())
    return f"{client.name}: installed in {time.monotonic() - begin:.0f} s, {size / MEGABYTE:.0f} MB"


def install_pip(client: Client, made: Path) -> None:
    """Makes a virtual environment without pip of its own: this interpreter's installs into it."""
    venv.create(made, with_pip=False, symlinks=sys.platform != "win32")
    if client.shares_packages:
        site = made / Path(sysconfig.get_path("purelib", "venv", {"base": str(made), "platbase": str(made)}))
        site.joinpath("shared.pth").write_text(f"{sysconfig.get_path('purelib')}\n", encoding="utf-8")
    pip = [sys.executable, "-m", "pip", "--python", str(python_of(made)), "--disable-pip-version-check", "install", "--quiet"]
    run(client, [*pip, *client.packages], made)


def install_npm(client: Client, made: Path) -> None:
    """Without the packages' own scripts, which would load more from elsewhere; what the clients need is in the packages."""
    npm = shutil.which("npm")
    if not npm:
        raise UserError(f"{client.name}: cannot be installed: no npm is on the PATH")
    write_text(made / "package.json", json_text({"name": client.name.replace("_", "-"), "private": True}))
    options = ["--ignore-scripts", "--no-audit", "--no-fund", "--no-package-lock", "--loglevel=error"]
    run(client, [npm, "install", *options, *client.packages], made)


def run(client: Client, command: list[str], folder: Path) -> None:
    done = subprocess.run(command, cwd=folder, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    if done.returncode:
        lines = (done.stderr.strip() or done.stdout.strip() or f"exit status {done.returncode}").splitlines()
        raise UserError(f"{client.name}: cannot be installed: {lines[-1]}")


def attempt(client: Client, folder: Path) -> bool:
    """Installs a client and prints a line; tells whether it is there."""
    try:
        print(install(client, folder), flush=True)
    except (UserError, OSError) as error:
        print_message(error)
        return False
    return True


def main(arguments: list[str]) -> int:
    """Returns the exit status: 0 if all are there, 1 if one is not, 2 for an unknown name."""
    parser = argparse.ArgumentParser(description="Installs clients to try artifacts in.")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {comma_join(CLIENTS)}; by default all")
    parser.add_argument("--folder", type=Path, default=Path(FOLDER), help="for their environments; by default %(default)s")
    options = parser.parse_args(arguments)
    unknown = [name for name in options.names if name not in CLIENTS]
    if unknown:
        parser.error(f"unknown client {comma_join(unknown)}; the clients are {comma_join(CLIENTS)}")
    clients = [CLIENTS[name] for name in options.names or CLIENTS]
    with ThreadPoolExecutor(AT_ONCE) as pool:
        installed = list(pool.map(lambda client: attempt(client, options.folder), clients))
    return 0 if all(installed) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
