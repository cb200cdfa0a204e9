"""Catches a front page whose examples do not run or whose commands do not exist."""

import copy
import re
import shlex

import pytest
from conftest import ROOT

from keras_resnet import cli

README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```(\w*)\n(.*?)```", README, flags=re.DOTALL)
PYTHON = [code for language, code in BLOCKS if language == "python"]
COMMANDS = [line for _, code in BLOCKS for line in code.splitlines() if line.startswith("keras-resnet ")]


def test_the_front_page_has_examples_of_both_kinds():
    assert len(PYTHON) >= 2
    assert {line.split()[1] for line in COMMANDS} == set(cli.COMMANDS) - {"list"}


@pytest.mark.parametrize("code", PYTHON, ids=[f"block{i}" for i in range(len(PYTHON))])
def test_python_examples_run_as_they_stand(code, exported, tmp_path, monkeypatch):
    (tmp_path / "runs" / "mine").mkdir(parents=True)
    (tmp_path / "runs" / "mine" / "export").symlink_to(exported.folder)
    monkeypatch.chdir(tmp_path)
    exec(compile(code, "README.md", "exec"), {})


@pytest.mark.parametrize("line", COMMANDS)
def test_commands_have_the_flags_that_are_shown(line):
    """The commands themselves run in the tests of the command."""
    _, name, *arguments = shlex.split(line)
    copy.deepcopy(cli.COMMANDS[name]).parse(name, arguments)
