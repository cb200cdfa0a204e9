"""Catches a night's work that is lost: runs that are killed at any moment, and workers that are killed under the others."""

import os
import random
import signal
import subprocess
import sys
import time

import keras
import numpy as np
import psutil
import pytest
import tensorflow as tf
from conftest import keras_resnet_command
from forked import forked_command, start_command
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from keras_resnet.training.callbacks.loggers import read_metrics
from keras_resnet.training.distribute.launcher import reserved_ports, worker_environment

pytestmark = pytest.mark.slow

MAIN = [sys.executable, "-P", "-c", "from keras_resnet.cli import main; main()"]
SMALL = (
    "--model=ResNet20V2", "--width_multiplier=0.25", "--dataset=digits", "--batch_size=128", "--epochs=2", "--crop_padding=1",
    "--steps_per_execution=1", "--classifier_dropout=0.1", "--ema_momentum=0.9",
)  # fmt: skip
CALM = ("--classifier_dropout=0", "--learning_rate=0.003")


def start(*arguments):
    return subprocess.Popen([*MAIN, *map(str, arguments)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def weights_of(workdir):
    return keras.saving.load_model(workdir / "model.keras").get_weights()


def assert_same_bits(workdir, other):
    for one, two in zip(weights_of(workdir), weights_of(other), strict=True):
        np.testing.assert_array_equal(one, two)


def losses_by_step(workdir):
    events = EventAccumulator(str(workdir / "events" / "train"), size_guidance={"tensors": 0}).Reload()
    return [float(tf.make_ndarray(event.tensor_proto)) for event in events.Tensors("batch_loss")]


WAYS = (("--stack_units=on",), ("--stack_units=off",), ("--stack_units=on", "--rematerialize"))


def test_a_run_killed_at_ten_random_moments_ends_with_the_same_bits(tmp_path, data_dir):
    """However its units run from one moment to the next; without a disturbance, one by one."""
    dropping = ("--deterministic", "--stochastic_depth=0.3")
    command = ("train", *SMALL, f"--data_dir={data_dir}", *dropping, "--checkpoint_minutes=0.0001")
    forked_command("list")  # the process that all others are forked from takes its time to start
    began = time.monotonic()
    done = forked_command(*command, f"--workdir={tmp_path / 'undisturbed'}")
    seconds = time.monotonic() - began
    assert done.returncode == 0, done.err
    rng = random.Random(4)
    for attempt in range(10):
        process = start_command(*command, f"--workdir={tmp_path / 'killed'}", *WAYS[attempt % 3])
        process.join(rng.uniform(0, 0.9) * seconds)
        process.kill()
        process.join()
    done = forked_command(*command, f"--workdir={tmp_path / 'killed'}", "--stack_units=on")
    assert done.returncode == 0, done.err
    assert_same_bits(tmp_path / "killed", tmp_path / "undisturbed")
    timeless = [
        [{key: value for key, value in record.items() if key not in ("images_per_second", "test")} for record in records]
        for records in (read_metrics(tmp_path / "killed"), read_metrics(tmp_path / "undisturbed"))
    ]
    assert timeless[0] == timeless[1]


@pytest.fixture(scope="module")
def launched(tmp_path_factory, data_dir):
    """The work directory of two workers that nobody disturbed."""
    workdir = tmp_path_factory.mktemp("launched") / "run"
    done = keras_resnet_command(*launch(workdir, data_dir))
    assert done.returncode == 0, done.err + done.out
    assert {line.split()[0] for line in done.out.splitlines()} == {"[0]"}  # the chief alone speaks
    return workdir


def launch(workdir, data_dir):
    train = ("train", *SMALL, f"--data_dir={data_dir}", "--sync_batch_norm", f"--workdir={workdir}", *CALM, "--epochs=3")
    return ("launch", "--workers=2", "--max_restarts=1", "--", *train)


def test_two_workers_follow_one_device(launched, tmp_path, data_dir):
    """In the first twenty steps: rounding switches a ReLU near zero, and the difference grows from step to step."""
    train = ("train", *SMALL, f"--data_dir={data_dir}", f"--workdir={tmp_path / 'one'}", *CALM, "--epochs=3")
    done = forked_command(*train, "--strategy=one_device")
    assert done.returncode == 0, done.err
    ours, theirs = losses_by_step(launched), losses_by_step(tmp_path / "one")
    assert len(ours) == len(theirs) == 30
    np.testing.assert_allclose(ours[:20], theirs[:20], rtol=1e-4)


def test_a_launched_run_that_is_stopped_and_then_loses_a_worker_ends_as_if_nothing_had_happened(launched, tmp_path, data_dir):
    """SIGTERM in the second epoch saves on all workers; the same command continues, and one worker is killed in the third."""
    process = start(*launch(tmp_path / "disturbed", data_dir))
    wait_for_epochs(1, tmp_path / "disturbed", process)
    process.terminate()
    out, _ = process.communicate(timeout=120)
    assert process.returncode == 128 + signal.SIGTERM, out
    assert "everything is saved" in out
    process = start(*launch(tmp_path / "disturbed", data_dir))
    wait_for_epochs(2, tmp_path / "disturbed", process)
    workers = [child for child in psutil.Process(process.pid).children(recursive=True) if "train" in child.cmdline()]
    os.kill(workers[-1].pid, signal.SIGKILL)
    out, _ = process.communicate(timeout=180)
    assert process.returncode == 0, out
    assert "SIGKILL" in out
    assert "restart 1 of 1" in out
    for one, two in zip(weights_of(tmp_path / "disturbed"), weights_of(launched), strict=True):
        np.testing.assert_allclose(one, two, rtol=1e-4, atol=1e-6)


def wait_for_epochs(count, workdir, process):
    """Until so many epochs of a run are logged, or its process has ended."""
    deadline = time.monotonic() + 240
    while process.poll() is None and time.monotonic() < deadline:
        if workdir.is_dir() and len(read_metrics(workdir)) >= count:
            return
        time.sleep(0.05)


def test_who_loses_its_peer_says_so_in_one_line(tmp_path, data_dir):
    """Without `launch`: whatever started the workers is to see one line and an exit status that is worth another try."""
    with reserved_ports(2) as ports:
        command = [*MAIN, "train", *SMALL, "--epochs=500", f"--data_dir={data_dir}", f"--workdir={tmp_path / 'run'}"]
        one, other = (
            subprocess.Popen(
                command, env=worker_environment(ports, index, None), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
            )
            for index in range(2)
        )
        with one, other:
            assert one.stdout.readline().startswith("epoch")
            other.kill()
            assert one.stderr.read() == (
                "keras-resnet: another worker has ended; when restarted, all continue from the newest checkpoint\n"
            )
            assert one.wait() == 1
