"""Catches a script for a machine with a GPU that is tried too late: it gets one try of some minutes there."""

import dataclasses
import importlib.util
import json
import os
import subprocess
import sys
import time

import keras
import numpy as np
import pytest
from conftest import ROOT

from keras_resnet.benchmarks.processes import WorkerError, WorkerProcess, WorkerTimeoutError
from keras_resnet.training.benchmarks.config import BenchmarkConfig
from keras_resnet.training.benchmarks.device_check import __main__ as command
from keras_resnet.training.benchmarks.device_check import runner, step
from keras_resnet.training.benchmarks.device_check.bench import Bench, CheckFailed
from keras_resnet.training.benchmarks.device_check.checks import CHECKS, Check, in_order, reason_to_leave_out
from keras_resnet.training.benchmarks.device_check.libraries import NAMES, Library, probe
from keras_resnet.training.benchmarks.device_check.runner import device_check
from keras_resnet.training.benchmarks.device_check.sizes import NETWORKS, SMALL
from keras_resnet.training.config import PRECISIONS

BY_KEY = {check.key: check for check in CHECKS}
TINY = dataclasses.replace(SMALL, image_sizes=dict.fromkeys(NETWORKS, 16), compared_batch=2, batch_size=2, rounds=2, steps=1)


def there(gpus=(), **missing):
    """The libraries, those in `missing` with their problem."""
    return {name: Library(name, "" if name in missing else "1.0", gpus, missing.get(name, "")) for name in NAMES}


@pytest.fixture
def libraries(monkeypatch):
    def use(found):
        monkeypatch.setattr(runner.libraries, "probe_all", lambda: found)

    use(there())
    return use


def check(key, run=lambda bench: {}, **given):
    return Check(key, key.title(), run, small_seconds=given.pop("small_seconds", 0), **given)


def fail(bench):
    raise CheckFailed("they differ", {"weights": 0.5})


def crash(bench):
    raise ZeroDivisionError("a bug\nof ours")


def hang(bench):
    with bench.process("threading.Event") as process:
        process.call("wait", timeout=600)


def statuses(report):
    return {row.key: row.status for row in report.rows}


def test_a_row_that_fails_does_not_cost_the_others_and_its_reason_and_figures_are_kept(tmp_path, libraries):
    def die(bench):
        raise WorkerError("killed by SIGSEGV", is_user_error=False)

    rows = [check("good"), check("wrong", fail), check("crashed", crash), check("died", die), check("last")]
    report = device_check(tmp_path / "d.json", SMALL, checks=rows)
    assert statuses(report) == {"good": "passed", "wrong": "failed", "crashed": "failed", "died": "failed", "last": "passed"}
    reasons = {row.key: row.reason for row in report.rows}
    assert reasons == {
        "good": "", "wrong": "they differ", "crashed": "ZeroDivisionError: a bug", "died": "killed by SIGSEGV", "last": ""
    }  # fmt: skip
    assert report.failed
    assert json.loads((tmp_path / "d.json").read_text())["rows"][1]["figures"] == {"weights": 0.5}


def test_a_row_that_does_not_fit_into_the_rest_of_the_time_is_recorded_as_left_out(tmp_path, libraries):
    rows = [check("long", small_seconds=90), check("short", small_seconds=1)]
    report = device_check(tmp_path / "d.json", SMALL, minutes=1, checks=rows)
    assert statuses(report) == {"long": "left out", "short": "passed"}
    assert report.rows[0].reason == "takes about 90 s, which did not fit into the rest of the time"
    assert not report.failed


@pytest.mark.parametrize(("limit", "minutes", "status"), [(1, 5, "failed"), (100, 0.03, "left out")])
def test_a_row_that_hangs_is_ended_and_is_a_failure_only_if_it_had_its_time(
    limit, minutes, status, tmp_path, libraries, monkeypatch
):
    monkeypatch.setattr(runner, "LEAST_LIMIT", limit)
    begin = time.monotonic()
    report = device_check(tmp_path / "d.json", SMALL, minutes, [check("hangs", hang), check("next")])
    assert statuses(report) == {"hangs": status, "next": "passed" if limit == 1 else "left out"}
    assert "was ended after" in report.rows[0].reason
    assert time.monotonic() - begin < 60


def test_a_process_with_a_limit_of_time_says_that_it_was_over():
    with (
        WorkerProcess("threading.Event", "quiet", seconds=0.5) as process,
        pytest.raises(WorkerTimeoutError, match="longer than 0 s"),
    ):
        process.call("wait", timeout=600)


def test_the_record_is_there_after_each_row_with_all_that_a_reader_asks_for(tmp_path, libraries):
    """Catches a machine that is taken away in the seventh minute, and nothing to show for six."""
    seen = []
    rows = [check("first"), check("second", lambda bench: seen.append(json.loads((tmp_path / "d.json").read_text())) or {})]
    device_check(tmp_path / "d.json", SMALL, checks=rows)
    assert [(len(record["rows"]), record["complete"]) for record in seen] == [(1, False)]
    record = json.loads((tmp_path / "d.json").read_text())
    assert set(record) == {
        "format", "started", "seconds", "complete", "minutes", "sizes", "machine", "versions", "rows", "speedups"
    }  # fmt: skip
    assert set(record["machine"]) == {"system", "processor", "cores", "memory_gb", "python", "gpus", "seen"}
    assert set(record["versions"]) == {"keras_resnet", "keras", *NAMES}
    assert set(record["rows"][0]) == {"key", "title", "status", "reason", "seconds", "figures"}
    assert record["complete"]


def test_speedups_are_of_the_same_training_of_pytorch(tmp_path, libraries):
    def rate(value):
        return lambda bench: {"images_per_second": value, "gpu_memory_mb": None, "memory_mb": 9.0, "first_step_seconds": 1.0}

    keys = ("train_tensorflow_A_float32", "train_pytorch_A_float32", "train_jax_B_float32")
    report = device_check(tmp_path / "d.json", SMALL, checks=[check(key, rate(3.0 + 3 * n)) for n, key in enumerate(keys)])
    assert report.speedups() == {"train_tensorflow_A_float32": 0.5}
    report.show()


def test_every_training_that_is_promised_is_a_row_and_no_key_is_there_twice():
    assert len(BY_KEY) == len(CHECKS)
    for network in NETWORKS:
        for precision in PRECISIONS:
            for library in ("tensorflow", "pytorch"):
                assert {f"train_{library}_{network}_{precision}", f"train_{library}_{network}_{precision}_jit_compile"} <= set(
                    BY_KEY
                )
            assert {f"train_jax_{network}_{precision}", f"train_torch_{network}_{precision}"} <= set(BY_KEY)


def bench(tmp_path, found, gpu=False):
    return Bench(TINY, found, tmp_path, gpu)


def test_what_stands_in_for_tensorflow_waits_only_where_tensorflow_is(tmp_path):
    with_it = [row.stand_in for row in in_order(CHECKS, bench(tmp_path, there()))]
    assert with_it == sorted(with_it)
    without = bench(tmp_path, there(tensorflow="TensorFlow is not installed"))
    assert in_order(CHECKS, without) == list(CHECKS)
    (first, *_) = [row for row in in_order(CHECKS, without) if not reason_to_leave_out(row, without)]
    assert first.key == "step_jax_ResNet50V1_5"


def test_a_library_that_does_not_see_the_gpu_is_not_measured_on_the_cpu(tmp_path):
    found = {**there(("H100",)), "tensorflow": Library("tensorflow", "1.0")}
    assert reason_to_leave_out(BY_KEY["nccl"], bench(tmp_path, found, gpu=True)) == "TensorFlow sees no GPU"
    assert reason_to_leave_out(BY_KEY["step_jax_ResNet56V2"], bench(tmp_path, found, gpu=True)) == ""
    assert reason_to_leave_out(BY_KEY["nccl"], bench(tmp_path, there())) == "there is no GPU"


@pytest.mark.parametrize(
    ("version", "found", "part"),
    [
        ("", there(), "needs Keras, which is not installed"),
        ("3.15", there(**{name: f"{title} is not installed" for name, title in NAMES.items()}), "PyTorch is not installed"),
    ],
    ids=["Keras", "what it runs on"],
)
def test_without_keras_or_what_it_runs_on_there_is_one_line(version, found, part, tmp_path, libraries, monkeypatch, capsys):
    libraries(found)
    monkeypatch.setattr(runner.libraries, "keras_version", lambda: version)
    assert command.main([f"--json={tmp_path / 'd.json'}"]) == 1
    out, err = capsys.readouterr()
    assert (out, len(err.splitlines())) == ("", 1)
    assert part in err


def test_the_exit_status_tells_a_failure_and_not_what_was_left_out(tmp_path, libraries, monkeypatch, capsys):
    for rows, status in (([check("good"), check("long", small_seconds=900)], 0), ([check("wrong", fail)], 1)):
        monkeypatch.setattr(command, "CHECKS", rows)
        assert command.main(["--small", f"--json={tmp_path / 'new' / 'd.json'}"]) == status
        assert "no GPU" in capsys.readouterr().out


def test_a_pattern_that_names_no_check_is_a_mistake(capsys):
    with pytest.raises(SystemExit):
        command.main(["--only", "nothing"])
    assert "step_tensorflow_ResNet50V1_5" in capsys.readouterr().err


def test_a_library_that_is_missing_is_told_from_one_that_is_broken(tmp_path, monkeypatch):
    (tmp_path / "jax.py").write_text("raise ImportError('no such CUDA')")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path), prepend=os.pathsep)
    assert probe("jax").problem == "JAX cannot be imported: ImportError: no such CUDA"
    monkeypatch.setitem(NAMES, "nobodys_library", "Nobody's")
    assert probe("nobodys_library").problem == "Nobody's is not installed"


def save_steps(monkeypatch, gradient):
    """A step on the CPU, one from weights that differ by rounding, and one on a GPU whose gradient is as given."""

    def run_step(bench, backend, workload, config, cpu, start, path):
        expected = {"logits": np.ones(3), "after/0": np.array([1.0, -2.0]), "gradient/0": np.array([3.0, 4.0])}
        if cpu:
            np.savez(path, **expected)
            np.savez(step.rounded(path), **{**expected, "gradient/0": np.array([3.0, 4.02])})
        else:
            np.savez(path, **{**expected, "gradient/0": np.array(gradient)})

    monkeypatch.setattr(step, "run_step", run_step)


def test_a_gradient_may_differ_by_as_much_as_rounding_makes_and_by_no_more(tmp_path, monkeypatch):
    """Catches a check that no wrong gradient fails, and one that every GPU fails."""
    compared = TINY.compared("ResNet56V2")
    save_steps(monkeypatch, [3.0, 4.08])
    figures = step.compare_steps(bench(tmp_path, there()), "tensorflow", step.OURS, compared)
    assert figures["gradient"] == pytest.approx(0.016)
    assert figures["allowed"] == pytest.approx({"logits": 1e-4, "gradient": 0.02, "weights": 1e-4})
    for wrong in ([3.0, 4.2], [0.0, 0.0], [np.nan, 4.0]):
        save_steps(monkeypatch, wrong)
        with pytest.raises(CheckFailed, match="gradient by") as error:
            step.compare_steps(bench(tmp_path, there()), "tensorflow", step.OURS, compared)
        assert "rounding" in error.value.figures


def tiny(precision, **given):
    return BenchmarkConfig(
        **{"task": "train", "model": "ResNet20V2", "image_size": 8, "batch_size": 2, **given}, precision=precision
    )


@pytest.mark.parametrize("precision", PRECISIONS)
def test_ours_is_measured_in_the_precision_that_its_row_names(precision):
    from keras_resnet.training.benchmarks.device_check.tensorflow_workloads import Ours

    workload = Ours(tiny(precision))
    workload.build()
    network = workload.loop.step.network
    assert {layer.compute_dtype for layer in network.model.layers[1:]} == {precision.removeprefix("mixed_")}
    assert {variable.dtype for variable in network.variables} == {"float32"}
    assert any("loss_scale" in variable.name for variable in workload.loop.step.state_variables) == (
        precision == "mixed_float16"
    )
    assert keras.config.dtype_policy().name == "float32"


MEASURED = """
import json, sys
import torch
from keras_resnet.training.benchmarks.config import BenchmarkConfig
from keras_resnet.training.benchmarks.pytorch import PyTorch
records, graph = json.load(sys.stdin)
found = {}
for record in records:
    workload, dtypes = PyTorch(BenchmarkConfig.from_record(record), graph), []
    workload.load_data(1)
    workload.build()
    conv = next(layer for layer in workload.model.modules() if isinstance(layer, torch.nn.Conv2d))
    conv.register_forward_hook(lambda layer, inputs, output: dtypes.append(str(output.dtype)))
    before = conv.weight.detach().clone()
    workload.run()
    found[record["precision"]] = [dtypes, str(conv.weight.dtype), torch.equal(before, conv.weight)]
assert "tensorflow" not in sys.modules
print(json.dumps(found))
"""


def test_pytorch_is_measured_in_the_precision_that_its_row_names():
    """In a process without TensorFlow, as it is measured: PyTorch's optimizers import Triton, see `conftest._no_triton`."""
    if importlib.util.find_spec("torch") is None:
        pytest.skip("PyTorch is not installed")
    from keras_resnet.benchmarks.description import describe
    from keras_resnet.training.benchmarks.keras_fit import zoo_network

    configs = [tiny(precision) for precision in PRECISIONS]
    given = json.dumps([[dataclasses.asdict(config) for config in configs], describe(zoo_network(configs[0]))])
    command = [sys.executable, "-P", "-c", MEASURED]
    done = subprocess.run(command, input=given, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    expected = {precision: [[f"torch.{precision.removeprefix('mixed_')}"], "torch.float32", False] for precision in PRECISIONS}
    assert json.loads(done.stdout) == expected


@pytest.mark.slow
def test_forward_gradient_and_training_run_where_tensorflow_is_missing(tmp_path):
    """Catches an import of TensorFlow on the way to JAX or PyTorch, which only the machine with the GPU would find."""
    if importlib.util.find_spec("torch") is None:
        pytest.skip("PyTorch is not installed")
    (tmp_path / "sitecustomize.py").write_text("import sys; sys.modules['tensorflow'] = None")
    program = (
        "import dataclasses, sys; from keras_resnet.training.benchmarks.device_check import __main__ as m, runner, sizes\n"
        f"m.SMALL = dataclasses.replace(sizes.SMALL, **{dataclasses.asdict(TINY)!r})\n"
        "sys.exit(m.main(sys.argv[1:]))"
    )
    keys = ["step_torch_ResNet56V2", "train_torch_ResNet56V2_float32", "train_pytorch_ResNet56V2_float32", "resume"]
    done = subprocess.run(
        [sys.executable, "-c", program, "--small", "--minutes=10", f"--json={tmp_path / 'd.json'}", "--only", *keys],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), str(ROOT)])},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    rows = {row["key"]: row for row in json.loads((tmp_path / "d.json").read_text())["rows"]}
    assert {key: row["status"] for key, row in rows.items()} == {**dict.fromkeys(keys, "passed"), "resume": "left out"}
    assert rows["resume"]["reason"].startswith("TensorFlow")
    assert rows["step_torch_ResNet56V2"]["figures"]["gradient_norm"] > 0
    assert len(rows["train_torch_ResNet56V2_float32"]["figures"]["measurements"]) == TINY.rounds


@pytest.mark.slow
def test_the_rows_of_tensorflow_run_on_the_cpu(tmp_path):
    keys = (
        "step_tensorflow_ResNet56V2",
        "step_tensorflow_ResNet56V2_mirrored",
        "resume",
        "train_tensorflow_ResNet56V2_mixed_float16",
    )
    report = device_check(tmp_path / "d.json", dataclasses.replace(TINY, epochs=1), 10, [BY_KEY[key] for key in keys])
    assert statuses(report) == dict.fromkeys(keys, "passed"), report.rows
    rows = {row.key: row.figures for row in report.rows}
    assert rows["step_tensorflow_ResNet56V2"]["rounding"]["gradient"] > 0
    assert rows["resume"]["same_bits"]
    assert rows["train_tensorflow_ResNet56V2_mixed_float16"]["images_per_second"] > 0
