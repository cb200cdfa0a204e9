"""Catches workers that hang, are forgotten or mistaken for one another; programs without TensorFlow stand in for trainings."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from keras_resnet import UserError
from keras_resnet.training.distribute import launcher
from keras_resnet.training.distribute.launcher import launch

WORKER = "import json, os, signal, sys, time; index = json.loads(os.environ['TF_CONFIG'])['task']['index']\n"
DEAF = "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"


@pytest.fixture(autouse=True)
def cpu_only(monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "-1")


def python(program):
    return [sys.executable, "-c", WORKER + program]


def wait_for(condition, seconds=20):
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.02)
    return value


def is_running(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except FileNotFoundError:
        return False


def numbers(folder):
    return [int(path.read_text()) for path in folder.glob("*.pid")]


def test_each_line_tells_its_worker_and_stays_whole(capfd):
    line = "x" * 300
    program = f"for _ in range(2000): print('{line}' + str(index)); print('{line}' + str(index), file=sys.stderr)"
    assert launch(python(program), 3) == 0
    for text in capfd.readouterr():
        lines = text.splitlines()
        assert len(lines) == 6000
        for index in range(3):
            assert lines.count(f"[{index}] {line}{index}") == 2000


def test_a_last_line_without_an_end_and_bytes_that_are_no_text_are_printed(capfdbinary):
    assert launch(python(r"sys.stdout.buffer.write(b'\xff half')"), 1) == 0
    assert capfdbinary.readouterr().out == b"[0] \xff half\n"


def test_output_comes_as_it_is_printed_not_at_the_end(monkeypatch):
    monkeypatch.delenv("PYTHONUNBUFFERED", raising=False)
    command = python("print('early'); time.sleep(5); os._exit(0)")  # which loses what is still in a buffer
    program = f"from keras_resnet.training.distribute.launcher import launch; launch({command!r}, 1)"
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE) as process:
        assert process.stdout.readline() == b"[0] early\n"
        process.kill()


def test_the_workers_share_a_cluster_with_one_place_for_each(capfd):
    assert launch(python("print(os.environ['TF_CONFIG'])"), 3) == 0
    printed = [re.fullmatch(r"\[(\d)\] (.*)", line).groups() for line in capfd.readouterr().out.splitlines()]
    configs = {int(index): json.loads(text) for index, text in printed}
    assert sorted(configs) == [0, 1, 2]
    assert [configs[index]["task"] for index in range(3)] == [{"type": "worker", "index": index} for index in range(3)]
    assert configs[0]["cluster"] == configs[1]["cluster"] == configs[2]["cluster"]
    addresses = configs[0]["cluster"]["worker"]
    assert len(set(addresses)) == 3
    assert all(re.fullmatch(r"localhost:\d+", address) for address in addresses)


def test_a_port_is_not_given_twice_before_the_worker_has_taken_it():
    with launcher.reserved_ports(50) as some, launcher.reserved_ports(50) as others:
        assert len({*some, *others}) == 100


@pytest.mark.parametrize("heed", ["", DEAF])
def test_one_failure_ends_the_others_even_those_that_do_not_listen(heed, tmp_path, monkeypatch, capfd):
    monkeypatch.setattr(launcher, "GRACE_SECONDS", 0.5)
    program = (
        f"{heed}open(f'{tmp_path}/{{index}}.pid', 'w').write(str(os.getpid()))\n"
        f"while len(os.listdir('{tmp_path}')) < 3: time.sleep(0.02)\n"
        "sys.exit(3) if index == 1 else time.sleep(60)"
    )
    start = time.monotonic()
    assert launch(python(program), 3) == 3
    assert time.monotonic() - start < 30
    assert capfd.readouterr().err == "keras-resnet: worker 1 ended with exit status 3\n"
    assert not any(map(is_running, numbers(tmp_path)))


def test_the_others_have_time_to_save(tmp_path):
    program = (
        f"def save(*_): time.sleep(0.3); open('{tmp_path}/saved', 'w').close(); sys.exit()\n"
        f"signal.signal(signal.SIGTERM, save); open(f'{tmp_path}/{{index}}', 'w').close()\n"
        f"while len(os.listdir('{tmp_path}')) < 2: time.sleep(0.02)\n"
        "sys.exit(1) if index else time.sleep(60)"
    )
    assert launch(python(program), 2) == 1
    assert (tmp_path / "saved").exists()


def test_what_a_worker_started_ends_with_it(tmp_path):
    program = (
        "import subprocess; child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'])\n"
        f"open('{tmp_path}/child.pid', 'w').write(str(child.pid))"
    )
    start = time.monotonic()
    assert launch(python(program), 1) == 0
    assert time.monotonic() - start < 30
    wait_for(lambda: not any(map(is_running, numbers(tmp_path))))


def counting(folder, end):
    """A worker that leaves a file named by its attempt and index, then does `end`, which may look at `attempt`."""
    return python(
        f"attempt = 1 + len([name for name in os.listdir('{folder}') if name.endswith(f'-{{index}}')])\n"
        f"open(f'{folder}/{{attempt}}-{{index}}', 'w').close()\n{end}"
    )


def test_a_failure_is_followed_by_as_many_restarts_as_allowed(tmp_path, capfd):
    assert launch(counting(tmp_path, "os.kill(os.getpid(), signal.SIGKILL)"), 1, max_restarts=2) == 128 + signal.SIGKILL
    assert capfd.readouterr().err.splitlines() == [
        "keras-resnet: worker 0 was killed by SIGKILL: restart 1 of 2",
        "keras-resnet: worker 0 was killed by SIGKILL: restart 2 of 2",
        "keras-resnet: worker 0 was killed by SIGKILL",
    ]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["1-0", "2-0", "3-0"]


def test_a_restart_that_succeeds_is_a_success_of_all(tmp_path, capfd):
    assert launch(counting(tmp_path, "sys.exit(index == 1 and attempt == 1)"), 2, max_restarts=5) == 0
    assert capfd.readouterr().err == "keras-resnet: worker 1 ended with exit status 1: restart 1 of 5\n"
    assert {"2-0", "2-1"} <= {path.name for path in tmp_path.iterdir()} <= {"1-0", "1-1", "2-0", "2-1"}


def test_a_users_mistake_is_not_tried_again(tmp_path, capfd):
    assert launch(counting(tmp_path, "sys.exit(2)"), 1, max_restarts=3) == 2
    assert [path.name for path in tmp_path.iterdir()] == ["1-0"]
    assert "restart" not in capfd.readouterr().err


@pytest.mark.parametrize(("workers", "restarts", "message"), [(0, 0, "workers is 0"), (1, -1, "max_restarts is -1")])
def test_a_number_that_makes_no_sense_is_refused(workers, restarts, message):
    with pytest.raises(UserError, match=message):
        launch(python(""), workers, restarts)


def started(folder, setup):
    """The launcher of two workers in a process of its own, once both have done `setup` and left their process numbers."""
    ready = (
        f"name = f'{folder}/{{index}}'\n"
        "with open(name, 'w') as file: file.write(str(os.getpid()))\n"
        "os.rename(name, name + '.pid')\n"
    )
    call = f"launch({python(f'{setup}{ready}time.sleep(60)')!r}, 2, max_restarts=3)"
    imports = "import sys; from keras_resnet.training.distribute import launcher; launcher.GRACE_SECONDS = 0"
    program = f"{imports}; sys.exit(launcher.{call})"
    process = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    wait_for(lambda: len(numbers(folder)) == 2)
    return process


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_is_handed_on_and_ends_it_without_a_restart(number, tmp_path):
    save = f"def save(number, frame): print('saved after', number); sys.exit()\nsignal.signal({int(number)}, save)\n"
    process = started(tmp_path, save)
    process.send_signal(number)
    out, err = process.communicate(timeout=30)
    assert sorted(out.splitlines()) == [f"[{index}] saved after {int(number)}" for index in range(2)]
    assert (process.returncode, err) == (128 + number, "")


def test_after_a_signal_a_worker_may_take_its_time_to_save_although_another_failed(tmp_path):
    save = "def save(*_): time.sleep(index); print('saved'); sys.exit(index == 0)\nsignal.signal(signal.SIGTERM, save)\n"
    process = started(tmp_path, save)
    process.terminate()
    out, _ = process.communicate(timeout=30)
    assert (process.returncode, sorted(out.splitlines())) == (143, ["[0] saved", "[1] saved"])


def test_a_second_signal_kills(tmp_path):
    process = started(tmp_path, DEAF)
    process.terminate()
    time.sleep(0.5)
    assert all(map(is_running, numbers(tmp_path)))
    process.terminate()
    process.communicate(timeout=30)
    assert process.returncode == 143
    assert not any(map(is_running, numbers(tmp_path)))


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere workers outlive a killed launcher")
def test_a_killed_launcher_leaves_no_orphans(tmp_path):
    process = started(tmp_path, DEAF)
    process.kill()
    process.communicate(timeout=30)
    wait_for(lambda: not any(map(is_running, numbers(tmp_path))))


def test_the_callers_own_signal_handlers_come_back():
    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    assert launch(python("sys.exit(1)"), 1) == 1
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == before


def test_gpus_are_divided_and_none_is_given_to_two_workers(monkeypatch, capfd):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4,5,6,7,8")
    assert launch(python("print(os.environ['CUDA_VISIBLE_DEVICES'])"), 2) == 0
    assert sorted(capfd.readouterr().out.splitlines()) == ["[0] 4,5", "[1] 6,7"]
    with pytest.raises(UserError, match="workers is 6, but there are 5 GPUs"):
        launch(python(""), 6)


def test_output_that_nobody_reads_ends_the_workers():
    """As `launch ... | head` does."""
    command = python("while True: print('more'); time.sleep(0.01)")
    program = f"import sys; from keras_resnet.training.distribute.launcher import launch; sys.exit(launch({command!r}, 1))"
    environment = {**os.environ, "CUDA_VISIBLE_DEVICES": "-1"}
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen([sys.executable, "-c", program], env=environment, **pipes) as process:
        assert process.stdout.readline() == b"[0] more\n"
        process.stdout.close()
        assert process.wait(timeout=30) != 0
