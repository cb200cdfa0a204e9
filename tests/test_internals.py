"""Catches an upgrade of Keras or TensorFlow that changes what we use of their private API, and a use of it elsewhere."""

import ast
import contextlib
import importlib
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from conftest import ROOT

import keras_resnet
from keras_resnet import _keras_internals, _numpy_internals, _tensorflow_internals

INTERNALS = sorted(Path(keras_resnet.__file__).parent.glob("_*_internals.py"))
FOLDERS = [ROOT / folder for folder in ("keras_resnet", "training", "export")]
VERSIONS = {"keras": keras.__version__, "tensorflow": tf.__version__, "numpy": np.__version__}


@contextlib.contextmanager
def using(library, what):
    """Says which private API has changed, and where to mend it."""
    try:
        yield
    except Exception as error:
        pytest.fail(
            f"{library} {VERSIONS[library]} has changed {what}: mend keras_resnet/_{library}_internals.py ({error!r})",
            pytrace=False,
        )


@pytest.fixture
def model():
    """Two convolutions, their sum, and a model inside the model."""
    inputs = keras.Input((4, 4, 3), name="images")
    x = keras.layers.Conv2D(2, 1, name="a")(inputs)
    y = keras.layers.Conv2D(2, 1, name="b")(inputs)
    inner = keras.Sequential([keras.Input((4, 4, 2)), keras.layers.Dropout(0.5, name="drop")], name="inner")
    return keras.Model(inputs, inner(keras.layers.Add(name="sum")([x, y])), name="outer")


# Keras


def test_forget_uninitialized_variables():
    def fail_in_the_middle():
        with keras.StatelessScope():
            layer = keras.layers.Dense(2)
            layer.build((None, 3))
            assert not isinstance(layer.kernel.value, tf.Variable)
            raise KeyError

    with using("keras", "how a StatelessScope keeps variables for later"):
        with pytest.raises(KeyError):
            fail_in_the_middle()
        _keras_internals.forget_uninitialized_variables()
        with keras.StatelessScope():
            layer = keras.layers.Dense(2)
            layer.build((None, 3))
        assert layer.kernel.numpy().shape == (3, 2)


def test_producer(model):
    with using("keras", "`KerasTensor._keras_history`"):
        assert _keras_internals.producer(model.get_layer("sum").output) is model.get_layer("sum")
        assert isinstance(_keras_internals.producer(model.input), keras.layers.InputLayer)


def test_producer_inputs(model):
    with using("keras", "`KerasTensor._keras_history` or `Operation._inbound_nodes`"):
        read = _keras_internals.producer_inputs(model.get_layer("sum").output)
        assert [id(tensor) for tensor in read] == [id(model.get_layer(name).output) for name in "ab"]


def test_operation_kind(model):
    with using("keras", "the classes behind `keras.ops`"):
        x = model.input
        made = [keras.ops.softmax(x), keras.activations.sigmoid(x), keras.activations.log_softmax(x), x / 2.0]
        made += [keras.ops.cast(x, "float16"), keras.ops.reshape(x, (-1, 48)), keras.ops.squeeze(x[:, :1], 1)]
        kinds = [_keras_internals.operation_kind(_keras_internals.producer(tensor)) for tensor in made]
        assert kinds == ["Softmax", "Sigmoid", "LogSoftmax", "TrueDivide", "Cast", "Reshape", "Squeeze"]
        assert _keras_internals.operation_kind(keras.layers.Softmax()) == ""


def test_input_names(model):
    with using("keras", "`KerasTensor._keras_history`"):
        assert _keras_internals.input_names(model.get_layer("sum")) == ["a", "b"]
        assert _keras_internals.input_names(model.get_layer("a")) == ["images"]


def test_was_called(model):
    with using("keras", "`Operation._inbound_nodes`"):
        assert _keras_internals.was_called(model.get_layer("a"))
        assert not _keras_internals.was_called(keras.layers.ReLU())


def test_tensors_read(model):
    with using("keras", "`Operation._inbound_nodes` or `Node.input_tensors`"):
        layer = keras.layers.ReLU()
        tensors = [model.get_layer(name).output for name in "ab"]
        for tensor in tensors:
            layer(tensor)
        assert [id(tensor) for tensor in _keras_internals.tensors_read(layer)] == [id(tensor) for tensor in tensors]


def test_all_layers(model):
    with using("keras", "`Layer._flatten_layers`"):
        names = [layer.name for layer in _keras_internals.all_layers(model)]
        assert names[0] == "outer"
        assert {"a", "b", "sum", "inner", "drop"} <= set(names)


def test_is_functional(model):
    class Subclass(keras.Model):
        pass

    with using("keras", "`Functional._nodes_by_depth`"):
        assert _keras_internals.is_functional(model)
        assert not _keras_internals.is_functional(Subclass())
        assert not _keras_internals.is_functional(model.get_layer("a"))


def test_checkpoint_names(tmp_path):
    with using("tensorflow", "`TrackableObjectGraph`, which a checkpoint describes its objects by"):
        layer = tf.Module()
        layer.kernel = tf.Variable(1.0, name="conv1/kernel")
        path = tf.train.Checkpoint(model=layer).write(str(tmp_path / "a"))
        graph = tf.train.load_checkpoint(path).get_tensor("_CHECKPOINTABLE_OBJECT_GRAPH")
        names = _tensorflow_internals.checkpoint_names(graph)
        assert names == {"model/kernel/.ATTRIBUTES/VARIABLE_VALUE": "conv1/kernel"}


def test_graph_calls(model):
    with using("keras", "`Functional._nodes_by_depth` or its nodes"):
        calls = list(_keras_internals.graph_calls(model))
        names = [call.operation.name for call in calls]
        assert sorted(names[:2]) == ["a", "b"]
        assert names[2:] == ["sum", "inner"]
        assert [tensor.shape for tensor in calls[2].input_tensors] == [(None, 4, 4, 2)] * 2
        assert calls[2].outputs[0] is model.get_layer("sum").output
        assert calls[0].arguments.args[0] is model.input


def test_functional_part(model):
    with using("keras", "`Sequential._functional`"):
        assert _keras_internals.is_functional(_keras_internals.functional_part(model.get_layer("inner")))
        assert _keras_internals.functional_part(model) is model


def test_run_through_graph(model):
    with using("keras", "`Functional._run_through_graph`"):
        seen = []

        def operation_fn(operation):
            def call(*args, **kwargs):
                seen.append(operation.name)
                return operation(*args, **kwargs)

            return call

        x = np.ones((1, 4, 4, 3), "float32")
        np.testing.assert_array_equal(_keras_internals.run_through_graph(model, x, operation_fn), model(x))
        assert sorted(seen) == ["a", "b", "inner", "sum"]


def test_seed_generators(model):
    with using("keras", "`Layer._seed_generators`"):
        [generator] = _keras_internals.seed_generators(model)
        assert isinstance(generator, keras.random.SeedGenerator)
        assert _keras_internals.seed_generators(keras.Sequential([keras.layers.ReLU()])) == []


# TensorFlow


def test_maybe_merge_call(mirrored):
    def in_replica(seen):
        def update(strategy, value):
            seen.append(tf.distribute.in_cross_replica_context())
            return value

        return _tensorflow_internals.maybe_merge_call(update, tf.distribute.get_strategy(), tf.constant(1.0))

    with using("tensorflow", "`tf.__internal__.distribute.interim.maybe_merge_call`"):
        alone, merged = [], []
        assert float(in_replica(alone)) == 1.0
        assert alone == [False]
        values = mirrored.experimental_local_results(tf.function(lambda: mirrored.run(lambda: in_replica(merged)))())
        assert [float(value) for value in values] == [1.0, 1.0]
        assert merged == [True]  # once for both replicas


def test_device_buffers_without_autotuning(mirrored, monkeypatch):
    """Catches the end of an epoch that waits for a thread which tunes buffers of one batch."""
    tuned, iterate = [], tf.data.Dataset.__iter__

    def spy(dataset):
        tuned.append(dataset.options().autotune.enabled)
        return iterate(dataset)

    with using("tensorflow", "`multi_device_iterator_ops._create_device_dataset`"):
        monkeypatch.setattr(tf.data.Dataset, "__iter__", spy)
        with _tensorflow_internals.device_buffers_without_autotuning():
            values = iter(mirrored.distribute_datasets_from_function(lambda _: tf.data.Dataset.range(6)))
        assert tuned == [False, False]  # of the two devices
        rows = [[int(value) for value in mirrored.experimental_local_results(row)] for row in values]
        assert rows == [[0, 1], [2, 3], [4, 5]]
        iter(mirrored.distribute_datasets_from_function(lambda _: tf.data.Dataset.range(6)))
        assert tuned[2:] != [False, False]  # only inside


def test_graphs_of_function():
    @tf.function(autograph=False)
    def inner(x):
        return tf.nn.relu(x)

    @tf.function(autograph=False)
    def outer(x):
        return inner(x) + 1.0

    with using("tensorflow", "`FuncGraph._functions` or `Graph._get_function`"):
        concrete = outer.get_concrete_function(tf.TensorSpec((), tf.float32))
        graphs = _tensorflow_internals.graphs_of_function(concrete)
        assert graphs[0] is concrete.graph
        assert "Relu" in {operation.type for graph in graphs[1:] for operation in graph.get_operations()}


def test_converter_error():
    @tf.function(input_signature=[tf.TensorSpec((), tf.string)])
    def decode(content):
        return tf.io.decode_jpeg(content)

    with using("tensorflow", "the exception of `tf.lite.TFLiteConverter`"):
        converter = tf.lite.TFLiteConverter.from_concrete_functions([decode.get_concrete_function()])
        with pytest.raises(_tensorflow_internals.ConverterError):
            converter.convert()


def snake_case(name):
    return "".join(f"_{c.lower()}" if c.isupper() else c for c in name).lstrip("_")


@pytest.mark.parametrize("path", INTERNALS, ids=lambda path: path.name)
def test_an_entry_has_no_test_of_its_own(path):
    """Such a test is called after it. That of another library's file may be in the tests of its room."""
    module = importlib.import_module(f"keras_resnet.{path.stem}")
    tree = ast.parse(path.read_text(encoding="utf-8"))
    entries = {node.name for node in tree.body if isinstance(node, (ast.FunctionDef, ast.ClassDef))}
    entries = {name for name in entries | set(getattr(module, "__all__", ())) if not name.startswith("_")}
    tests = {
        node.name
        for file in (ROOT / "tests").rglob("test_*internals.py")
        for node in ast.parse(file.read_text(encoding="utf-8")).body
        if isinstance(node, ast.FunctionDef)
    }
    missing = {name for name in entries if f"test_{snake_case(name)}" not in tests}
    assert not missing, f"{path.name} has {sorted(missing)} without a test in tests/**/test_*internals.py"


# NumPy


def test_cpu_features():
    with using("numpy", "where it keeps what the CPU has"):
        found = _numpy_internals.cpu_features()
        assert {"AVX2", "AVX512F", "AVX512VNNI", "NEON", "ASIMDDP"} <= set(found)
        assert {type(value) for value in found.values()} == {bool}


# Private API outside of those files

PRIVATE_MODULES = ("keras.src", "tensorflow.python", "tensorflow.lite.python", "tensorflow.core", "unittest.mock")
PRIVATE_CHAINS = {"keras.src", "tf.python", "tf.__internal__", "tensorflow.__internal__", "tf.compat.v2.__internal__"}
ALLOWED = {
    "_asdict",  # public methods and fields of named tuples, which have the underscore so as not to clash with a field
    "_fields",
    "_make",
    "_replace",
}


def sources():
    """Our own files, each once: links to other folders are left out."""
    for folder in FOLDERS:
        for path in sorted(folder.rglob("*.py")):
            inner = path.relative_to(ROOT).parents
            if path not in INTERNALS and not any((ROOT / parent).is_symlink() for parent in inner):
                yield pytest.param(path, id=str(path.relative_to(ROOT)))


def is_private(name):
    return name.startswith("_") and not name.startswith("__") and name not in ALLOWED


def chain(node):
    """A dotted name, such as `tf.nn.relu`; "" for other expressions."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        return f"{before}.{node.attr}" if (before := chain(node.value)) else ""
    return ""


def is_own(node):
    """`self`, `cls` or `super()`, whose private attributes are a class's own business, or its base class's hooks."""
    if isinstance(node, ast.Call):
        return isinstance(node.func, ast.Name) and node.func.id == "super"
    return isinstance(node, ast.Name) and node.id in ("self", "cls")


def imported(node):
    """The dotted names that an import statement brings from other packages."""
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    return [f"{node.module}.{alias.name}" for alias in node.names] if node.level == 0 else []


def private_uses(tree):
    """(line, what) of each use of a private API."""
    for node in ast.walk(tree):
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            for name in imported(node):
                other = not name.startswith("keras_resnet.")
                if name.startswith(PRIVATE_MODULES) or (other and any(map(is_private, name.split(".")))):
                    yield node.lineno, name
        elif isinstance(node, ast.Attribute):
            if chain(node) in PRIVATE_CHAINS or (is_private(node.attr) and not is_own(node.value)):
                yield node.lineno, ast.unparse(node)
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and len(node.args) > 1:
            name = node.args[1].value if isinstance(node.args[1], ast.Constant) else ""
            by_name = node.func.id in ("getattr", "hasattr", "setattr", "delattr") and isinstance(name, str)
            if by_name and is_private(name) and not is_own(node.args[0]):
                yield node.lineno, ast.unparse(node)


@pytest.mark.parametrize("path", list(sources()))
def test_private_api_of_a_library_is_used_outside_of_the_files_for_it(path):
    found = [f"line {line}: {what}" for line, what in private_uses(ast.parse(path.read_text(encoding="utf-8")))]
    assert not found, f"move it to keras_resnet/_*_internals.py and give it a test here: {'; '.join(found)}"


@pytest.mark.parametrize(
    "text",
    [
        "from keras.src.backend.common import global_state",
        "from keras import src",
        "import tensorflow.python.framework",
        "from unittest import mock",
        "import unittest.mock",
        "from numpy import _core",
        "tf.__internal__.distribute",
        "keras.src.layers",
        "tensor._keras_history",
        "self.model._nodes_by_depth",
        "np._core.multiarray",
        "getattr(layer, '_functional', None)",
        "downloader._open_url = None",
    ],
)
def test_a_private_use_goes_unnoticed(text):
    assert list(private_uses(ast.parse(text)))


@pytest.mark.parametrize(
    "text", ["self._x", "super()._moments(x)", "position._replace(step=1)", "layer.__class__", "from . import _a"]
)
def test_what_is_our_own_is_taken_for_private(text):
    assert not list(private_uses(ast.parse(text)))
