"""Catches documentation whose examples do not run, whose commands do not exist, or whose tables have gone stale."""

import ast
import importlib.util
import inspect
import itertools
import json
import re
import shlex
import shutil
import textwrap
from pathlib import Path
from typing import NamedTuple

import pytest
from conftest import ROOT, keras_resnet_command
from forked import forked_command
from PIL import Image

import keras_resnet
from keras_resnet import cli
from keras_resnet.training import recipes
from keras_resnet.weights.checkpoint_formats import PREPROCESSING_PRESETS

PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").glob("*.md"))]
TEXT = {path: path.read_text(encoding="utf-8") for path in PAGES}
NOTEBOOK = ROOT / "docs" / "quickstart.ipynb"
FENCE = re.compile(
    r"^(?: *<!-- not run: (?P<reason>[^\n]+) -->\n)?^(?P<indent> *)```(?P<language>\w*)\n(?P<code>.*?)^(?P=indent)```$",
    flags=re.MULTILINE | re.DOTALL,
)
COMMAND = re.compile(r"\bkeras-resnet ((?:\\\n|.)+)")  # to the end of the line, or of those that it continues on
POD_COMMAND = re.compile(r"command: \[keras-resnet, ([^\]]+)\]")
OUTPUT_OF = re.compile(r"<!-- output of: keras-resnet (.+) -->")  # what `docs/hooks.py` runs

# Lines of blocks that are not marked and that other tests or `.ci/run` run, and which.
RUN_ELSEWHERE = {
    r"make run$": "its two commands are the fixtures `run`, with fewer epochs, and `exported`",
    r"make (test|lint|docs|clients)$": ".ci/run",
    r"make device-check$": "tests/training/test_device_check.py",
    r"make test-newest$": ".ci/run with NEWEST=1",
    r"pip install": "`make` installs the checkout, .ci/run its extras, and tests/test_packaging.py a wheel",
    r"\.venv/bin/python -m pytest": "a part of `make test`",
    r"python runs/mine/export/verify\.py$": "tests/export/test_selftest.py",
    r"keras-resnet export --model_path=runs/mine/model\.keras --output_dir=runs/mine/export$": "the fixture `exported`",
}


class Block(NamedTuple):
    """A fenced block; `reason`: why it is not run, or None."""

    page: Path
    language: str
    code: str
    reason: str | None


BLOCKS = [
    Block(page, match["language"], textwrap.dedent(match["code"]), match["reason"])
    for page, text in TEXT.items()
    for match in FENCE.finditer(text)
]


def named(blocks):
    """The blocks as parameters that are called after their page."""
    return [pytest.param(block, id=f"{block.page.name}-{number}") for number, block in enumerate(blocks)]


def commands_in(block):
    """The arguments of each `keras-resnet` in a block, on the shell or in a pod."""
    if block.language == "python":
        return []
    found = [match.replace("\\\n", " ") for match in COMMAND.findall(block.code)]
    pods = [" ".join(part.strip() for part in match.split(",")) for match in POD_COMMAND.findall(block.code)]
    return [shlex.split(text, comments=True) for text in found + pods]


COMMANDS = [pytest.param(words, id=" ".join(words)[:80]) for block in BLOCKS for words in commands_in(block)]


def check_flags(words):
    """Refuses what the command would refuse before it runs, `launch`'s command included."""
    name, *arguments = words
    if "--help" in arguments:
        assert "mistake" not in cli.COMMANDS[name].help(name, [flag for flag in arguments if flag != "--help"])
        return
    _, others = cli.COMMANDS[name].parse(name, arguments)
    if name == "launch":
        check_flags(others)


def test_every_block_is_run_or_parsed_or_says_why_not():
    fences = sum(line.lstrip().startswith("```") for text in TEXT.values() for line in text.splitlines())
    assert len(BLOCKS) == fences / 2 > 30
    wrong = [block for block in BLOCKS if block.language not in ("python", "sh", "text") and not block.reason]
    assert not wrong


@pytest.mark.parametrize("block", named(block for block in BLOCKS if block.language == "python" and not block.reason))
def test_python_examples_run_as_they_stand(block, exported, tmp_path, monkeypatch):
    (tmp_path / "runs" / "mine").mkdir(parents=True)
    (tmp_path / "runs" / "mine" / "export").symlink_to(exported.folder)
    monkeypatch.chdir(tmp_path)
    exec(compile(block.code, block.page.name, "exec"), {})


@pytest.mark.parametrize("block", named(block for block in BLOCKS if block.language == "python" and block.reason))
def test_python_examples_that_need_what_we_lack_use_names_that_exist(block):
    for node in ast.walk(ast.parse(block.code)):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "keras_resnet":
            assert hasattr(keras_resnet, node.attr)


@pytest.mark.parametrize("words", COMMANDS)
def test_commands_have_the_flags_that_are_shown(words):
    """Also where the block says that it is not run."""
    check_flags(words)


def shell_lines():
    """The lines of the blocks that are not marked, each of them once, without comments."""
    blocks = [block for block in BLOCKS if block.language == "sh" and not block.reason]
    lines = [line.partition("#")[0].strip() for block in blocks for line in block.code.replace("\\\n", " ").splitlines()]
    return [line for line in dict.fromkeys(lines) if line]


def epochs_for(arguments):
    """One epoch, or as many as the run that a command continues has had."""
    (workdir,) = (Path(word.partition("=")[2]) for word in arguments if word.startswith("--workdir="))
    config = workdir / "config.json"
    return json.loads(config.read_text(encoding="utf-8"))["recipe"]["epochs"] if config.exists() else 1


@pytest.mark.slow
def test_commands_run_as_they_stand(exported, tmp_path, monkeypatch, in_process):
    """In order, in one folder with two trained runs, one of them exported. `train` gets fewer epochs."""
    for name in ("digits", "mine"):
        shutil.copytree(exported.folder.parent, tmp_path / "runs" / name)
    Image.new("L", (8, 8)).save(tmp_path / "image.png")
    monkeypatch.chdir(tmp_path)
    shown = [f"keras-resnet {arguments}" for text in TEXT.values() for arguments in OUTPUT_OF.findall(text)]
    lines = [
        line for line in dict.fromkeys([*shell_lines(), *shown]) if not any(re.match(known, line) for known in RUN_ELSEWHERE)
    ]
    assert len(lines) > 15
    for line in lines:
        program, name, *arguments = shlex.split(line)
        assert program == "keras-resnet", line
        if name in ("train", "launch") and "--help" not in arguments and "--epochs=" not in line:
            arguments.append(f"--epochs={epochs_for(arguments)}")
        done = (keras_resnet_command if name == "launch" else in_process)(name, *arguments)
        assert done.returncode == 0, (line, done.err)
        assert done.out, line


def test_no_command_that_runs_elsewhere_is_gone():
    for known in RUN_ELSEWHERE:
        assert any(re.match(known, line) for line in shell_lines()), known


def test_shell_lines_are_ours_or_say_why_they_are_not_run():
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for line in shell_lines():
        words = shlex.split(line)
        if words[0] == "keras-resnet":
            continue
        assert any(re.match(known, line) for known in RUN_ELSEWHERE), line
        if words[0] == "make":
            assert re.search(rf"^{words[1]}:", makefile, flags=re.MULTILINE), line
        elif words[0] == "pip":
            assert set(re.findall(r"\w+", words[-1])) <= set(extras()), line
        else:
            assert all((ROOT / word).exists() for word in words[3:] if word.startswith("tests")), line


def extras():
    tree = ast.parse((ROOT / "setup.py").read_text(encoding="utf-8"))
    (found,) = (node.value for node in ast.walk(tree) if isinstance(node, ast.keyword) and node.arg == "extras_require")
    return list(ast.literal_eval(found))


def test_the_pages_show_every_command():
    shown = {parameters.values[0][0] for parameters in COMMANDS}
    assert shown == set(cli.COMMANDS)
    outputs = [shlex.split(match) for text in TEXT.values() for match in OUTPUT_OF.findall(text)]
    assert {words[0] for words in outputs if "--help" in words} == set(cli.COMMANDS)
    for words in outputs:
        check_flags(words)


def rows(page, heading):
    """What stands in backticks in the first column of the table under such a header."""
    text = TEXT[ROOT / "docs" / page]
    (table,) = re.findall(rf"^\| {re.escape(heading)} \|.*\n\|[-|]+\n((?:\|.*\n)+)", text, flags=re.MULTILINE)
    return [name for line in table.splitlines() for name in re.findall(r"`([^`]+)`", line.split("|")[1])]


def expanded(pattern):
    """`ResNet{18,34}V1` and the like, as a shell expands them."""
    parts = [part.split(",") for part in re.split(r"[{}]", pattern)]
    return {"".join(choice) for choice in itertools.product(*parts)}


def test_the_readme_counts_the_networks():
    (number,) = re.findall(r"(\d+) named networks", TEXT[ROOT / "README.md"])
    assert int(number) == len(keras_resnet.list_models())


def test_the_api_page_lists_every_public_name():
    names, public = set(rows("api.md", "name in `keras_resnet`")), set(keras_resnet.__all__)
    assert public - set(keras_resnet.list_models()) <= names <= public


def rows_of_networks(models):
    """The rows of the table of the named networks."""
    table = models.partition("| family | networks |")[2].partition("\n\n")[0]
    return table.splitlines()


def test_tables_are_complete():
    models = TEXT[ROOT / "docs" / "models.md"]
    patterns = r"`((?:\w*ResNe|PlainNet|BiTR)[\w{},]+)`"
    names = [expanded(pattern) for row in rows_of_networks(models) for pattern in re.findall(patterns, row)]
    assert sorted(name for some in names for name in some) == sorted(keras_resnet.list_models())
    for parameter in inspect.signature(keras_resnet.ResNet20V2).parameters:
        assert f"`{parameter}`" in models
    assert set(rows("fine-tuning.md", "recipe")) == set(recipes.RECIPES)
    assert set(rows("weights.md", "preset")) == set(PREPROCESSING_PRESETS)
    assert {name.strip("[]") for name in rows("index.md", "extra")} == set(extras())


def test_every_constant_of_the_papers_units_and_shortcuts_can_be_built():
    text = TEXT[ROOT / "docs" / "papers.md"]
    for shortcut in re.findall(r'^\| [^|]+ \| `"?(?:shortcut=")?([^"`]+)"` \| \d', text, flags=re.MULTILINE):
        argument = "unit" if re.search(rf'"{re.escape(shortcut)}"` \| (?:conv|relu|norm) ', text) else "shortcut"
        keras_resnet.ResNet20V1(**{argument: shortcut})


@pytest.mark.parametrize("page", PAGES, ids=[page.name for page in PAGES])
def test_links_to_files_lead_somewhere(page):
    for target in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", TEXT[page]):
        if not target.startswith(("https://", "http://")):
            assert (page.parent / target).exists(), target


@pytest.mark.parametrize("page", [ROOT / "docs" / "architecture.md", ROOT / "CONTRIBUTING.md"], ids=lambda page: page.name)
def test_the_files_and_folders_that_are_named_are_there(page):
    missing = [path for path in re.findall(r"`([\w.]+/[\w./]*)`", TEXT[page]) if not (ROOT / path).exists()]
    assert not missing


def test_the_modules_that_renamed_ones_became_are_there():
    table = TEXT[ROOT / "CHANGELOG.md"].partition("Python names:")[2]
    names = re.findall(r"\| `(keras_resnet(?:\.[a-z_0-9]+)+)` \|$", table, flags=re.MULTILINE)
    assert len(names) > 10
    assert all(importlib.util.find_spec(name) for name in names)


@pytest.mark.slow
def test_the_notebook_runs_from_top_to_bottom(tmp_path, monkeypatch):
    """In Colab it is a person who runs it; here its parameters are small."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("matplotlib.pyplot.show", lambda: None)
    namespace = {}
    for cell in json.loads(NOTEBOOK.read_text(encoding="utf-8"))["cells"]:
        code, tags = "".join(cell["source"]), cell["metadata"].get("tags", ())
        if cell["cell_type"] != "code" or "install" in tags:
            continue
        if code.startswith("!keras-resnet "):
            done = forked_command(*shlex.split(code.replace("\\\n", " "))[1:])
            assert done.returncode == 0, done.err
        else:
            exec(compile(code, NOTEBOOK.name, "exec"), namespace)
        if "parameters" in tags:
            namespace["epochs"] = 6
    assert namespace["agreement"] > 0.9
