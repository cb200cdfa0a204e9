"""Catches a self-test that passes another file, fails an honest one, or needs what its users do not have."""

import ast
import shutil
import subprocess
import sys
import types

import numpy as np
import onnx
import pytest
from conftest import ROOT, keras_resnet_command
from life.artifacts import write_onnx
from life.selftests import BAD_SELF_TESTS, IMAGES, result, with_limits, write_bad, write_export
from onnx import TensorProto

from keras_resnet import UserError
from keras_resnet.export import output_dir, pipeline
from keras_resnet.export.config import ExportConfig
from keras_resnet.export.selftest import archive, machine, run, standalone
from keras_resnet.export.selftest.run import run_selftest
from keras_resnet.export.selftest.standalone import FAILED, NOT_RUN, PASSED, UNCHANGED, SelfTestError
from keras_resnet.export.source_model.loading import load_source_model
from keras_resnet.export.targets import TARGETS
from keras_resnet.export.verification.result import Tolerances

STANDALONE = ROOT / "export" / "selftest" / "standalone.py"


def script(path, *arguments, without=()):
    """Runs the script of an export as its users have it: without this package, and perhaps without a runtime."""
    blocked = "".join(f"sys.modules[{name!r}] = None; " for name in ("keras_resnet", "keras", *without))
    program = f"import runpy, sys; {blocked}sys.argv = {[str(path), *map(str, arguments)]!r}; "
    program += f"runpy.run_path({str(path)!r}, run_name='__main__')"
    done = subprocess.run([sys.executable, "-I", "-c", program], cwd="/", capture_output=True, text=True, check=False)
    err = [line for line in done.stderr.splitlines() if not line.startswith("INFO: Created TensorFlow Lite")]
    return types.SimpleNamespace(returncode=done.returncode, out=done.stdout, err=err)


def verdicts(results):
    return {result.file: result.verdict for result in results}


@pytest.fixture
def small(tmp_path):
    return write_export(tmp_path / "export")


def test_every_artifact_of_an_export_passes_in_a_process_of_its_own(exported):
    test, results = run_selftest(exported.folder)
    assert set(verdicts(results).values()) == {PASSED}
    assert len(results) == 7
    assert test.images.shape == (32, 8, 8, 1)
    assert all(result.outputs["probabilities"]["decided"] > 20 for result in results)


def test_the_script_agrees_and_imports_nothing_of_this_package(exported):
    """float and uint8 input, integer outputs; running the SavedModel is left to the command."""
    done = script(exported.folder / "verify.py")
    assert (done.returncode, done.err) == (0, [])
    files = [f"model{kind}.{suffix}" for suffix in ("tflite", "onnx") for kind in ("", "_fp16", "_int8")]
    expected = [["unchanged", "saved_model"], *(["passed", file] for file in files)]
    assert [line.split()[:2] for line in done.out.splitlines()[:-2]] == expected
    assert done.out.splitlines()[-1].startswith("with python 3.")


def test_the_script_is_the_packages_to_the_letter_and_needs_numpy_only(exported):
    assert (exported.folder / "verify.py").read_bytes() == STANDALONE.read_bytes()
    imported, oldest = set(), (3, 8)  # of the Pythons that tflite-runtime has on small boards
    for node in ast.walk(ast.parse(STANDALONE.read_text(), feature_version=oldest)):
        if isinstance(node, ast.Import):
            imported |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            imported.add((node.module or "").split(".")[0])
    assert imported - sys.stdlib_module_names == {"numpy"}


def test_a_user_reads_that_images_are_published(exported):
    sentence = "`selftest.npz` contains 32 images of the test split"
    assert sentence in exported.out
    assert sentence in (exported.folder / "README.md").read_text()


def test_the_same_export_gives_the_same_bytes(tmp_path):
    """And what is not to be executed: no pickles, no dates."""
    one, other = (write_export(tmp_path / name) / standalone.SELF_TEST for name in ("one", "other"))
    assert one.read_bytes() == other.read_bytes()
    with np.load(one, allow_pickle=False) as arrays:
        assert {name: arrays[name].dtype.name for name in arrays.files} == {
            "images": "uint8", "decided": "bool", "record": "uint8", "expected_probabilities": "float32",
        }  # fmt: skip


@pytest.mark.parametrize(("count", "found"), [(1, 1), (32, 32), (1000, 50)])
def test_images_are_spread_over_those_of_the_verification(count, found, tmp_path):
    test = standalone.read(write_export(tmp_path / "export", count))
    assert len(test.images) == found
    assert test.images[0, 0, 0, 0] == IMAGES[0, 0, 0, 0]
    assert found == 1 or test.images[-1, 0, 0, 0] == IMAGES[-1, 0, 0, 0]


def test_an_app_can_read_it_with_a_few_lines(small):
    """As the Swift snippet in docs/proof.md does: no compression, no comment, no extension for archives of over 4 GB."""
    content = (small / standalone.SELF_TEST).read_bytes()

    def integer(offset, size):
        return int.from_bytes(content[offset : offset + size], "little")

    found, end = {}, len(content) - 22
    entry = integer(end + 16, 4)
    for _ in range(integer(end + 10, 2)):
        size, length, local = integer(entry + 20, 4), integer(entry + 28, 2), integer(entry + 42, 4)
        start = local + 30 + integer(local + 26, 2) + integer(local + 28, 2)
        header = 10 + integer(start + 8, 2)
        found[content[entry + 46 : entry + 46 + length].decode()] = content[start + header : start + size]
        entry += 46 + length + integer(entry + 30, 2) + integer(entry + 32, 2)
    with np.load(small / standalone.SELF_TEST) as arrays:
        assert found == {f"{name}.npy": arrays[name].tobytes() for name in arrays.files}


# What is wrong with an artifact


def changed(folder):
    path = folder / "model.onnx"
    path.write_bytes(path.read_bytes() + b"\0")
    return "model.onnx is not the file that was exported"


def missing(folder):
    (folder / "model.onnx").unlink()
    return "model.onnx is missing"


@pytest.mark.parametrize("damage", [changed, missing])
def test_what_is_not_the_exported_file_fails_and_the_others_are_run(damage, small):
    reason = damage(small)
    _, results = run_selftest(small)
    assert verdicts(results) == {"model.onnx": FAILED, "model_int8.onnx": PASSED}
    assert results[0].reasons[0].startswith(reason)
    done = script(small / "verify.py")
    assert done.returncode == 1
    assert [line.split()[0] for line in done.out.splitlines()[:2]] == [FAILED, PASSED]
    assert reason in done.out


@pytest.mark.parametrize(
    ("limits", "reason"),
    [
        ({"max_difference": 1e-9}, "the largest difference of probabilities is"),
        ({"max_difference": None, "max_mean_difference": 1e-9}, "the mean difference of probabilities is"),
        ({"max_disagreements": -1}, "the number of other predictions of probabilities is 0, -1 allowed"),
    ],
)
def test_each_tolerance_is_kept(limits, reason, tmp_path):
    folder = with_limits(tmp_path / "export", **limits)
    (found,) = run_selftest(folder / "model_int8.onnx")[1]
    assert found.verdict == FAILED
    assert found.reasons[0].startswith(reason)


def test_another_machine_that_computes_something_else_fails(tmp_path):
    """The outputs that are expected are Keras', and not the file's own: a file with other weights, under its right digest."""
    folder = write_export(tmp_path / "export")
    write_onnx(folder / "model.onnx", scale=-0.05)
    digest = archive.digests(folder / "model.onnx")
    test = standalone.read(folder)
    test.record["artifacts"][0]["sha256"] = digest
    found = run.run_artifact(test, test.record["artifacts"][0], folder / "model.onnx", "quiet")
    assert found.verdict == FAILED
    assert standalone.run_artifact(test, test.record["artifacts"][0], folder / "model.onnx") == found


@pytest.mark.parametrize("found", [np.nan, np.inf])
def test_no_tolerance_lets_pass_what_is_no_number(found, small):
    test = standalone.read(small)
    outputs = {"probabilities": np.full_like(test.expected["probabilities"], found)}
    artifact = {**test.record["artifacts"][1], "outputs": {"probabilities": {}}}
    assert standalone.judge(test, artifact, outputs).verdict == FAILED


def test_an_output_that_is_missing_or_of_another_shape_fails(small):
    test = standalone.read(small)
    artifact = test.record["artifacts"][0]
    assert standalone.judge(test, artifact, {"logits": IMAGES}).reasons == ["has no output probabilities"]
    found = standalone.judge(test, artifact, {"probabilities": np.zeros((32, 4))})
    assert found.reasons == ["gives probabilities of shape (32, 4), (32, 3) expected"]


def test_a_file_that_passed_does_not_fail_where_its_few_mistakes_are_among_the_images():
    """Three in 1,000 may all be among the 32."""
    reference = np.eye(10)[np.arange(1000) % 10].astype(np.float32)
    rows = np.linspace(0, 999, 32).astype(int)
    found = reference.copy()
    found[rows[:4]] = np.roll(found[rows[:4]], 1, axis=1)
    verification = result("onnx_int8", found, reference, Tolerances({"probabilities": np.inf}, 1.0, 97.0))
    assert verification.passed
    limits = archive.tolerances(verification, "probabilities", reference, found, rows, np.ones(32, bool))
    test = standalone.SelfTest(IMAGES, {"probabilities": reference[rows]}, np.ones(32, bool), {})
    assert not standalone.compare(test, "probabilities", found[rows], limits)["failures"]
    limits.pop("max_mean_difference")
    found[rows[5]] = np.roll(found[rows[5]], 1)
    assert standalone.compare(test, "probabilities", found[rows], limits)["failures"]


def test_a_quantized_file_that_is_much_less_exact_than_at_its_export_fails():
    """int8 ONNX may saturate on another CPU: 32 images have too few mistakes to tell, but five times the error."""
    rng = np.random.default_rng(0)
    reference = rng.dirichlet(np.full(10, 0.1), 50).astype(np.float32)
    noise, rows = rng.normal(size=reference.shape).astype(np.float32) * 0.005, np.arange(50)
    verification = result("onnx_int8", reference + noise, reference, Tolerances({"probabilities": np.inf}, 1.0, 97.0))
    limits = archive.tolerances(verification, "probabilities", reference, reference + noise, rows, np.ones(50, bool))
    test = standalone.SelfTest(IMAGES, {"probabilities": reference}, np.ones(50, bool), {})
    for factor, failures in ((1, 0), (2.8, 0), (5, 1)):
        found = standalone.compare(test, "probabilities", reference + factor * noise, limits)
        assert len(found["failures"]) == failures, factor


def test_several_outputs_are_compared_each_by_its_own_tolerance(tmp_path):
    rng = np.random.default_rng(0)
    scores, features = rng.dirichlet(np.ones(3), 50).astype(np.float32), rng.normal(size=(50, 4, 4)).astype(np.float32)
    (tmp_path / "model_int8.onnx").write_text("any")
    reference, found = {"features": features, "logits": np.log(scores)}, {"features": features, "logits": np.log(scores)}
    tolerances = Tolerances({"features": np.inf, "logits": np.inf}, 1.0, 97.0)
    passed = (TARGETS["onnx_int8"], result("onnx_int8", scores, scores, tolerances), found)
    archive.write_selftest(tmp_path, 32, IMAGES, reference, [passed], types.SimpleNamespace(model="m", dataset=""))
    test = standalone.read(tmp_path)
    assert 0 < test.decided.sum() < 32
    (artifact,) = test.record["artifacts"]
    assert set(artifact["outputs"]["features"]) == {"max_difference", "max_mean_difference"}
    assert set(artifact["outputs"]["logits"]) == {"max_difference", "max_mean_difference", "max_disagreements"}
    assert standalone.judge(test, artifact, test.expected).verdict == PASSED
    shuffled = {**test.expected, "features": test.expected["features"][::-1]}
    assert [reason[:25] for reason in standalone.judge(test, artifact, shuffled).reasons] == ["the mean difference of fe"]


# Which artifacts are run


def test_one_artifact_is_run_by_itself_under_any_name(small):
    shutil.copy(small / "model_int8.onnx", small / "classifier.onnx")
    for name in ("model_int8.onnx", "classifier.onnx"):
        assert verdicts(run_selftest(small / name)[1]) == {"model_int8.onnx": PASSED}
        assert script(small / "verify.py", small / name).out.startswith("passed    model_int8.onnx")


def test_a_saved_model_is_found_by_its_own_path(exported):
    path = exported.folder / "saved_model"
    ((artifact, found),) = standalone.select(standalone.read(path), path, ())
    assert (artifact["file"], found) == ("saved_model", path)
    assert not standalone.differing_files(artifact, found)


def test_formats_choose(exported, small):
    assert set(verdicts(run_selftest(exported.folder, ["onnx"])[1])) == {"model.onnx", "model_fp16.onnx", "model_int8.onnx"}
    with pytest.raises(UserError, match="unknown format 'coreml'; the formats are saved_model, tflite, onnx, web"):
        run_selftest(exported.folder, ["coreml"])
    with pytest.raises(UserError, match=r"selftest\.npz is of model\.onnx, model_int8\.onnx, and not of tflite"):
        run_selftest(small, ["tflite"])
    done = script(small / "verify.py", "--formats=coreml")
    assert done.returncode == 2
    assert "unknown format coreml; the formats are saved_model, tflite, onnx, web" in done.err[-1]


def test_what_has_no_runtime_here_is_not_run_and_never_passed(small, exported, monkeypatch):
    monkeypatch.setitem(run.MODULES, "onnx", ("onnxruntime", "a_module_that_is_not_there"))
    _, results = run_selftest(small)
    assert verdicts(results) == {"model.onnx": NOT_RUN, "model_int8.onnx": NOT_RUN}
    assert results[0].reasons == ["its runtime is not installed: there is no a_module_that_is_not_there"]
    assert standalone.exit_status(results) == 2
    assert standalone.exit_status([*results, results[0]._replace(verdict=PASSED)]) == 1
    done = script(small / "verify.py", without=["onnxruntime"])
    assert done.returncode == 2
    assert done.out.startswith("not run   model.onnx                   its runtime is not installed: ")
    missing = ["ai_edge_litert", "tflite_runtime", "tensorflow"]
    done = script(exported.folder / "verify.py", without=missing)
    assert done.returncode == 1
    found = [line[:9].strip() for line in done.out.splitlines()[:7]]
    assert found == [UNCHANGED, *[NOT_RUN] * 3, *[PASSED] * 3]


def test_a_saved_model_that_the_script_does_not_run_is_named_and_its_digest_compared(exported, tmp_path):
    """It was left out without a word, changed or not."""
    folder = shutil.copytree(exported.folder, tmp_path / "export")
    done = script(folder / "verify.py")
    assert done.returncode == 0
    assert done.out.startswith("unchanged saved_model")
    (folder / "saved_model" / "saved_model.pb").write_bytes(b"another")
    done = script(folder / "verify.py")
    assert done.returncode == 1
    assert "saved_model.pb is not the file that was exported" in done.out
    assert script(folder / "verify.py", "--formats=saved_model").returncode == 1


def test_a_runtime_that_dies_costs_one_artifact(small, monkeypatch):
    """Its process is another one."""
    (small / "model.onnx").write_bytes(b"no model")
    test = standalone.read(small)
    artifact = {**test.record["artifacts"][0], "sha256": archive.digests(small / "model.onnx")}
    found = run.run_artifact(test, artifact, small / "model.onnx", "quiet")
    assert found.verdict == FAILED
    assert "cannot be loaded" in found.reasons[0]
    assert standalone.run_artifact(test, artifact, small / "model.onnx").verdict == FAILED


def test_keras_and_tensorflow_are_loaded_for_a_saved_model_only(small):
    blocked = "import sys; sys.modules['keras'] = sys.modules['tensorflow'] = None"
    done = keras_resnet_command("verify", small, before=blocked)
    assert (done.returncode, done.err) == (0, "")


@pytest.mark.parametrize("layout", ["nhwc", "nchw"])
@pytest.mark.parametrize("dtype", [TensorProto.UINT8, TensorProto.FLOAT])
def test_the_script_takes_pixels_in_any_order_and_type(layout, dtype, small):
    path = small / "model.onnx"
    expected = standalone.run_onnx(path, IMAGES)["probabilities"]
    model = onnx.load(path)
    (pixels,) = model.graph.input
    pixels.type.tensor_type.elem_type = dtype
    if layout == "nchw":
        model.graph.node[1].attribute[0].ints[:] = [2, 3]
        dimensions = pixels.type.tensor_type.shape.dim
        dimensions[1].dim_value, dimensions[3].dim_value = dimensions[3].dim_value, dimensions[1].dim_value
        model.metadata_props.add(key="layout", value="nchw")
    onnx.save(model, path)
    np.testing.assert_array_equal(standalone.run_onnx(path, IMAGES)["probabilities"], expected)


# Files


@pytest.mark.parametrize("kind", BAD_SELF_TESTS)
def test_a_damaged_self_test_is_one_line(kind, tmp_path):
    folder = write_bad(kind, tmp_path / "export")
    with pytest.raises(UserError, match=r"selftest\.npz") as refused:
        run_selftest(folder)
    assert len(str(refused.value).splitlines()) == 1
    with pytest.raises(SelfTestError):
        standalone.select(standalone.read(folder), folder, ())


def test_the_script_says_a_mistake_in_one_line(small, tmp_path):
    shutil.copy(small / "verify.py", tmp_path)
    done = script(tmp_path / "verify.py")
    assert (done.returncode, done.out, len(done.err)) == (2, "", 1)
    assert done.err[0].startswith(f"verify.py: {tmp_path} has no selftest.npz in it: ")
    (small / "selftest.npz").write_text("no archive")
    done = script(small / "verify.py")
    assert (done.returncode, done.out, len(done.err)) == (2, "", 1)


def test_an_earlier_self_test_goes_with_its_export_and_somebody_elses_script_stays(run, exported, tmp_path):
    source, folder = load_source_model(run.workdir / "model.keras"), tmp_path / "out"
    images, labels = np.zeros((4, 8, 8, 1), np.uint8), np.zeros(4, int)

    def export(count, formats=("onnx",)):
        config = ExportConfig(run.workdir / "model.keras", folder, formats, ("none",), selftest_images=count)
        return pipeline.export(config, source, images, labels)

    assert export(3).selftest_images == 3
    assert "selftest" in (folder / "README.md").read_text()
    assert export(0).selftest_images == 0
    assert not {path.name for path in folder.iterdir()} & set(archive.FILES)
    assert "selftest" not in (folder / "README.md").read_text()
    (folder / "verify.py").write_text("mine")
    with pytest.raises(UserError, match=r"holds verify\.py of another origin"):
        output_dir.check_output_dir(folder, source.metadata, ["onnx"])
    assert (folder / "verify.py").read_text() == "mine"


def test_an_export_that_failed_has_no_self_test(tmp_path):
    assert not archive.write_selftest(tmp_path, 32, IMAGES, {"probabilities": np.ones((50, 3))}, [], None)
    assert not list(tmp_path.iterdir())


# The machine


def test_this_machine_is_described():
    assert "unknown (" not in machine.describe_cpu()
    assert ": " in machine.describe_cpu()


NO_VECTORS = {"AVX2": False, "AVX512F": False, "AVX512VNNI": False}
AVX2 = {**NO_VECTORS, "AVX2": True}
LINUX_ARM = "processor : 0\nFeatures : fp asimd evtstrm aes asimddp i8mm\nCPU implementer : 0x41\n"
LINUX_X86 = "processor : 0\nmodel name : A CPU\nflags : sse2 avx2 avx_vnni\n\nprocessor : 1\nmodel name : A CPU\nflags : sse2\n"
MAC = "machdep.cpu.brand_string: Apple M1\nhw.optional.neon: 1\nhw.optional.arm.FEAT_DotProd: 1\nhw.optional.arm.FEAT_SME: 0\n"


@pytest.mark.parametrize(
    ("system", "architecture", "text", "cpuid", "line"),
    [
        ("Linux", "aarch64", LINUX_ARM, {}, "unknown CPU (aarch64): NEON yes, dotprod yes"),
        ("Linux", "x86_64", LINUX_X86, {}, "A CPU (x86_64): AVX2 yes, AVX-512 no, VNNI yes"),
        # An emulator's, which shows the host's file, and a CPU with VNNI for AVX2, which NumPy does not know.
        ("Linux", "x86_64", LINUX_X86, NO_VECTORS, "A CPU (x86_64): AVX2 no, AVX-512 no, VNNI no"),
        ("Linux", "x86_64", LINUX_X86, AVX2, "A CPU (x86_64): AVX2 yes, AVX-512 no, VNNI yes"),
        ("Linux", "riscv64", "", {}, "unknown CPU (riscv64): instructions unknown"),
        ("Darwin", "arm64", MAC, {}, "Apple M1 (arm64): NEON yes, dotprod yes"),
        ("Windows", "AMD64", "", AVX2, "P (amd64): AVX2 yes, AVX-512 no, VNNI unknown"),
        ("Plan9", "x86_64", "", {}, "P (x86_64): AVX2 unknown, AVX-512 unknown, VNNI unknown"),
    ],
)  # fmt: skip
def test_other_machines_are_described_as_they_say(system, architecture, text, cpuid, line, tmp_path, monkeypatch):
    """What cannot be known is called unknown, and not absent."""
    (tmp_path / "cpuinfo").write_text(text)
    (tmp_path / "sysctl").write_text(f"#!/bin/sh\necho '{text}'\n")
    (tmp_path / "sysctl").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin:/usr/bin")
    monkeypatch.setattr(machine, "CPUINFO", tmp_path / "cpuinfo")
    monkeypatch.setattr(machine, "BOARD", tmp_path / "none")
    monkeypatch.setattr(machine, "cpu_features", lambda: cpuid)
    monkeypatch.setattr(machine.platform, "system", lambda: system)
    monkeypatch.setattr(machine.platform, "machine", lambda: architecture)
    monkeypatch.setattr(machine.platform, "processor", lambda: "P")
    assert machine.describe_cpu() == line
