"""Which browser there is on this machine to run a page in: Chromium, or one that is made from it."""

import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

from keras_resnet.errors import UserError

VARIABLE = "CHROME_PATH"  # of the environment; other tools read it as well
COMMANDS = (
    "chromium",
    "chromium-browser",
    "google-chrome",
    "google-chrome-stable",
    "chrome",
    "microsoft-edge",
    "microsoft-edge-stable",
    "msedge",
    "brave-browser",
)
MAC_APPLICATIONS = ("Google Chrome", "Chromium", "Microsoft Edge", "Brave Browser")
WINDOWS_FOLDERS = ("PROGRAMFILES", "PROGRAMFILES(X86)", "LOCALAPPDATA")
WINDOWS_PROGRAMS = ("Google/Chrome/Application/chrome.exe", "Microsoft/Edge/Application/msedge.exe")


def find_browser() -> Path | None:
    """Returns the program of a browser: that in CHROME_PATH, or the first that is installed; None if there is none.

    Raises:
        UserError: CHROME_PATH names something else.
    """
    named = os.environ.get(VARIABLE)
    if named:
        found = shutil.which(named)
        if found is None:
            raise UserError(f"{VARIABLE} is {named}, which is not a program")
        return Path(found)
    return next(installed(), None)


def installed() -> Iterator[Path]:
    """Yields the programs of browsers that are where their installers put them."""
    yield from (Path(found) for found in map(shutil.which, COMMANDS) if found)
    if sys.platform == "darwin":
        folders = (Path("/Applications"), Path.home() / "Applications")
        programs = (folder / f"{name}.app/Contents/MacOS/{name}" for name in MAC_APPLICATIONS for folder in folders)
    else:
        homes = [Path(os.environ[name]) for name in WINDOWS_FOLDERS if name in os.environ]
        programs = (home / name for name in WINDOWS_PROGRAMS for home in homes)
    yield from (program for program in programs if program.is_file())
