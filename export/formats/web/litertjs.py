"""LiteRT.js, the runtime of the page: where it is on this machine, and which of its files the page needs."""

import json
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

from keras_resnet.errors import UserError

VERSION = "2.5.3"  # that the page was tried with
FOLDER = "runtime"  # of the page
CORE, HELPERS = "core/dist/index.js", "wasm-utils/dist/index.js"
# Browsers get the first, which is faster, or, if they lack relaxed SIMD instructions, the second.
WASM = ("core/wasm/litert_wasm_internal", "core/wasm/litert_wasm_compat_internal")
RECORDS = ("core/package.json", "wasm-utils/package.json")  # which state the version and the license
FILES = (CORE, HELPERS, *RECORDS, *(f"{name}{suffix}" for name in WASM for suffix in (".js", ".wasm")))
IMPORTS: Mapping[str, str] = MappingProxyType({"@litertjs/core": CORE, "@litertjs/wasm-utils": HELPERS})


def find_runtime(folder: Path) -> Path:
    """Returns the folder `@litertjs` that is, or is in, the one that a user names: a project, its node_modules, a package.

    Raises:
        UserError: There is none, or it lacks files that the page needs.
    """
    candidates = (folder / "node_modules" / "@litertjs", folder / "@litertjs", folder, folder.parent)
    found = next((candidate for candidate in candidates if (candidate / "core" / "package.json").is_file()), None)
    if found is None:
        raise UserError(
            f"{folder} has no LiteRT.js for the page: --web_runtime names a folder in which "
            f"`npm install {requirement()}` was run"
        )
    if missing := [name for name in FILES if not (found / name).is_file()]:
        raise UserError(f"{found} lacks {missing[0]}, which the page needs: install @litertjs/core {VERSION} there")
    return found


def requirement() -> str:
    """The package, as npm takes it."""
    return f"@litertjs/core@{VERSION}"


def package_json() -> str:
    """The page's `package.json`, with which `npm install` brings the runtime to where the page looks for it."""
    kept = "f => !/jspi|threaded|[.](map|d[.]ts)$/.test(f)"
    copy = f"require('fs').cpSync('node_modules/@litertjs', '{FOLDER}', {{recursive: true, filter: {kept}}})"
    record = {
        "private": True,
        "dependencies": {"@litertjs/core": VERSION, "@litertjs/wasm-utils": VERSION},
        "scripts": {"postinstall": f'node -e "{copy}"'},
    }
    return json.dumps(record, indent=2) + "\n"
