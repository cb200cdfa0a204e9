"""Catches a column of the table of networks that training, the fold, a format or its verification cannot take."""

import json

import pytest

NETWORKS = {
    "deep, avg_pool, blur, se": "--model=ResNet20V1 --shortcut=B --stem=deep --projection=avg_pool --antialias=blur"
    " --attention=se",
    "tiered, avg, eca": "--model=ResNet20V2 --shortcut=B --stem=timm_tiered --antialias=avg --attention=eca",
    "rs, group": "--model=ResNet20V1 --shortcut=B --stem=rs --normalization=group --attention=se(0.25)",
    "bit, group_standardized": "--model=ResNet20V2 --shortcut=B --stem=bit --normalization=group_standardized",
    "wide, groups": "--model=SEResNeXt26D_32x4d --attention=none --stem=wide --width_multiplier=0.125 --output_stride=8"
    " --batch_size=32 --epochs=2",
}


@pytest.mark.slow
@pytest.mark.parametrize("name", NETWORKS)
def test_every_column_trains_is_exported_and_verified(name, in_process, tmp_path):
    flags = ("--dataset=digits", "--image_size=32", "--batch_size=128", "--epochs=1", f"--workdir={tmp_path / 'run'}")
    done = in_process("train", *flags, *NETWORKS[name].split(), "--verbosity=quiet")
    assert done.returncode == 0, done.err
    folder = tmp_path / "export"
    # One epoch leaves probabilities that are close together, where eight bits change more answers than in a trained network.
    flags = (f"--model_path={tmp_path / 'run' / 'model.keras'}", f"--output_dir={folder}", "--min_agreement=80")
    done = in_process("export", *flags, "--max_accuracy_drop=10", "--verbosity=quiet")
    report = json.loads((folder / "report.json").read_text())
    assert done.returncode == 0, done.out + done.err
    by_name = {row["name"]: row for row in report["artifacts"]}
    assert {"saved_model", "tflite", "tflite_int8", "onnx", "onnx_int8"} <= set(by_name)
