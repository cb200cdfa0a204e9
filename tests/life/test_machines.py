"""Catches what only other machines have: settings of the libraries beneath, no temporary folder, and Windows."""

import json
import os
import signal
import subprocess
import sys

import keras
import pytest

from keras_resnet import UserError, environment
from keras_resnet.training.distribute import launcher


@pytest.mark.parametrize(
    ("status", "text"),
    [
        (-signal.SIGABRT, "was killed by SIGABRT"),
        (-40, "was killed by signal 40"),
        (3, "ended with exit status 3"),
        (0xC0000005, "ended with exit status 0xc0000005"),  # Windows' access violation
    ],
)
def test_how_a_process_ended(status, text):
    assert environment.describe_exit(status) == text


@pytest.mark.parametrize(
    ("function", "value", "message"),
    [
        ("floatx", "float16", "Keras' floatx is 'float16'; the command runs with float32 only: change it in keras.json"),
        ("image_data_format", "channels_first", "Keras' image_data_format is 'channels_first'"),
    ],
)
def test_a_setting_that_the_command_cannot_work_with_is_named(function, value, message, monkeypatch):
    """Catches a training in float16 that nobody asked for."""
    monkeypatch.setattr(keras.config, function, lambda: value)
    with pytest.raises(UserError, match=message):
        environment.configure("info")


def test_an_odd_keras_json_is_one_line(monkeypatch):
    """Keras raises while it is imported."""

    def refuse(name):
        raise ValueError("Invalid `floatx` configuration\nReceived: int8")

    monkeypatch.setattr(environment.importlib, "import_module", refuse)
    with pytest.raises(UserError, match=r"^Keras cannot be imported: Invalid `floatx` configuration\. Its settings are in"):
        environment.configure("info")


def test_a_backend_of_the_environment_says_where_it_is_from(monkeypatch):
    monkeypatch.setenv("KERAS_BACKEND", "jax")
    with pytest.raises(UserError, match="KERAS_BACKEND is 'jax'; the command runs with tensorflow only: change it in the env"):
        environment.configure("info")


def test_no_place_for_temporary_files_is_no_reason_to_fail(monkeypatch, capfd):
    """TMPDIR may be missing, full or read-only; what is held back is then lost."""

    def refuse():
        raise FileNotFoundError("No usable temporary directory")

    monkeypatch.setattr(environment.tempfile, "TemporaryFile", refuse)
    with environment.quiet_stderr():
        os.write(2, b"noise")
    os.write(2, b"back")
    assert capfd.readouterr().err == "back"


def test_workers_end_where_there_are_no_process_groups(monkeypatch, tmp_path):
    """Windows has neither os.killpg nor SIGKILL."""
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "-1")
    monkeypatch.delattr(os, "killpg")
    program = (
        "import subprocess, sys\n"
        "child = subprocess.Popen([sys.executable, '-S', '-c', 'import time; time.sleep(60)'])\n"
        f"open({str(tmp_path / 'pid')!r}, 'w').write(str(child.pid)); import time; time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-S", "-c", program]) as process:
        while not (tmp_path / "pid").exists() or not (tmp_path / "pid").read_text():
            pass
        launcher.kill_tree(process.pid)
        assert process.wait() == -signal.SIGKILL
    assert launcher.launch([sys.executable, "-S", "-c", ""], 2) == 0


def test_the_same_error_of_all_workers_is_printed_once(monkeypatch, capfd):
    """Four workers told of an unknown data set in four lines, and a fifth told of their exit status."""
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "-1")
    program = "import sys, time; print('keras-resnet: unknown dataset', file=sys.stderr); time.sleep(0.3); sys.exit(2)"
    assert launcher.launch([sys.executable, "-S", "-c", program], 3, max_restarts=2) == 2
    printed = capfd.readouterr().err
    assert printed[:1] == "["
    assert printed[2:] == "] keras-resnet: unknown dataset\n"


def test_more_workers_than_any_machine_has_are_refused():
    with pytest.raises(UserError, match="workers is 100000; it must be at most 1024"):
        launcher.launch([sys.executable], 100_000)


def test_modules_that_windows_lacks_are_imported_only_where_they_are():
    """A fresh process imports everything that the commands import at first, without them and without POSIX' functions."""
    program = """
import os, sys, signal, json
import subprocess, tempfile, multiprocessing, psutil, rich.console, absl.flags, numpy, PIL.Image
for name in ("fcntl", "resource", "termios", "pwd", "grp"):
    sys.modules[name] = None
for name in ("killpg", "fork", "setsid", "getuid", "sched_getaffinity", "mkfifo"):
    delattr(os, name)
del signal.SIGKILL
import keras_resnet.cli, keras_resnet.training.distribute.launcher, keras_resnet.export.isolation.worker
from keras_resnet.benchmarks import session, worker
print(json.dumps(sorted(keras_resnet.cli.COMMANDS)))
"""
    done = subprocess.run([sys.executable, "-P", "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "predict" in json.loads(done.stdout)
