"""Catches a command that reads images in a way of its own: each takes what is usable, and names and counts the rest."""

import pytest
from life.artifacts import LABELS, write_onnx
from life.pictures import FORMS, UNUSABLE

from keras_resnet.cli import evaluate, predict
from keras_resnet.export.runtime import load_predictor

USABLE_COUNT = len(FORMS) - len(UNUSABLE)


class Here:
    """An artifact in this process, which takes no time to start."""

    def __init__(self, path, *_, **__):
        self.predictor = load_predictor(path)

    def __enter__(self):
        return self.predictor

    def __exit__(self, *error):
        pass


@pytest.fixture
def command(in_process, monkeypatch, tmp_path):
    model = write_onnx(tmp_path / "m.onnx")
    for module in (predict, evaluate):
        monkeypatch.setattr(module, "open_predictor", Here)
    return lambda name, *arguments: in_process(name, f"--model_path={model}", *arguments)


@pytest.fixture
def paths(tmp_path):
    """All forms of images, in the folders of the classes of a test split, and below these."""
    found = []
    for number, (name, content) in enumerate(FORMS.items()):
        path = tmp_path / "images" / "test" / LABELS[number % len(LABELS)] / "below" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content())
        found.append(path)
    return found


def test_predict_answers_for_all_that_is_usable(command, paths):
    done = command("predict", *paths)
    assert done.returncode == 1
    assert [line.partition(": ")[0] for line in done.out.splitlines()] == [str(p) for p in paths if p.name not in UNUSABLE]
    assert len(done.err.splitlines()) == len(UNUSABLE) + 1


def test_evaluate_measures_all_that_is_usable(command, paths, tmp_path):
    done = command("evaluate", "--dataset=folder", f"--data_dir={tmp_path / 'images'}")
    assert done.returncode == 0, done.err
    assert done.out.strip().endswith(f"images {USABLE_COUNT}")
    assert f"{len(UNUSABLE)} of {len(FORMS)} images cannot be read: " in done.err
    assert len(done.err.splitlines()) == 1
