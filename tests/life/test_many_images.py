"""Catches a bad image that costs the answers for the good ones, and arguments as shells and people give them."""

import os

import numpy as np
import pytest
from life.artifacts import SIDE, write_onnx
from PIL import Image

from keras_resnet.cli import predict as command
from keras_resnet.export.runtime import Predictor, load_predictor


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return write_onnx(tmp_path_factory.mktemp("model") / "m.onnx")


@pytest.fixture
def predict(model, in_process, monkeypatch, tmp_path):
    """Runs the command in the folder of the images; the artifact in this process, which takes no time to start."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(command, "open_predictor", lambda *_, **__: Here(load_predictor(model)))
    return lambda *arguments: in_process("predict", f"--model_path={model}", *arguments)


class Here:
    def __init__(self, predictor):
        self.predictor = predictor

    def __enter__(self):
        return self.predictor

    def __exit__(self, *error):
        pass


def save(folder, *names):
    for name in names:
        Image.new("L", (SIDE, SIDE), 2).save(folder / name, "PNG")


ANSWER = "emu 0.8668, dog 0.1173, cat 0.0159"


def test_four_good_files_and_a_bad_one(predict, tmp_path):
    save(tmp_path, "1.png", "2.png", "3.png", "4.png")
    (tmp_path / "bad.png").write_text("no image")
    done = predict("1.png", "2.png", "bad.png", "3.png", "4.png")
    assert done.returncode == 1
    assert done.out.splitlines() == [f"{index}.png: {ANSWER}" for index in range(1, 5)]
    assert len(done.err.splitlines()) == 1
    assert done.err.startswith("keras-resnet: bad.png cannot be read as an image")


def test_what_is_left_out_is_named_and_counted(predict, tmp_path):
    save(tmp_path, "1.png")
    (tmp_path / "folder").mkdir()
    (tmp_path / "empty.png").touch()
    done = predict("folder", "1.png", "none.png", "empty.png", "1.png")
    assert (done.returncode, done.out.splitlines()) == (1, [f"1.png: {ANSWER}"] * 2)
    lines = done.err.splitlines()
    for name, line in zip(("folder is a folder: give its images", "none.png", "empty.png"), lines, strict=False):
        assert line.startswith(f"keras-resnet: {name}")
    assert lines[3:] == ["keras-resnet: 3 of 5 images have no answer"]


def test_no_answer_at_all_is_a_mistake(predict):
    assert predict("none.png", "nor.png").returncode == 2


@pytest.mark.parametrize("pattern", ["*.png", "[ab].png", "?.png"])
def test_wildcards_that_the_shell_left_as_they_are(pattern, predict, tmp_path):
    """As Windows' shells do."""
    save(tmp_path, "b.png", "a.png")
    done = predict(pattern)
    assert (done.returncode, done.out.splitlines()) == (0, [f"a.png: {ANSWER}", f"b.png: {ANSWER}"])


def test_a_file_whose_name_looks_like_a_pattern_is_that_file(predict, tmp_path):
    save(tmp_path, "[ab].png", "a.png")
    assert predict("[ab].png").out == f"[ab].png: {ANSWER}\n"


def test_flags_may_follow_the_images_and_names_may_begin_with_a_dash(predict, tmp_path):
    save(tmp_path, "a.png", "-b.png")
    assert predict("a.png", "--top=1").out == "a.png: emu 0.8668\n"
    assert predict("--top=1", "--", "-b.png", "a.png").out == "-b.png: emu 0.8668\na.png: emu 0.8668\n"
    long = f"-{'c' * 150}.png"
    save(tmp_path, long)
    assert predict("--top=1", "--", long).out == f"{long}: emu 0.8668\n"


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes")
def test_a_pipe_is_not_waited_for(predict, tmp_path):
    os.mkfifo(tmp_path / "pipe.png")
    save(tmp_path, "a.png")
    done = predict("pipe.png", "a.png")
    assert (done.returncode, done.err) == (
        1,
        "keras-resnet: pipe.png cannot be read as an image: it is a pipe, a socket or a device\n",
    )


def test_many_images_are_read_and_run_some_at_a_time(predict, tmp_path, monkeypatch):
    """Catches memory that grows with the number of arguments."""
    counts, run = [], Predictor.probabilities

    def counted(self, images):
        counts.append(len(images))
        return run(self, images)

    monkeypatch.setattr(Predictor, "probabilities", counted)
    save(tmp_path, "a.png")
    done = predict(*["a.png"] * 1000)
    assert len(done.out.splitlines()) == 1000
    assert max(counts) == 64
    assert sum(counts) == 1000


def test_an_image_without_a_finite_answer_is_named(predict, tmp_path, monkeypatch):
    save(tmp_path, "a.png", "b.png")
    answers = np.array([[0.25, 0.5, 0.25], [np.nan, 0, 0]])
    monkeypatch.setattr(Predictor, "probabilities", lambda self, images: answers)
    done = predict("a.png", "b.png")
    assert (done.returncode, done.out) == (1, "a.png: dog 0.5000, cat 0.2500, emu 0.2500\n")
    assert "b.png: " in done.err
    assert "NaN or infinite" in done.err
