"""Two logical CPU devices stand in for two GPUs; one small trained and exported run serves many tests."""

import json
import logging
import os
import subprocess
import sys
import time
import types
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import pytest

from keras_resnet.environment import quiet_stderr

with quiet_stderr():
    import keras
    import tensorflow as tf

    from keras_resnet import _keras_internals

cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)


# Files, by how long they take. Of the first two, one makes `exported` while the other does not need it.
LONGEST = (
    "test_clients.py",
    "test_unit_stack.py",
    "test_stacked_runs.py",
    "test_kill_and_resume.py",
    "test_interrupted.py",
    "test_cli_mistakes.py",
    "test_cli_export.py",
    "test_pipeline.py",
    "test_training_benchmark.py",
    "test_train.py",
    "test_weights.py",
    "test_export_benchmark.py",
    "test_variants.py",
    "test_backends.py",
    "test_residual_units.py",
)


def pytest_addoption(parser):
    parser.addoption("--generated", type=int, default=74, help="how many inputs tests/life/test_generated.py makes up")
    parser.addoption("--networks", default="", help="a pattern of networks that tests/export/test_every_network.py tries")
    parser.addoption("--update_clients_table", action="store_true", help="write what tests/clients finds into docs/clients.md")
    parser.addoption("--generated_seed", type=int, default=0, help="of the first of them")


def pytest_collection_modifyitems(items):
    """The longest files begin first, so that two processes end at about the same time."""
    items.sort(key=lambda item: LONGEST.index(item.path.name) if item.path.name in LONGEST else len(LONGEST))


def pytest_terminal_summary(terminalreporter):
    """Names the clients that were not there: a run that tried none of them looks like one that tried all."""
    skipped = (report for report in terminalreporter.stats.get("skipped", ()) if "tests/clients/" in report.nodeid)
    for reason in dict.fromkeys(report.longrepr[2].removeprefix("Skipped: ") for report in skipped):
        terminalreporter.write_line(f"not tried: {reason}")


def pytest_runtest_setup():
    """Networks are the same in every run, and in whichever process and order the tests come."""
    keras.utils.set_random_seed(0)


# Its LLVM ends a process that has TensorFlow's in it: nobody can import it here.
sys.modules["triton"] = None


@pytest.fixture(autouse=True)
def _no_triton():
    """Names the test that would import Triton, also where it is not installed: `pip install torch` brings it, for GPUs."""
    before = "torch._dynamo" in sys.modules
    yield
    if not before and "torch._dynamo" in sys.modules:
        pytest.fail("torch.optim and torch.compile import Triton: they need a process without TensorFlow")


@pytest.fixture
def rng():
    return np.random.default_rng(0)


@pytest.fixture(scope="session")
def mirrored():
    """One strategy for the session: TensorFlow numbers the collectives of a second one over the same devices alike."""
    return tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])


@pytest.fixture(scope="session")
def data_dir(tmp_path_factory):
    """Where tensorflow-datasets prepares sets during the tests."""
    return tmp_path_factory.mktemp("data")


def only(outputs):
    """The array of an artifact that has one output."""
    (output,) = outputs.values()
    return output


def keras_resnet_command(*arguments, before=""):
    """Runs the installed command as a user does; `before` is Python that runs first in the same process."""
    program = f"{before}\nimport keras_resnet.cli\nkeras_resnet.cli.main()"
    command = [sys.executable, "-P", "-c", program, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return types.SimpleNamespace(returncode=done.returncode, out=done.stdout, err=done.stderr)


@pytest.fixture
def in_process(monkeypatch, capfd):
    """Runs a command in this process, which has TensorFlow loaded: for what does not depend on a fresh one."""
    from keras_resnet import cli, environment

    monkeypatch.setattr(environment, "configure", lambda verbosity, tensorflow=True: None)
    logger = logging.getLogger("tensorflow")  # which the command silences, and which warns of what earlier tests traced
    monkeypatch.setattr(logger, "disabled", True)

    def call(*arguments):
        capfd.readouterr()
        status = cli.command.main(cli.COMMANDS, [str(argument) for argument in arguments])
        return types.SimpleNamespace(returncode=status, **capfd.readouterr()._asdict())

    return call


def assert_refused(done, *parts):
    """One line on standard error, nothing on standard output, exit status 2."""
    assert done.returncode == 2, done.err
    assert done.out == ""
    assert len(done.err.splitlines()) == 1, done.err
    assert done.err.startswith("keras-resnet: ")
    for part in parts:
        assert part in done.err


# Python for `keras_resnet_command(before=...)`: no file may become longer than so many bytes.
FULL_DISK = """import resource, signal
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, ({0}, {0}))"""


@pytest.fixture(scope="session")
def shared_dir(tmp_path_factory):
    """A folder that all xdist processes of a session have in common."""
    base = tmp_path_factory.getbasetemp()
    return base.parent if "PYTEST_XDIST_WORKER" in os.environ else base


def command_once(folder, *arguments):
    """What a command printed that the first of all xdist processes to ask for it runs, while the others wait.

    `folder`, which nobody has made, shows that one of them is at it.
    """
    printed, deadline = folder / "printed.json", time.monotonic() + 900
    try:
        folder.mkdir()
    except FileExistsError:
        while not printed.exists():
            assert time.monotonic() < deadline, f"nobody has finished {arguments}"
            time.sleep(0.2)
    else:
        done = keras_resnet_command(*arguments)
        (folder / "partial").write_text(json.dumps(vars(done)))
        (folder / "partial").rename(printed)
    done = types.SimpleNamespace(**json.loads(printed.read_text()))
    assert done.returncode == 0, done.err
    return done


@pytest.fixture(scope="session")
def run(shared_dir, data_dir):
    """The work directory of a short training on the digits, and what the command printed."""
    workdir = shared_dir / "run" / "digits"
    flags = ("--model=ResNet20V2", "--dataset=digits", f"--data_dir={data_dir}", f"--workdir={workdir}", "--epochs=8")
    done = command_once(shared_dir / "run", "train", *flags)
    done.workdir = workdir
    return done


@pytest.fixture(scope="session")
def exported(run, shared_dir, data_dir):
    """The export of `run`: its folder, and what the command printed."""
    folder = run.workdir / "export"
    flags = (f"--model_path={run.workdir / 'model.keras'}", f"--data_dir={data_dir}", f"--output_dir={folder}")
    done = command_once(shared_dir / "exported", "export", *flags)
    done.folder = folder
    return done


def scramble(model, seed=0):
    """Gives every norm random statistics, gammas and betas: with fresh ones two different networks can agree."""
    generator = np.random.default_rng(seed)
    for weight in model.weights:
        kind = weight.path.split("/")[-1]
        if kind in ("gamma", "moving_variance"):
            weight.assign(generator.uniform(0.5, 1.5, weight.shape))
        elif kind in ("beta", "moving_mean", "bias"):
            weight.assign(generator.normal(0, 0.2, weight.shape))
    return model


def weights_of(network):
    """A `TrainableNetwork`'s weights by layer and index, as the whole network has them."""
    pairs = [(weight, zip(weight.layer_names, weight.values(), strict=True)) for weight in network.weights]
    return {(name, weight.index): value for weight, values in pairs for name, value in values}


KINDS = {
    "Conv2D": "conv", "BatchNormalization": "norm", "ReLU": "relu", "Add": "add", "Multiply": "multiply", "Rescaling": "scale",
    "Activation": "sigmoid", "Dropout": "dropout", "AveragePooling2D": "subsample", "ZeroPadding2D": "pad",
    "GlobalAveragePooling2D": "pool", "MaxPooling2D": "max",
}  # fmt: skip


def paths(model, start, end):
    """The kinds of the layers after `start` up to `end`, along each way through the graph, sorted.

    The padding before a strided convolution counts as part of it.
    """

    def walk(name):
        if name == start:
            return [[]]
        layer = model.get_layer(name)
        before = _keras_internals.input_names(layer)
        return [[*path, KINDS[type(layer).__name__]] for other in before if other != name for path in walk(other)]

    return sorted(" ".join(path).replace("pad conv", "conv") for path in walk(end))


def gradients(model, images, labels=None):
    """(weight, gradient) for each trainable weight, of the cross-entropy in training; by default every label is 0.

    Without a `tf.function`: one step of a deep network takes several times as long to trace as to run.
    """
    labels = np.zeros(len(images), int) if labels is None else labels
    with tf.GradientTape() as tape:
        logits = model(tf.constant(images, tf.float32), training=True)
        loss = tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits))
    found = tape.gradient(loss, [weight.value for weight in model.trainable_weights])
    return [(weight, gradient.numpy()) for weight, gradient in zip(model.trainable_weights, found, strict=True)]


def count(weights):
    return sum(int(np.prod(weight.shape)) for weight in weights)


ROOT = Path(__file__).parent.parent
