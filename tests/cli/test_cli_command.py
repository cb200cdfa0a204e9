"""Catches a start that is slow, a library that talks unasked, or an error that is reported as another."""

import os

import pytest
from conftest import keras_resnet_command

import keras_resnet
from keras_resnet import environment
from keras_resnet.cli import command as command_line


def test_flags_can_come_from_a_file(run, data_dir, tmp_path, in_process):
    (tmp_path / "flags").write_text(f"--model_path={run.workdir / 'model.keras'}\n--data_dir={data_dir}\n")
    done = in_process("evaluate", f"--flagfile={tmp_path / 'flags'}")
    assert done.returncode == 0, done.err
    assert done.out.startswith("top-1 ")


def test_help_and_list_need_no_tensorflow():
    for arguments in (["--help"], ["train", "--help"], ["list"]):
        done = keras_resnet_command(*arguments, before="import sys; sys.modules['tensorflow'] = sys.modules['keras'] = None")
        assert (done.returncode, done.err) == (0, "")
    assert "ResNet1202V2" in done.out


def test_list_shows_every_network_with_its_facts():
    done = keras_resnet_command("list")
    assert (done.returncode, done.err) == (0, "")
    lines = {line.split()[0]: line for line in done.out.splitlines()}
    assert set(lines) >= {*keras_resnet.list_models()}
    for part in ("269,722", "271,098", "40.6 M", "8.75 CIFAR-10 (He et al. 2015, Table 6)", "akamaster"):
        assert part in lines["ResNet20V1"]


def test_verbosity_brings_the_libraries_words_back(run, data_dir):
    done = keras_resnet_command(
        "evaluate", f"--model_path={run.workdir / 'model.keras'}", f"--data_dir={data_dir}", "--verbosity=info"
    )
    assert done.returncode == 0
    assert done.err


def test_an_interrupt_is_no_traceback(capsys):
    def interrupted(flags, arguments):
        """Stops."""
        raise KeyboardInterrupt

    command = command_line.Command(interrupted)
    assert command_line.main({"stop": command}, ["stop"]) == 130
    assert capsys.readouterr().err.strip() == "keras-resnet: interrupted"


def test_a_bug_of_ours_is_not_passed_off_as_the_users(capsys):
    def broken(flags, arguments):
        """Breaks."""
        raise ValueError("ours")

    command = command_line.Command(broken)
    with pytest.raises(ValueError, match="ours"):
        command_line.main({"break": command}, ["break"])


def test_the_environment_is_the_commands_affair_and_the_users_word_counts(monkeypatch):
    monkeypatch.setenv("TF_CPP_MIN_LOG_LEVEL", "2")
    environment.configure("info")
    assert os.environ["TF_CPP_MIN_LOG_LEVEL"] == "2"
