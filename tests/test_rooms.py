"""Catches an import against the direction of the house, and a start that loads what nobody asked for."""

import ast
import subprocess
import sys

import pytest
from conftest import ROOT

# Each room may import those before it; `training` and `export` stand side by side.
ORDER = [
    "errors", "files", "recursion", "environment", "batch_normalization", "layers", "shortcuts", "units", "layouts", "variants",
    "options", "builder", "graph", "backbone", "preprocessing", "classifier", "saving", "weights", "constructors", "pixels",
    "published", "facts", "benchmarks", ("training", "export"), "command_line", "command_flags", "commands", "cli",
]  # fmt: skip
LEVELS = {room: level for level, rooms in enumerate(ORDER) for room in ([rooms] if isinstance(rooms, str) else rooms)}


def modules():
    for folder, package in (("keras_resnet", ""), ("training", "training"), ("export", "export")):
        for path in sorted((ROOT / folder).rglob("*.py")):
            room = package or path.relative_to(ROOT / folder).parts[0].removesuffix(".py")
            yield pytest.param(path, room, id=str(path.relative_to(ROOT)))


def imported(path):
    """The rooms that a file imports, inside functions too."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        else:
            continue
        for name in names:
            package, _, rest = name.partition(".")
            if package == "keras_resnet" and rest:
                yield rest.split(".")[0]


@pytest.mark.parametrize(("path", "room"), list(modules()))
def test_imports_run_one_way(path, room):
    if room == "__init__":
        return
    for other in set(imported(path)) & set(LEVELS):
        assert LEVELS[other] < LEVELS[room] or other == room, f"{path.name} imports {other}"


def test_every_module_has_its_place_in_the_order():
    assert {parameters.values[1] for parameters in modules()} == {*LEVELS, "__init__"}


def test_importing_the_package_loads_neither_keras_nor_tensorflow():
    program = (
        "import sys, keras_resnet; keras_resnet.list_models(); sys.exit('keras' in sys.modules or 'tensorflow' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-P", "-c", program], check=False).returncode == 0


def test_every_public_name_resolves():
    import keras_resnet

    for name in keras_resnet.__all__:
        assert getattr(keras_resnet, name).__name__ == name
    assert set(keras_resnet.__all__) <= set(dir(keras_resnet))
