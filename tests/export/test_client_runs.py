"""Catches a client that is wrong and passes, one that costs others their answer, and a user not told what to install."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest
from conftest import assert_refused

from keras_resnet import UserError
from keras_resnet.export.clients import install, installation, run, table, verify
from keras_resnet.export.clients.installation import Installation, NotInstalledError
from keras_resnet.export.clients.result import BatchAnswer, judge
from keras_resnet.export.clients.run import ClientTask, run_client
from keras_resnet.export.clients.table import CLIENTS, GROUPS, Client, select_clients
from keras_resnet.export.config import ExportConfig
from keras_resnet.export.runtime import load_predictor
from keras_resnet.export.targets import TARGETS, select_targets
from keras_resnet.export.verification.result import Tolerances

# Clients that are scripts of this test: what stands here is their `run`, on an artifact that is a file with a word in it.
SCRIPT = """
import os, sys
sys.path.insert(0, {scripts!r})
from protocol import answer
import numpy as np

def load(artifact, size):
    word = open(artifact["path"]).read()
    if word == "crash":
        os._exit(3)
    if word == "converts":
        return "converted"
    if word == "broken":
        raise RuntimeError("no such operator\\nin line 3")
    return lambda images: {{"other_name": np.full((len(images), 2), len(images) * len(word) + images[0, 0, 0, 0], "uint8")}}

answer({{"fake": "1.0"}}, load)
"""


@pytest.fixture
def fake(tmp_path, monkeypatch):
    """A client whose script runs in this interpreter."""
    script = tmp_path / "fake_client.py"
    script.write_text(SCRIPT.format(scripts=str(installation.SCRIPTS)))
    return Installation(Client("fake", "Fake", ("fake",), str(script), {"tflite": ("none",)}), sys.executable)


def tasks(folder, *words):
    for word in words:
        (folder / word).write_text(word)
    return [ClientTask(word, folder / word, "tflite", "nhwc", "uint8", (), {"other_name": (0.5, 2)}) for word in words]


def test_an_artifact_that_ends_the_process_costs_no_other_its_answer(fake, tmp_path):
    answers = list(
        run_client(fake, tasks(tmp_path, "a", "crash", "broken", "converts", "ab"), np.zeros((3, 2, 2, 1), np.uint8))
    )
    assert [answer.name for answer in answers] == ["a", "crash", "broken", "converts", "ab"]
    assert answers[1].batches[8].error == "its process ended with exit status 3"
    assert answers[2].batches[1].error == "RuntimeError: in line 3"
    assert answers[3].batches[8].note == "converted"
    assert answers[4].versions == {"fake": "1.0"}


def test_batches_are_whole_images_in_order_and_integers_have_their_scale(fake, tmp_path):
    images = np.arange(3, dtype=np.uint8).reshape(3, 1, 1, 1) * np.ones((1, 2, 2, 1), np.uint8)
    (answer,) = run_client(fake, tasks(tmp_path, "a"), images)
    np.testing.assert_array_equal(answer.batches[1].outputs["other_name"][:, 0], [-0.5, 0, 0.5])  # (1 + pixel - 2) / 2
    np.testing.assert_array_equal(answer.batches[8].outputs["other_name"][:, 0], [3, 3, 3])


def test_a_client_that_hangs_is_ended(fake, tmp_path, monkeypatch):
    monkeypatch.setattr(run, "SECONDS", 0.01)
    (answer,) = run_client(fake, tasks(tmp_path, "a"), np.zeros((1, 2, 2, 1), np.uint8))
    assert answer.batches[1].error == "its process did not end within 0.01 s"


def probabilities(count=40, classes=4):
    scores = np.random.default_rng(0).dirichlet(np.full(classes, 0.2), count)
    return {"probabilities": scores}


def judged(outputs, max_difference=1e-4, reference=None, client="openvino"):
    answers = {size: BatchAnswer(found) for size, found in outputs.items()}
    reference = reference or probabilities()
    return judge(CLIENTS[client], TARGETS["onnx"], {}, answers, reference, Tolerances({"probabilities": max_difference}, 1.0))


def test_what_agrees_passes_whatever_the_reader_calls_the_output():
    result = judged({1: probabilities(), 8: {"StatefulPartitionedCall:0": probabilities()["probabilities"]}})
    assert result.passed
    assert (result.max_difference, result.agreement, result.batch_sizes) == (0, 1, (1, 8))


@pytest.mark.parametrize("wrong", ["shape", "values", "nan", "order", "missing"])
def test_a_client_that_answers_otherwise_passes_in_one_batch_size_alone(wrong):
    right = probabilities()["probabilities"]
    found = {
        "shape": {"probabilities": right[:, np.newaxis]},
        "values": {"probabilities": right + 2e-4},
        "nan": {"probabilities": np.where(right == right.max(), np.nan, right)},
        "order": {"probabilities": right[::-1]},
        "missing": {},
    }[wrong]
    assert not judged({1: probabilities(), 8: found}).passed
    assert not judged({1: found, 8: probabilities()}).passed


def test_integers_are_judged_by_the_predictions_on_decided_images():
    reference = probabilities()
    flipped = reference["probabilities"].copy()
    flipped[:4] = flipped[:4, ::-1]
    assert not judged({1: {"probabilities": flipped}}, np.inf, reference).passed
    second, best = np.sort(reference["probabilities"], axis=1)[:, -2:].T
    close = best - second < 0.1
    assert close.any()
    flipped = np.where(close[:, np.newaxis], reference["probabilities"][:, ::-1], reference["probabilities"])
    assert judged({1: {"probabilities": flipped}}, np.inf, reference).passed


def test_an_unknown_client_and_one_that_reads_nothing_of_the_export_are_refused():
    with pytest.raises(UserError, match=r"unknown client 'openvin'; the clients are openvino, .*, opencv, web"):
        select_clients(["openvin"], TARGETS.values())
    with pytest.raises(UserError, match="vela reads none of onnx"):
        select_clients(["vela"], select_targets(["onnx"]).values())
    chosen = select_clients(["web"], select_targets(["onnx"]).values())
    assert [client.name for client in chosen] == ["onnxruntime_web"]
    assert all(set(members) <= set(CLIENTS) for members in GROUPS.values())


def test_a_client_that_is_nowhere_is_refused_with_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setattr(installation, "versions", lambda distributions: [])
    with pytest.raises(NotInstalledError, match="openvino is not installed: pip install 'openvino>="):
        ExportConfig(Path("m.keras"), Path("out"), verify_in=("openvino",), clients_dir=str(tmp_path))
    monkeypatch.setattr(installation.shutil, "which", lambda name: None)
    with pytest.raises(NotInstalledError, match="no node is on the PATH"):
        ExportConfig(Path("m.keras"), Path("out"), verify_in=("web",), clients_dir=str(tmp_path))


def test_a_client_beside_this_package_is_found_if_its_version_is_within_the_range(tmp_path, monkeypatch):
    monkeypatch.setattr(installation, "versions", lambda distributions: ["4.14.0.94"])
    assert installation.find_installation(CLIENTS["opencv4"], tmp_path).interpreter == sys.executable
    with pytest.raises(NotInstalledError, match="opencv5 is not installed"):
        installation.find_installation(CLIENTS["opencv5"], tmp_path)
    found = installation.find_installations(["opencv"], [CLIENTS["opencv4"], CLIENTS["opencv5"]], tmp_path)
    assert [one.client.name for one in found] == ["opencv4"]


def test_gray_images_for_a_client_of_color_are_refused_before_anything_is_computed():
    with pytest.raises(UserError, match="mediapipe takes images of 3 or 4 channels, this network's have 1"):
        verify.check_channels([Installation(CLIENTS["mediapipe"], sys.executable)], 1)


def test_a_client_that_cannot_be_installed_stops_no_other_and_leaves_nothing(tmp_path, monkeypatch, capsys):
    def made(client, folder):
        if client.name == "vela":
            raise UserError("vela: cannot be installed: no such package")
        (folder / "there").touch()

    monkeypatch.setattr(install, "install_pip", made)
    assert install.main([f"--folder={tmp_path}", "vela", "openvino"]) == 1
    printed = capsys.readouterr()
    assert printed.err == "keras-resnet: vela: cannot be installed: no such package\n"
    assert printed.out.startswith("openvino: installed")
    assert [path.name for path in tmp_path.iterdir()] == ["openvino"]
    assert install.main([f"--folder={tmp_path}", "openvino"]) == 0
    assert capsys.readouterr().out == "openvino: is there\n"
    monkeypatch.setitem(table.CLIENTS, "openvino", Client("openvino", "OpenVINO", ("openvino>=9",), "x.py", {}))
    assert not installation.is_complete(CLIENTS["openvino"], tmp_path / "openvino"), "the range has changed"


def test_the_command_fails_with_a_client_that_disagrees_and_names_it(
    run, exported, data_dir, tmp_path, in_process, monkeypatch
):
    """The artifact itself has passed, and keeps its name."""
    script = tmp_path / "wrong_client.py"
    wrong = SCRIPT.replace("def load", "def unused").replace("answer({{", "load = lambda artifact, size: lambda images: "
        "{{'probabilities': np.full((len(images), 10), 0.1)}}\nanswer({{")  # fmt: skip
    script.write_text(wrong.format(scripts=str(installation.SCRIPTS)))
    client = Client("wrong", "Wrong", ("pip>=1",), str(script), {"tflite": ("none",)}, distributions=("pip",))
    monkeypatch.setitem(CLIENTS, "wrong", client)
    arguments = ("export", f"--model_path={run.workdir / 'model.keras'}", f"--data_dir={data_dir}")
    folder = tmp_path / "out"
    done = in_process(*arguments, f"--output_dir={folder}", "--formats=tflite", "--quantize=none", "--verify_in=wrong")
    assert (done.returncode, done.err) == (1, "")
    assert "Wrong fails with tflite" in done.out
    assert (folder / "model.tflite").exists()
    (record,) = json.loads((folder / "report.json").read_text())["clients"]
    assert (record["client"], record["passed"], record["images"]) == ("wrong", False, 200)
    assert "Wrong fails with tflite" in (folder / "report.html").read_text()
    assert "Other runtimes" not in (exported.folder / "report.html").read_text()
    done = in_process(*arguments, f"--output_dir={tmp_path / 'none'}", "--formats=onnx", "--verify_in=wrong")
    assert_refused(done, "wrong reads none of onnx")
    assert tuple(load_predictor(folder / "model.tflite").outputs) == ("probabilities",)
