"""Catches an import against the direction of the house, and a start that loads what nobody asked for."""

import ast
import itertools
import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import ROOT

# Each entry, a module or a room, may import those before it; those in one tuple do not import each other.
LAYERS = {
    "keras_resnet": (
        ("errors", "recursion", "html", "metrics", "positioned_file"), "remote_path", "remote",
        "remote_copies", "foreign_files", ("records", "archives", "hdf5"),
        ("_keras_internals", "_tensorflow_internals", "_litert_internals", "_onnxruntime_internals", "_quantizer_internals",
         "_tf2onnx_internals", "_numpy_internals", "files", "environment", "batch_normalization", "images", "class_names",
         "keras_files", "rows", "group_normalization", "grouped_convolution"),
        ("preprocessing", "child_process", "graph", "standardized_convolution"), "models", ("metadata", "other_formats"),
        "recorded", ("hub", "saving"), "weights", "constructors",
        "classifier", "published", "info", "pretrained", "analysis", "benchmarks", ("training", "export"), "cli",
    ),
    "keras_resnet/models": (
        ("naming", "options", "orders"), "variants", "layers",
        ("shortcuts", "normalizations", "antialiasing", "attention"), ("stems", "residual_units"), "unit_specs",
        "builder", "backbone",
    ),
    "keras_resnet/hub": (
        ("names", "licenses", "cards", "network_config"), ("client", "timm_config", "transformers_config"), "repository",
    ),
    "keras_resnet/weights": (
        ("structure", "stored_tensors", "checkpoint_format", "architectures", "published"), ("torch_formats", "keras_formats"),
        ("checkpoint_formats", "hdf5_layers", "state_dicts", "numpy_archives", "tensorflow_checkpoints"), "keras_hub_presets",
        "readers", "inner_network", ("matching", "applications", "pretrained", "claims"), "availability", "channels",
        "file_records", "loading",
    ),
    "keras_resnet/analysis": (
        ("figures", "results", "network", "autodiff"), ("batch", "forward", "logits"),
        ("gradients", "contributions", "lesions", "receptive_fields", "heat_maps"),
    ),
    "training": (
        "recipes", "config", "workdir", ("data", "optim", "distribute", "signals", "checkpoints"), "network", "step",
        "loop",
        "context", "reporting", "callbacks", "finalize", "train", ("benchmarks", "reproduce"),
    ),
    "export": (
        ("formats", "sensitivity", "fold"), "targets", "runtime", "isolation", "verification", "clients", "config",
        "source_model", "outputs", "writer", "selftest", "reporting", "output_dir", "pipeline",
        "benchmarks",
    ),
}  # fmt: skip
ROOMS_OF_TESTS = {  # which of the rooms above the core the tests in a folder may import
    "models": set(), "weights": set(), "analysis": set(), "training": {"training"}, "export": {"training", "export"},
}  # fmt: skip


def modules(*folders):
    for folder in folders:
        yield from sorted(path for path in (ROOT / folder).rglob("*.py") if not linked(path))


def linked(path):
    """Whether a path goes through one of the links to `training` and `export`."""
    return path.relative_to(ROOT).parts[:2] in (("keras_resnet", "training"), ("keras_resnet", "export"))


def dotted(path):
    """The parts of the name under which a file is imported: keras_resnet, training, data, splits."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    return parts if parts[0] == "keras_resnet" else ("keras_resnet", *parts)


def imports(path):
    """The dotted names, as parts, that a file imports from this package, inside functions too."""
    own = dotted(path)[:-1]
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names = [alias.name.split(".") for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = list(own[: len(own) - node.level + 1]) if node.level else []
            base += node.module.split(".") if node.module else []
            names = [[*base, alias.name] for alias in node.names]
        else:
            continue
        yield from (tuple(name) for name in names if name[0] == "keras_resnet" and len(name) > 1)


def levels(room):
    return {name: level for level, names in enumerate(LAYERS[room]) for name in ([names] if isinstance(names, str) else names)}


@pytest.mark.parametrize("room", list(LAYERS))
def test_every_module_has_its_place_in_the_order(room):
    there = {path.stem for path in (ROOT / room).iterdir() if path.suffix == ".py" or (path.is_dir() and path.name[0] != "_")}
    assert there - {"__init__"} == set(levels(room))


@pytest.mark.parametrize("room", list(LAYERS))
def test_imports_run_one_way(room):
    prefix, order = dotted(ROOT / room), levels(room)
    wrong = []
    for path in modules(*(["keras_resnet", "training", "export"] if room == "keras_resnet" else [room])):
        entry = dotted(path)[len(prefix)]
        if entry == "__init__":
            continue
        for name in imports(path):
            other = name[len(prefix)] if name[: len(prefix)] == prefix and len(name) > len(prefix) else entry
            if other in order and other != entry and not order[other] < order[entry]:
                wrong.append(f"{path.relative_to(ROOT)} imports {'.'.join(name)}")
    assert not wrong


@pytest.mark.parametrize("path", [*modules("keras_resnet", "training", "export")], ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_are_relative_inside_a_room_and_absolute_to_the_core(path):
    """So that every tool can follow them: the folder is `training`, the name `keras_resnet.training`."""
    room = dotted(path)[:2] if len(dotted(path)) > 2 else ()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.level:
            assert len(dotted(path)) - node.level >= 2, f"line {node.lineno} leaves its room by a relative import"
        elif isinstance(node, ast.ImportFrom) and node.module and room:
            assert tuple(node.module.split(".")[:2]) != room, f"line {node.lineno} names its own room"


def test_modules_do_not_import_each_other_in_a_circle():
    """Whatever the order above says: two modules of one room neither."""
    files = {dotted(path): path for path in modules("keras_resnet", "training", "export") if path.stem != "__init__"}
    graph = {
        name: {other for found in imports(path) for other in (found, found[:-1]) if other in files and other != name}
        for name, path in files.items()
    }
    done, waiting = set(), dict(graph)
    while ready := [name for name, needed in waiting.items() if needed <= done]:
        done.update(ready)
        waiting = {name: needed for name, needed in waiting.items() if name not in done}
    assert not waiting, sorted(".".join(name) for name in waiting)


@pytest.mark.parametrize("room", ["training", "export"])
def test_a_room_can_be_taken_in_at_a_glance(room):
    assert len([path for path in (ROOT / room).iterdir() if path.name not in ("__init__.py", "__pycache__")]) <= 18


def test_no_test_reaches_a_room_from_above():
    rooms = set(itertools.chain.from_iterable(ROOMS_OF_TESTS.values())) | {"cli"}
    wrong = [
        f"{path.relative_to(ROOT)} imports {other}"
        for folder, allowed in ROOMS_OF_TESTS.items()
        for path in sorted((ROOT / "tests" / folder).rglob("*.py"))
        for _, other, *_ in imports(path)
        if other in rooms - allowed
    ]
    assert not wrong


@pytest.mark.parametrize("module", ["keras_resnet.training.recipes", "keras_resnet.export.targets"])
@pytest.mark.parametrize("folder", [ROOT, Path(ROOT.anchor)], ids=["in the checkout", "elsewhere"])
def test_the_installation_is_found_wherever_one_stands(module, folder):
    assert subprocess.run([sys.executable, "-c", f"import {module}"], cwd=folder, check=False).returncode == 0


def test_a_bare_checkout_imports_like_an_installation():
    """-I -S: neither site-packages nor PYTHONPATH; what the libraries beneath would be is not asked for."""
    program = f"import sys; sys.path.insert(0, {str(ROOT)!r}); import keras_resnet.training.recipes as r; print(r.__file__)"
    done = subprocess.run([sys.executable, "-I", "-S", "-c", program], cwd="/", capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert Path(done.stdout.strip()).samefile(ROOT / "training" / "recipes.py")


def test_the_processes_of_a_bare_checkout_have_its_code(tmp_path):
    """Catches workers of an export or a launch that run another checkout's code, or find none."""
    ignored = shutil.ignore_patterns(".*", "runs", "build", "tests", "docs", "__pycache__")
    checkout = shutil.copytree(ROOT, tmp_path / "checkout", ignore=ignored, symlinks=True)
    program = (
        "import json; from keras_resnet.environment import python_module; print(json.dumps(python_module('keras_resnet.cli')))"
    )
    found = subprocess.run([sys.executable, "-c", program], cwd=checkout, capture_output=True, text=True, check=True)
    *options, program = json.loads(found.stdout)
    where = program.partition("runpy.run_module")[0] + "import keras_resnet; print(keras_resnet.__file__)"
    done = subprocess.run([*options, where], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert Path(done.stdout.strip()) == checkout / "keras_resnet" / "__init__.py"
    done = subprocess.run([*options, program, "--help"], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout.startswith("keras-resnet COMMAND")


def test_importing_the_package_loads_neither_keras_nor_tensorflow():
    program = (
        "import sys, keras_resnet; keras_resnet.list_models(); sys.exit('keras' in sys.modules or 'tensorflow' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-P", "-c", program], check=False).returncode == 0


def test_every_public_name_resolves():
    import keras_resnet

    for name in keras_resnet.__all__:
        assert getattr(keras_resnet, name).__name__.rpartition(".")[2] == name
    assert set(keras_resnet.__all__) <= set(dir(keras_resnet))
