"""Catches metrics that are lost, doubled or not JSON, events that TensorBoard cannot overlay, and a bar in a log file."""

import io
import json

import keras
import numpy as np
import pytest
import tensorflow as tf
from rich.console import Console
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from keras_resnet.training.callbacks.loggers import METRICS_FILE, JsonlLogger, ProgressBar, TensorBoardLogger, read_metrics

LOGS = {"loss": 0.5, "accuracy": 0.9, "val_loss": 0.6, "val_accuracy": 0.8, "learning_rate": 0.1, "images_per_second": 1234.5}


def log_epochs(workdir, done, epochs):
    callbacks = keras.callbacks.CallbackList([JsonlLogger(workdir, done)])
    for epoch in range(done, epochs):
        callbacks.on_epoch_end(epoch, LOGS)
    return callbacks


def test_every_epoch_and_the_test_are_a_line(tmp_path):
    callbacks = log_epochs(tmp_path, 0, 2)
    callbacks.on_test_begin()
    callbacks.on_test_end({"accuracy": 0.7, "images": 10})
    assert read_metrics(tmp_path) == [{"epoch": 1, **LOGS}, {"epoch": 2, **LOGS}, {"test": {"accuracy": 0.7, "images": 10}}]
    assert len((tmp_path / METRICS_FILE).read_text().splitlines()) == 3


@pytest.mark.parametrize("end", ["", '{"epoch": 4, "lo', "\x00\x00", '{"test": {"loss": 1}}\n'])
def test_a_continued_run_has_every_epoch_once(end, tmp_path):
    """However it ended: the third epoch is logged but after the checkpoint, and perhaps a line is cut short."""
    log_epochs(tmp_path, 0, 3)
    with (tmp_path / METRICS_FILE).open("a") as file:
        file.write(end)
    log_epochs(tmp_path, 2, 5)
    assert [record["epoch"] for record in read_metrics(tmp_path)] == [1, 2, 3, 4, 5]


def test_what_is_not_finite_is_null_and_tensors_are_numbers(tmp_path):
    values = {"loss": float("nan"), "val_loss": np.float32("inf"), "rate": tf.constant(0.5), "steps": np.int64(3)}
    JsonlLogger(tmp_path, 0).on_epoch_end(0, values)
    JsonlLogger(tmp_path, 1).on_test_end({"loss": -np.inf})

    def refuse(constant):
        raise AssertionError(f"{constant} is not JSON")

    lines = (tmp_path / METRICS_FILE).read_text().splitlines()
    assert [json.loads(line, parse_constant=refuse) for line in lines] == [
        {"epoch": 1, "loss": None, "val_loss": None, "rate": 0.5, "steps": 3},
        {"test": {"loss": None}},
    ]


def test_an_older_file_with_a_nan_is_still_read(tmp_path):
    (tmp_path / METRICS_FILE).write_text('{"epoch": 1, "loss": NaN}\n')
    JsonlLogger(tmp_path, 1)
    assert read_metrics(tmp_path) == [{"epoch": 1, "loss": None}]


def test_a_metrics_file_that_cannot_be_written_is_named(tmp_path):
    metrics = JsonlLogger(tmp_path, 0)
    (tmp_path / METRICS_FILE).unlink()
    (tmp_path / METRICS_FILE).mkdir()
    with pytest.raises(OSError, match=METRICS_FILE):
        metrics.on_epoch_end(0, LOGS)


def events(folder):
    """{tag: [(step, value)]} of one run."""
    accumulator = EventAccumulator(str(folder), size_guidance={"tensors": 0}).Reload()
    return {tag: [(e.step, e.tensor_proto) for e in accumulator.Tensors(tag)] for tag in accumulator.Tags()["tensors"]}


def scalars(folder):
    return {tag: [(step, float(tf.make_ndarray(value))) for step, value in found] for tag, found in events(folder).items()}


def test_training_and_validation_share_a_chart(tmp_path):
    file = TensorBoardLogger(tmp_path)
    file.on_epoch_end(0, LOGS)
    file.on_epoch_end(1, {**LOGS, "gradient_norm": 2.0})
    training, validation = scalars(tmp_path / "events" / "train"), scalars(tmp_path / "events" / "validation")
    names = ("loss", "accuracy", "learning_rate", "images_per_second", "gradient_norm")
    assert set(training) == {f"epoch_{name}" for name in names}
    assert set(validation) == {"epoch_loss", "epoch_accuracy"}
    assert training["epoch_loss"] == [(1, 0.5), (2, 0.5)]
    assert training["epoch_gradient_norm"] == [(2, 2.0)]
    assert validation["epoch_accuracy"] == [(1, pytest.approx(0.8)), (2, pytest.approx(0.8))]


def test_every_execution_is_logged_by_step(tmp_path):
    file = TensorBoardLogger(tmp_path)
    for batch in (9, 19):
        file.on_train_batch_end(batch, {"loss": 1.0 / (batch + 1), "gradient_norm": 3.0})
    file.on_train_batch_end(29)
    file.on_train_end()
    found = scalars(tmp_path / "events" / "train")
    assert found == {
        "batch_loss": [(9, pytest.approx(0.1)), (19, pytest.approx(0.05))],
        "batch_gradient_norm": [(9, 3.0), (19, 3.0)],
    }
    assert not (tmp_path / "events" / "validation").exists()


@pytest.mark.parametrize("channels", [1, 3])
def test_a_batch_is_one_image_even_after_the_training(channels, rng, tmp_path):
    file = TensorBoardLogger(tmp_path)
    file.on_train_end()
    file.images("augmented", rng.integers(0, 256, (10, 8, 8, channels)).astype(np.uint8), 7)
    ((step, value),) = events(tmp_path / "events" / "train")["augmented"]
    width, height, *encoded = tf.make_ndarray(value)
    assert (step, int(width), int(height), len(encoded)) == (7, 8 * 64, 2 * 64, 1)
    assert tf.io.decode_png(encoded[0]).shape == (2 * 64, 8 * 64, channels)


def test_nothing_is_written_before_there_is_something_to_write(tmp_path):
    TensorBoardLogger(tmp_path).on_train_end()
    assert list(tmp_path.iterdir()) == []


def test_an_event_folder_that_cannot_be_made_is_an_os_error(tmp_path):
    (tmp_path / "events").write_text("in the way")
    with pytest.raises(OSError, match="events"):
        TensorBoardLogger(tmp_path).on_epoch_end(0, LOGS)


def watch(terminal, epochs_done=0, steps_done=0, logs=LOGS):
    """What is printed of a run of three epochs of 20 steps, ten a call."""
    file = io.StringIO()
    console = Console(
        file=file, force_terminal=terminal, force_interactive=terminal, width=120, highlight=False, soft_wrap=True
    )
    progress = ProgressBar(3, 20, epochs_done, steps_done, console=console)
    progress.on_train_begin()
    for epoch in range(epochs_done, 3):
        progress.on_train_batch_end(epoch * 20 + 9, {"loss": 0.25, "images_per_second": 2000.0})
        progress.on_train_batch_end(epoch * 20 + 19)
        progress.on_epoch_end(epoch, logs)
    progress.on_train_end()
    return file.getvalue()


LINE = "epoch {}/3  loss 0.5000  accuracy 90.00%  validation 80.00%  learning rate 0.1000  1,234 images/s"


def test_without_a_terminal_there_is_a_plain_line_per_epoch():
    assert watch(False).splitlines() == [LINE.format(epoch) for epoch in (1, 2, 3)]


def test_on_a_terminal_the_lines_stand_above_a_bar():
    found = watch(True)
    assert all(LINE.format(epoch) in found for epoch in (1, 2, 3))
    assert "━" in found


def test_the_bar_tells_the_epoch_the_step_the_loss_and_the_speed():
    progress = ProgressBar(
        3, 20, 0, console=Console(file=io.StringIO(), force_terminal=True, force_interactive=True, width=120)
    )
    progress.on_train_batch_end(29, {"loss": 0.25, "images_per_second": 2000.0})
    console = Console(file=io.StringIO(), width=120)
    console.print(progress._bar.get_renderable())
    assert console.file.getvalue().startswith("epoch 2/3 ━")
    assert "step 10/20  loss 0.2500  2,000 images/s" in console.file.getvalue()
    (task,) = progress._bar.tasks
    assert (task.completed, task.total) == (30, 60)


@pytest.mark.parametrize(
    ("epochs_done", "steps_done", "line"),
    [
        (1, 0, "continuing after epoch 1/3"),
        (1, 5, "continuing after step 5/20 of epoch 2/3"),
        (0, 5, "continuing after step 5/20 of epoch 1/3"),
    ],
)
def test_a_continued_run_says_where_it_goes_on(epochs_done, steps_done, line):
    lines = watch(False, epochs_done, steps_done).splitlines()
    assert lines == [line, *(LINE.format(epoch) for epoch in range(epochs_done + 1, 4))]


def test_a_finished_run_shows_no_bar():
    assert watch(True, 3) == ""


def test_without_a_validation_the_line_does_not_speak_of_one():
    lines = watch(False, logs={"loss": 0.5, "accuracy": 0.9}).splitlines()
    assert lines[0] == "epoch 1/3  loss 0.5000  accuracy 90.00%"
