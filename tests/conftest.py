"""Two logical CPU devices stand in for two GPUs; one small trained and exported run serves many tests."""

import logging
import os
import subprocess
import sys
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


LONGEST = (
    "test_kill_and_resume.py",
    "test_backends.py",
    "test_weights.py",
    "test_training_benchmark.py",
)  # files, by how long they take


def pytest_collection_modifyitems(items):
    """The longest files begin first, so that two processes end at about the same time."""
    items.sort(key=lambda item: LONGEST.index(item.path.name) if item.path.name in LONGEST else len(LONGEST))


def pytest_runtest_setup():
    """Networks are the same in every run, and in whichever process and order the tests come."""
    keras.utils.set_random_seed(0)


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
def run(tmp_path_factory, data_dir):
    """The work directory of a short training on the digits, and what the command printed."""
    workdir = tmp_path_factory.mktemp("runs") / "digits"
    done = keras_resnet_command(
        "train", "--model=ResNet20V2", "--dataset=digits", f"--data_dir={data_dir}", f"--workdir={workdir}", "--epochs=8"
    )
    assert done.returncode == 0, done.err
    done.workdir = workdir
    return done


@pytest.fixture(scope="session")
def exported(run, data_dir):
    """The export of `run`: its folder, and what the command printed."""
    folder = run.workdir / "export"
    done = keras_resnet_command(
        "export", f"--model_path={run.workdir / 'model.keras'}", f"--data_dir={data_dir}", f"--output_dir={folder}"
    )
    assert done.returncode == 0, done.err
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
    """(weight, gradient) for each trainable weight, of the cross-entropy in training; by default every label is 0."""
    labels = np.zeros(len(images), int) if labels is None else labels

    @tf.function(autograph=False)
    def step(x, y):
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(y, model(x, training=True)))
        return tape.gradient(loss, [weight.value for weight in model.trainable_weights])

    found = step(tf.constant(images, tf.float32), tf.constant(labels))
    return [(weight, gradient.numpy()) for weight, gradient in zip(model.trainable_weights, found, strict=True)]


def count(weights):
    return sum(int(np.prod(weight.shape)) for weight in weights)


ROOT = Path(__file__).parent.parent
