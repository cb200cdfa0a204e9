"""Catches a benchmark that is not fair, a candidate that takes the others along, and a PyTorch model of another network."""

import json
import os
import subprocess
import sys
import types

import keras
import numpy as np
import pytest
from conftest import keras_resnet_command, scramble

import keras_resnet
from keras_resnet import UserError
from keras_resnet.benchmarks import description
from keras_resnet.benchmarks.applications import APPLICATIONS, nearest_application
from keras_resnet.benchmarks.description import describe
from keras_resnet.benchmarks.processes import WorkerError, WorkerProcess
from keras_resnet.benchmarks.runner import rotated
from keras_resnet.benchmarks.session import peak_memory
from keras_resnet.training.benchmarks import candidates, runner, session
from keras_resnet.training.benchmarks.candidates import Candidate
from keras_resnet.training.benchmarks.config import BenchmarkConfig, select_candidates
from keras_resnet.training.benchmarks.result import TrainingEntry, TrainingResult
from keras_resnet.training.benchmarks.synthetic import synthetic_data

# Workloads that need no TensorFlow, put into every Python process that is started.
FAKES = """
import os, sys, types

class Fake:
    def __init__(self, config): self.steps = 1
    def load_data(self, steps): self.steps = steps
    def build(self): os.write(1, b"chatter of a library\\n"); print("and of Python")
    def run(self): pass
    def info(self):
        versions = {"oneDNN": os.environ.get("TF_ENABLE_ONEDNN_OPTS", "as it was")}
        return {"macs": 10, "versions": versions, "operations": 100}

class Mistaken(Fake):
    def build(self): from keras_resnet.errors import UserError; raise UserError("batch_size is wrong")

class Broken(Fake):
    def run(self): raise ZeroDivisionError("a bug")

class Dying(Fake):
    def run(self): print("out of luck", file=sys.stderr, flush=True); os._exit(3)

class Killed(Fake):
    def run(self): os.kill(os.getpid(), 9)

module = types.ModuleType("keras_resnet.training.benchmarks.fakes")
vars(module).update({kind.__name__: kind for kind in (Fake, Mistaken, Broken, Dying, Killed)})
sys.modules[module.__name__] = module
"""


@pytest.fixture
def fakes(tmp_path, monkeypatch):
    (tmp_path / "sitecustomize.py").write_text(FAKES)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path), prepend=os.pathsep)
    monkeypatch.delenv("TF_ENABLE_ONEDNN_OPTS", raising=False)
    monkeypatch.setattr(runner, "MATMUL", fake("Fake"))

    def enter(**names):
        table = {key: fake(name) for key, name in names.items()}
        monkeypatch.setitem(candidates.CANDIDATES, "train", table)
        return table

    return enter


def fake(name, our_environment=False, **given):
    return Candidate(name, f"fakes.{name}", our_environment, **given)


def config(**given):
    return BenchmarkConfig(**{"task": "train", "model": "ResNet20V2", "batch_size": 4, "steps": 2, "rounds": 2, **given})


def test_a_candidate_that_fails_is_a_row_and_the_others_go_on(fakes):
    fakes(ours="Fake", stock="Mistaken", broken="Broken", dying="Dying", killed="Killed", absent="Absent", last="Fake")
    result = runner.benchmark(config())
    failures = {entry.key: entry.failure for entry in result.entries}
    assert failures["ours"] == failures["last"] == ""
    assert failures["stock"] == "batch_size is wrong"
    assert failures["broken"] == "ZeroDivisionError: a bug"
    assert failures["dying"] == "ended with exit status 3 (out of luck)"
    assert failures["killed"].startswith("killed by SIGKILL")
    assert "Absent" in failures["absent"]
    assert [len(entry.values) for entry in result.entries] == [2, 0, 0, 0, 0, 0, 2]
    _, rows = result.table()
    assert [row[1] == "failed" for row in rows] == [False, True, True, True, True, True, False]
    assert "Mistaken: batch_size is wrong" in list(result.notes())
    json.dumps(result.record())


@pytest.mark.parametrize(("name", "kind"), [("Mistaken", UserError), ("Killed", RuntimeError)])
def test_without_ours_there_is_no_benchmark(name, kind, fakes):
    fakes(ours=name, stock="Fake")
    with pytest.raises(kind):
        runner.benchmark(config())


@pytest.mark.slow
def test_as_users_get_it_is_without_what_we_set(fakes):
    plain = candidates.CANDIDATES["train"]["stock_plain"].variables
    for ours, variables, expected in ((True, {}, "1"), (False, {}, "as it was"), (False, plain, "0")):
        with WorkerProcess(runner.SESSION, "quiet") as process:
            record = {"task": "train", "model": "ResNet20V2", "options": {}, "steps": 1}
            info = runner.prepare_session(process, fake("Fake", ours, variables=variables), record)
            assert info["versions"]["oneDNN"] == expected


def test_a_process_that_went_between_two_questions_is_noticed():
    with WorkerProcess(runner.SESSION, "quiet") as process:
        process.call("peak_memory")
        process._process.kill()
        with pytest.raises(WorkerError, match="killed by SIGKILL"):
            process.call("peak_memory")


def test_everybody_is_once_first_and_once_last():
    orders = [rotated("abc", round_) for round_ in range(6)]
    assert all(sorted(order) == ["a", "b", "c"] for order in orders)
    for place in (0, -1):
        assert sorted(order[place] for order in orders) == ["a", "a", "b", "b", "c", "c"]


def test_the_memory_of_a_child_is_not_its_parents():
    program = "from keras_resnet.benchmarks.session import peak_memory; print(peak_memory())"
    done = subprocess.run([sys.executable, "-P", "-c", program], capture_output=True, text=True, check=True)
    assert 5 < float(done.stdout) < 150 < peak_memory()


@pytest.mark.parametrize("seconds_per_step", [0.001, 0.4, 7.0])
def test_the_number_of_steps_is_fitted_to_a_few_seconds(seconds_per_step, monkeypatch):
    clock, runs = [0.0], []
    fitted = types.SimpleNamespace()

    def run():
        runs.append(fitted.steps)
        clock[0] += 0.1 + seconds_per_step * fitted.steps

    fitted.load_data, fitted.run = lambda steps: setattr(fitted, "steps", steps), run
    monkeypatch.setattr(session.time, "perf_counter", lambda: clock[0])
    fitting = session.TrainingSession()
    fitting.config, fitting.workload = config(steps=0), fitted
    fitting.warm_up()
    assert session.SECONDS / 2 < fitting.measure()["seconds"] < 8
    assert runs[-1] == runs[-2], "the first measurement has a number of steps that was never run"


@pytest.mark.parametrize(("steps", "shape"), [(3, (24, 1)), (200, (8, 200))])
def test_synthetic_images_are_as_many_as_the_steps_need_or_as_fit(steps, shape, monkeypatch):
    monkeypatch.setattr("keras_resnet.training.benchmarks.synthetic.MAX_BYTES", 10 * 8 * 32 * 32 * 3 if steps == 3 else 1)
    data = synthetic_data(config(batch_size=8), steps, bytes_per_value=1)
    assert (len(data.images), data.epochs) == (len(data.labels), data.epochs) == shape
    assert data.steps == steps


def entry(key, *values, **given):
    given = {"first_step": 1.0, "peak_memory": 500.0, "macs": 1000, **given}
    return TrainingEntry(key, list(values), title=key.title(), **given)


def test_ratios_are_of_pairs_and_above_one_where_ours_is_faster():
    ours, stock = entry("ours", 10.0, 20.0, 60.0), entry("stock", 5.0, 40.0, 20.0)
    result = TrainingResult(config(task="train"), (ours, stock), 1e6)
    assert result.ratios(stock) == [2.0, 0.5, 3.0]
    columns, rows = result.table()
    assert dict(zip(columns, rows[1], strict=True)) == {
        "": "Stock", "images/s": "20", "ours is": "2.00x", "smallest": "0.50x", "largest": "3.00x", "first step, s": "1.0",
        "memory, MB": "500", "of peak": "12%",
    }  # fmt: skip
    assert TrainingResult(config(task="build"), (ours, stock), None).ratios(stock) == [0.5, 2.0, 1 / 3]
    record = json.loads(json.dumps(result.record()))
    assert (record["ours"], record["stock"], record["ratios"]) == ([10.0, 20.0, 60.0], [5.0, 40.0, 20.0], [2.0, 0.5, 3.0])


def test_the_fraction_of_the_peak_counts_backward_twice():
    """6 operations per multiply-add and image; a candidate that cannot count has our network."""
    ours, torch = entry("ours", 100.0), entry("torch", 50.0, macs=None)
    result = TrainingResult(config(), (ours, torch), 1_200_000.0)
    assert (result.peak_fraction(ours), result.peak_fraction(torch)) == (0.5, 0.25)


def test_candidates_that_apply_run_and_no_others():
    everybody = [key for key in candidates.CANDIDATES["train"] if key != "stock_plain"]
    assert list(select_candidates(config(model="ResNet50V1_5"))) == everybody
    others = [key for key in everybody if not key.startswith("applications")]
    assert list(select_candidates(config())) == list(select_candidates(config(model="ResNet50V1_5", shortcut="A"))) == others
    assert list(select_candidates(config(baselines=("torch", "stock")))) == ["ours", "stock", "torch"]
    assert list(select_candidates(config(baselines=("stock_plain",)))) == ["ours", "stock_plain"]


@pytest.mark.parametrize("name", ["ResNet50V1", "ResNet50V1_5", "ResNet50V2Slim"])
def test_the_network_of_keras_applications_has_our_convolutions(name):
    """But for the place of v1.5's strides: equal kernels, in any order."""
    ours = getattr(keras_resnet, name)(input_shape=(64, 64, 3))
    theirs = getattr(keras.applications, APPLICATIONS[name])(weights=None, input_shape=(64, 64, 3))
    shapes = [
        sorted(tuple(layer.kernel.shape) for layer in model.layers if hasattr(layer, "kernel")) for model in (ours, theirs)
    ]
    assert shapes[0] == shapes[1]
    assert nearest_application(ours.name) == nearest_application(name) == APPLICATIONS[name]


@pytest.mark.parametrize(
    ("flags", "parts"),
    [
        (
            ("--baselines=nobody",),
            ["nobody", "stock, stock_same, stock_plain, applications, applications_same, torch, mirrored"],
        ),
        (("--baselines=applications",), ["keras.applications has no ResNet20V2", "ResNet50V1"]),
        (("--task=input", "--baselines=torch"), ["torch", "the baselines of --task=input are per_image"]),
        (("--rounds=0",), ["rounds"]),
    ],
)
def test_a_mistake_is_one_line(flags, parts):
    done = keras_resnet_command("benchmark", "--model=ResNet20V2", "--task=train", *flags)
    assert (done.returncode, done.out, len(done.err.splitlines())) == (2, "", 1), done.err
    for part in parts:
        assert part in done.err


@pytest.mark.slow
def test_the_command_measures_training_and_says_who_could_not(tmp_path):
    flags = ("--batch_size=3", "--image_size=8", "--steps=2", "--rounds=2", "--baselines=stock,mirrored,torch")
    done = keras_resnet_command("benchmark", "--task=train", "--model=ResNet20V1", *flags, f"--json={tmp_path / 'b.json'}")
    assert (done.returncode, done.err) == (1, "")  # the mirrored one was asked for
    assert "images/s" in done.out
    assert "ours, mirrored: batch_size is 3; it must be divisible by 2 replicas" in done.out
    record = json.loads((tmp_path / "b.json").read_text())
    assert record["config"]["model"] == "ResNet20V1"
    assert len(record["ratios"]) == len(record["ours"]) == len(record["stock"]) == 2
    entries = {entry["key"]: entry for entry in record["candidates"]}
    assert list(entries) == ["ours", "stock", "torch", "mirrored"]
    ours = entries["ours"]
    assert (ours["failure"], ours["steps"], len(ours["values"])) == ("", 2, 2)
    assert ours["macs"] == (40_551_040 - 640) // 16 + 640  # the classifier's 640 are for any size
    assert ours["first_step"] > 0.1
    assert ours["peak_memory"] > 100
    assert 0 < ours["peak_fraction"] < 1
    assert entries["torch"]["failure"] in ("", "PyTorch is not installed; pip install keras-resnet-zoo[torch]")


@pytest.mark.slow
def test_the_command_measures_input(tmp_path):
    flags = ("--batch_size=8", "--steps=3", "--rounds=1", f"--json={tmp_path / 'b.json'}")
    done = keras_resnet_command("benchmark", "--task=input", "--model=ResNet20V1", *flags)
    assert (done.returncode, done.err) == (0, "")
    assert [entry["steps"] for entry in json.loads((tmp_path / "b.json").read_text())["candidates"]] == [3, 3]
    assert "of peak" not in done.out


@pytest.mark.slow
def test_the_command_measures_the_start_with_many_images(tmp_path):
    """Catches a run that looks into every image before its first step, and one that is measured after its start."""
    flags = ("--batch_size=8", "--rounds=1", "--images=10000", "--width_multiplier=0.25", f"--json={tmp_path / 'b.json'}")
    done = keras_resnet_command("benchmark", "--task=start", "--model=ResNet20V2", *flags)
    assert done.returncode == 0, done.err
    assert "10,000 JPEGs in 1,000 classes" in done.out
    assert "the first step comes" in done.out
    ours, digits = json.loads((tmp_path / "b.json").read_text())["candidates"]
    assert min(ours["peak_memory"], digits["peak_memory"]) > 300
    done = keras_resnet_command("benchmark", "--task=build", "--model=ResNet20V2", "--images=10000")
    assert (done.returncode, done.err) == (2, "keras-resnet: --task=build does not take --images\n")


def test_tf_image_code_gives_the_batches_that_ours_gives():
    from keras_resnet.training.benchmarks import input_pipeline

    for workload in (input_pipeline.Ours, input_pipeline.PerImage):
        candidate = workload(config(batch_size=8))
        candidate.load_data(2)
        batches = [(images.numpy(), targets.numpy()) for images, targets in candidate.dataset(0)]
        assert [images.shape for images, _ in batches] == [(8, 32, 32, 3)] * 2
        assert {(images.dtype.name, targets.dtype.name) for images, targets in batches} == {("uint8", "float32")}
        drawn = np.concatenate([targets for _, targets in batches]).argmax(axis=1)
        assert sorted(drawn) == sorted(candidate.labels)


def test_larger_images_come_from_jpeg_files(tmp_path, monkeypatch):
    from keras_resnet.training.benchmarks import jpeg_files, jpeg_pipeline

    monkeypatch.setattr(jpeg_files, "COUNT", 3)
    monkeypatch.setattr(jpeg_pipeline, "KEPT", 8)
    jpeg_files.write_jpeg_files(str(tmp_path))
    measured = config(task="input", model="ResNet18V1", image_size=72)
    assert select_candidates(measured).keys() == candidates.JPEG_INPUT.keys()
    assert select_candidates(config(task="input", image_size=63)).keys() == candidates.CANDIDATES["input"].keys()
    for candidate in candidates.JPEG_INPUT.values():
        module, _, name = candidate.class_path.partition(".")
        if module == "torchvision_pipeline":
            continue
        workload = getattr(jpeg_pipeline, name)(measured, str(tmp_path))
        workload.load_data(2)
        workload.build()
        shapes = [(images.shape, targets.shape) for images, targets in workload.dataset()]
        assert shapes == [((4, 72, 72, 3), (4, 1000))] * 3
        assert workload.run() > 0
        assert workload.steps == 2
    notes = jpeg_pipeline.Exact(measured, str(tmp_path)).info()["notes"]
    assert notes[0].startswith("3 JPEGs of 500x375 pixels in quality 95, ")
    assert [note.split()[0] for note in notes[1:]] == [f"jpeg_decoding={name}" for name in ("no_antialias", "fast_dct", "fast")]


def test_ours_with_the_settings_of_others_is_compared_with_them():
    measured = config(task="input", model="ResNet18V1", image_size=72)
    speeds = {"ours": [1.0, 1.0], "fast": [6.0, 2.0], "per_image": [2.0, 2.0], "torchvision": []}
    entries = [TrainingEntry(key, title=key, values=values, first_step=1.0, peak_memory=1.0) for key, values in speeds.items()]
    entries[-1].failure = "torchvision is not installed"
    entries[0].notes = ["of files"]
    notes = list(TrainingResult(measured, tuple(entries), None).notes())
    assert "fast is 2.00x per_image" in notes
    assert "of files" in notes
    assert not any(note.startswith("fast is") and "torchvision" in note for note in notes)


def others(input_shape, classes, classifier_activation):
    """With layers that our networks do not have, but others' and our classifiers do."""
    layers = keras.layers
    x = inputs = keras.Input(input_shape)
    x = layers.Rescaling([0.5, 1.0, 2.0], [1.0, 0.0, -1.0])(x)
    x = layers.Conv2D(8, 7, 2)(layers.ZeroPadding2D(3)(x))
    x = layers.Activation("relu")(layers.BatchNormalization()(x))
    x = layers.MaxPooling2D(3, 2)(layers.ZeroPadding2D(1)(x))
    x = layers.MaxPooling2D(3, 2)(layers.ZeroPadding2D(1)(layers.Conv2D(8, 1)(x)))
    x = layers.Conv2D(8, 2)(layers.ZeroPadding2D(((0, 1), (0, 1)))(x))
    x = layers.Dense(8, "relu")(layers.GlobalAveragePooling2D()(x))
    return keras.Model(inputs, layers.Dense(classes, "softmax", use_bias=False)(x))


NETWORKS = {
    "others": (others, {"input_shape": (32, 48, 3)}),
    "option A": ("ResNet20V2", {"input_shape": (16, 16, 3)}),
    "projections": ("ResNet18V1", {"input_shape": (64, 48, 3), "width_multiplier": 0.25}),
    "strides on the 3x3": ("ResNet50V1_5", {"input_shape": (64, 64, 3), "width_multiplier": 0.125}),
    "groups": ("ResNeXt50_32x4d", {"input_shape": (64, 64, 3), "width_multiplier": 0.125}),
    "maximum inside": ("ResNet50V2Timm", {"input_shape": (64, 64, 3), "width_multiplier": 0.125}),
    "slim": ("ResNet50V2Slim", {"input_shape": (64, 64, 3), "width_multiplier": 0.125}),
    "dilated": ("ResNet18V2", {"input_shape": (64, 64, 3), "width_multiplier": 0.25, "output_stride": 8}),
    "scaled": ("ResNet20V1", {"input_shape": (16, 16, 3), "shortcut": "constant_scaling"}),
    "norm after addition": ("ResNet20V1", {"input_shape": (16, 16, 3), "unit": "bn_after_addition"}),
}
COMPARE = """
import json, sys
import numpy as np, torch
from keras_resnet.benchmarks import worker  # with the next two, all that the candidate's process imports
from keras_resnet.benchmarks.torch_model import channels_last, read
from keras_resnet.training.benchmarks import pytorch, session
differences = {}
for case in sys.argv[1:]:
    torch_model, shape = read(f"{case}.npz")
    torch_model = torch_model.to(memory_format=torch.channels_last)
    keras = np.load(f"{case}.keras.npz")
    images = channels_last(keras["images"])
    assert tuple(shape) == keras["images"].shape[1:]
    with torch.no_grad():
        for mode in ("inference", "training"):
            outputs = torch_model.train(mode == "training")(images).numpy()
            differences[f"{case} {mode}"] = float(abs(outputs - keras[mode]).max() / abs(keras[mode]).std())
torch_model.train()(images).sum().backward()  # nothing that backward needs was overwritten
assert "tensorflow" not in sys.modules and "keras" not in sys.modules
print(json.dumps(differences))
"""


@pytest.fixture(scope="module")
def differences(tmp_path_factory):
    """By case and mode, largest over standard deviation of the logits."""
    pytest.importorskip("torch", reason="PyTorch is not installed")
    folder = tmp_path_factory.mktemp("torch_models")
    for case, (name, given) in NETWORKS.items():
        keras.utils.set_random_seed(0)
        given = {"classes": 7, "classifier_activation": None, **given}
        model = scramble((name if callable(name) else getattr(keras_resnet, name))(**given))
        images = np.random.default_rng(1).normal(size=(4, *model.input_shape[1:])).astype("float32")
        description.write(model, folder / f"{case}.npz")  # before training moves the statistics
        modes = {"inference": np.array(model(images)), "training": np.array(model(images, training=True))}
        np.savez(folder / f"{case}.keras.npz", images=images, **modes)
    command = [sys.executable, "-P", "-c", COMPARE, *NETWORKS]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["inference", "training"])
@pytest.mark.parametrize("case", NETWORKS)
def test_the_pytorch_model_computes_what_the_network_computes(case, mode, differences):
    assert differences[f"{case} {mode}"] < 1e-3


@pytest.mark.parametrize(
    ("given", "message"),
    [({"shortcut": "exclusive_gating"}, "is a Activation|is a Multiply"), ({"classifier_dropout": 0.5}, "is a Dropout")],
)
def test_a_network_that_pytorch_lacks_is_refused_by_its_layer(given, message):
    model = keras_resnet.ResNet20V1(classifier_activation=None, **given)
    with pytest.raises(UserError, match=message):
        describe(model)


def test_padding_is_that_of_who_reads_it_and_stays_where_that_is_another_network():
    """A model that pads in layers of its own is slower than PyTorch's own networks, and no match for ours."""
    padded = [node["name"] for node in describe(others((32, 48, 3), 7, None)) if node["kind"] == "ZeroPadding2D"]
    assert len(padded) == 2, "below a maximum of what may be negative, and uneven"
    graph = describe(keras_resnet.ResNet50V1_5(input_shape=(64, 64, 3), width_multiplier=0.125))
    assert "ZeroPadding2D" not in {node["kind"] for node in graph}


def test_uneven_padding_is_refused():
    """Keras' "same" at stride 2 is not PyTorch's: a model that pads alike would be another network."""
    inputs = keras.Input((8, 8, 3))
    model = keras.Model(inputs, keras.layers.Conv2D(4, 3, 2, "same")(inputs))
    with pytest.raises(UserError, match="pads unevenly"):
        describe(model)
