"""Catches a mistake that is said only after TensorFlow has been imported, or after the data has been read."""

import dataclasses
import fcntl
import json
import sys

import pytest
from conftest import assert_refused, keras_resnet_command

from keras_resnet.training.config import TrainConfig
from keras_resnet.training.recipes import get_recipe

# Python that adds a line to standard error if TensorFlow or Keras has been imported when the command ends.
TELL = """
import atexit, os, sys
atexit.register(lambda: os.write(2, b"it is imported" * bool({"tensorflow", "keras"} & set(sys.modules))))
"""
DIGITS = ("train", "--model=ResNet20V2", "--dataset=digits", "--workdir={0}/new/run")
FOLDER = ("train", "--model=ResNet20V2", "--dataset=folder", "--workdir={0}/new/run")
EVALUATE = ("evaluate", "--model_path=ResNet20V2/digits")
EXPORT = ("export", "--model_path=ResNet20V2/digits", "--output_dir={0}/new/export")
IMPORT = ("import", "--model=ResNet20V1", "--output_path={0}/new.keras")

MISTAKES = [
    ((*DIGITS, "--workdir={0}/a.txt"), ["a.txt, which is a file"]),
    ((*DIGITS, "--workdir={0}/a.txt/run"), ["below", "a.txt, which is a file"]),
    ((*DIGITS, "--workdir={0}/others"), ["others is not empty and holds no run of this package"]),
    ((*DIGITS, "--workdir={0}/run", "--epochs=3"), ["holds another run, with", "recipe.epochs 1, not 3"]),
    ((*DIGITS, "--workdir={0}/run", "--epochs=1"), ["another process is training in"]),
    ((*DIGITS, "--strategy=magic"), ["unknown strategy 'magic'"]),
    ((*DIGITS, "--strategy=multi_worker"), ["multi_worker needs TF_CONFIG"]),
    ((*DIGITS, "--unit=v3"), ["unknown unit 'v3'"]),
    ((*DIGITS, "--freeze=stage4"), ["freeze names stage4", "stem, stage1, stage2, stage3, head"]),
    ((*DIGITS, "--freeze=stem,stage1,stage2,stage3,head"), ["nothing is left to train"]),
    ((*DIGITS, "--batch_size=9", "--gradient_accumulation_steps=2"), ["batch_size is 9"]),
    ((*DIGITS, "--weights={0}/none.h5"), ["no weights", "none.h5", "'digits'"]),
    ((*DIGITS, "--weights=ResNet56V2/digits"), ["no weights 'ResNet56V2/digits'"]),
    ((*DIGITS, "--weights={0}/a.txt"), ["a.txt is not a weight file"]),
    ((*DIGITS, "--weights={0}/others"), ["others cannot be read: it is a folder"]),
    ((*DIGITS, "--weights=imagenet"), ["no weights 'imagenet' for resnet20v2", "ResNet50V1"]),
    ((*DIGITS, "--weights=digits", "--block=bottleneck"), ["leave out block='bottleneck'"]),
    ((*DIGITS, "--weights=digits", "--crop_padding=9"), ["crop_padding is 9", "8 pixels"]),
    ((*DIGITS, "--image_size=32", "--cutout=33"), ["cutout is 33", "32 pixels"]),
    ((*DIGITS, "--data_dir={0}/a.txt"), ["a.txt, which is a file"]),
    ((*DIGITS, "--manual_dir={0}/none"), ["manual_dir is", "none, which is not a folder"]),
    ((*DIGITS, "--dataset=digts"), ["unknown dataset 'digts'", "did you mean digits"]),
    (FOLDER, ["dataset 'folder' needs --data_dir"]),
    ((*FOLDER, "--data_dir={0}/none"), ["none, which does not exist"]),
    (("launch", "--workers=2", "--", *DIGITS, "--weights={0}/none.h5"), ["no weights"]),
    (("evaluate", "--model_path={0}/none.keras"), ["no file or folder"]),
    ((*EVALUATE, "--dataset=digts"), ["unknown dataset 'digts'"]),
    ((*EVALUATE, "--dataset=folder", "--data_dir={0}/none"), ["none, which does not exist"]),
    (("predict", "--model_path=ResNet20V2/digits", "{0}/none.png"), ["none.png cannot be read as an image"]),
    ((*EXPORT, "--output_dir={0}/a.txt"), ["a.txt is a file"]),
    ((*EXPORT, "--quantize=int3"), ["unknown quantization 'int3'"]),
    ((*EXPORT, "--dataset=digts"), ["unknown dataset 'digts'"]),
    ((*EXPORT, "--labels={0}/none"), ["none cannot be read"]),
    ((*IMPORT, "--weights={0}/none.th", "--dataset=digits"), ["no weights", "none.th"]),
    ((*IMPORT, "--weights={0}/a.txt", "--dataset=digits"), ["a.txt is not a weight file"]),
    ((*IMPORT, "--weights={0}/a.txt"), ["--labels=FILE"]),
    ((*IMPORT, "--weights={0}/a.txt", "--labels={0}/none"), ["none cannot be read"]),
    ((*IMPORT, "--weights={0}/a.txt", "--dataset=digits", "--preprocessing=best"), ["unknown preset 'best'"]),
    (("import", "--model=ResNet20V1", "--weights={0}/a.txt", "--output_path={0}/a.txt"), ["must be a .keras file"]),
]


@pytest.mark.skipif(sys.platform == "win32", reason="no locks")
@pytest.mark.parametrize(("arguments", "parts"), MISTAKES)
def test_a_mistake_is_said_without_tensorflow_and_leaves_nothing_behind(arguments, parts, tmp_path, monkeypatch):
    for name in ("TF_CONFIG", "SLURM_STEP_NUM_TASKS"):
        monkeypatch.delenv(name, raising=False)
    (tmp_path / "a.txt").write_text("a text")
    (tmp_path / "others").mkdir()
    (tmp_path / "others" / "thesis.txt").write_text("precious")
    (tmp_path / "run").mkdir()
    config = TrainConfig("ResNet20V2", "digits", "digits", dataclasses.replace(get_recipe("digits"), epochs=1))
    (tmp_path / "run" / "config.json").write_text(json.dumps(config.to_dict()))
    before = sorted(tmp_path.rglob("*"))
    with (tmp_path / "run" / "config.json").open("r+") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        done = keras_resnet_command(*(argument.format(tmp_path) for argument in arguments), before=TELL)
    assert_refused(done, *parts)
    assert sorted(tmp_path.rglob("*")) == before


def test_only_the_chief_of_several_workers_asks_for_the_work_directory(tmp_path, monkeypatch):
    """Catches workers that refuse the run which their chief has just opened, or that all find out what is wrong with it."""
    from keras_resnet import UserError
    from keras_resnet.training.network.preflight import check_run

    config = TrainConfig("ResNet20V2", "digits", "digits", get_recipe("digits"))
    (tmp_path / "thesis.txt").write_text("precious")
    for cluster, job, index, chief in (
        ({"worker": ["a:1", "b:1"]}, "worker", 0, True),
        ({"worker": ["a:1", "b:1"]}, "worker", 1, False),
        ({"chief": ["a:1"], "worker": ["b:1"]}, "chief", 0, True),
        ({"chief": ["a:1"], "worker": ["b:1"]}, "worker", 0, False),
    ):
        monkeypatch.setenv("TF_CONFIG", json.dumps({"cluster": cluster, "task": {"type": job, "index": index}}))
        if chief:
            with pytest.raises(UserError, match="holds no run of this package"):
                check_run(config, tmp_path)
        else:
            check_run(config, tmp_path)
