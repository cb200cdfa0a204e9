"""Catches a traceback, a wrong exit status, or harm done by a mistake."""

import pytest
from conftest import assert_refused

from keras_resnet.training.recipes import RECIPES

EXPORT = ("export", "--model_path={1}/model.keras", "--output_dir={0}/out")


IMPORT = ("import", "--model=ResNet20V1", "--weights={0}/a.txt")


TRAIN = ("train", "--model=ResNet20V2", "--dataset=digits", "--workdir={0}/new")


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        (("trian",), ["unknown command 'trian'", "list, train, launch, import, evaluate, predict, export, verify, benchmark"]),
        (("train", "--model=ResNet20V2"), ["train needs --workdir"]),
        (("train", "--model=ResNet20V2", "--workdir={0}/new"), ["train needs --dataset, or --config"]),
        ((*TRAIN, "--config={0}/none.json"), ["none.json cannot be read"]),
        ((*TRAIN, "--config={0}/a.txt"), ["a.txt cannot be read"]),
        ((*TRAIN, "--weights={0}/a.txt"), ["a.txt is not a weight file"]),
        ((*TRAIN, "--weights={0}/none.h5"), ["no weights", "none.h5"]),
        ((*TRAIN, "--skip_head"), ["skip_head goes with weights"]),
        ((*TRAIN, "--freeze=stage4"), ["freeze names stage4", "stem, stage1, stage2, stage3, head"]),
        ((*TRAIN, "--freeze=stem,stage1,stage2,stage3,head"), ["nothing is left to train"]),
        ((*TRAIN, "--precision=int8"), ["unknown precision 'int8'", "mixed_bfloat16"]),
        ((*TRAIN, "--on_bad_image=cry"), ["unknown on_bad_image 'cry'", "skip, fail"]),
        ((*TRAIN, "--image_size=0"), ["image_size is 0"]),
        (
            (*TRAIN, "--batch_size=9", "--gradient_accumulation_steps=2"),
            ["batch_size is 9", "divisible by 1 replicas times 2 gradient_accumulation_steps"],
        ),
        ((*TRAIN, "--checkpoint_minutes=0"), ["checkpoint_minutes is 0.0"]),
        ((*TRAIN, "--strategy=tpu"), ["strategy tpu finds no TPU"]),
        ((*TRAIN, "--strategy=multi_worker"), ["multi_worker needs TF_CONFIG"]),
        (("launch", "--workers=2"), ["launch needs -- train"]),
        (("launch", "--workers=0", "--", "train"), ["workers", "0"]),
        (("launch", "--workers=2", "--", "evaluate"), ["launch takes `train`", "'evaluate'"]),
        (("train", "--model=ResNet20V2", "--dataset=folder", "--data_dir={0}", "--workdir={0}/new"), ["has 0 class folders"]),
        ((*TRAIN, "--epoch=3"), ["unknown flag --epoch", "did you mean --epochs?"]),
        ((*TRAIN, "--epochs=three"), ["epochs", "three"]),
        ((*TRAIN, "--milestones=a"), ["milestones", "'a'"]),
        ((*TRAIN, "--ema=0.9"), ["unknown flag --ema", "--ema_momentum"]),
        ((*TRAIN, "--accumulate=2"), ["unknown flag --accumulate"]),
        ((*TRAIN, "--recipe=best"), ["unknown recipe 'best'", ", ".join(RECIPES)]),
        ((*TRAIN, "--unit=v3"), ["unknown unit 'v3'", "original, bn_after_addition"]),
        ((*TRAIN, "--shortcut=Z"), ["unknown shortcut 'Z'", "A, B, C, vd, none"]),
        ((*TRAIN, "--stochastic_depth=1"), ["stochastic_depth is 1.0"]),
        ((*TRAIN, "--output_stride=5"), ["output_stride is 5", "1, 2, 4"]),
        ((*TRAIN, "--strategy=magic"), ["unknown strategy 'magic'", "auto, one_device"]),
        ((*TRAIN, "--validation_fraction=1"), ["validation_fraction is 1.0"]),
        ((*TRAIN, "--seed=-1"), ["seed is -1"]),
        ((*TRAIN, "--seed=99999999999"), ["seed is 99999999999"]),
        ((*TRAIN, "--crop_padding=2000000000"), ["crop_padding is 2000000000", "8 pixels"]),
        ((*TRAIN, "--weight_decay=inf"), ["weight_decay is inf"]),
        (("train", "--model=ResNet20V2", "--dataset=digits", "--workdir="), ["train needs --workdir"]),
        (
            ("train", "--model=ResNet20V2", "--dataset=imdb_reviews", "--workdir={0}/new"),
            ["does not have an image and a label"],
        ),
        ((*TRAIN, "--verbosity=loud"), ["verbosity", "quiet|warning|info"]),
        ((*TRAIN, "--flagfile={0}/none"), ["none"]),
        ((*TRAIN, "extra"), ["takes flags only, not extra"]),
        (("train", "--model=ResNet21V2", "--dataset=digits", "--workdir={0}/new"), ["ResNet21V2", "6n+2", "ResNet20V2"]),
        (("train", "--model=ResNet20V2", "--dataset=digts", "--workdir={0}/new"), ["unknown dataset 'digts'", "digits"]),
        (("train", "--model=ResNet20V2", "--dataset=digits", "--workdir={0}/a.txt"), ["a.txt"]),
        (("train", "--model=ResNet20V2", "--dataset=digits", "--workdir={0}/a.txt/new"), ["a.txt"]),
        (("train", "--model=ResNet20V2", "--dataset=digits", "--workdir=/proc/new"), ["/proc/new"]),
        (("evaluate", "--model_path={0}/none.keras"), ["none.keras"]),
        (
            ("evaluate", "--model_path={0}/a.txt"),
            ["a.txt is not a .keras, .tflite or .onnx file nor a SavedModel or web page folder"],
        ),
        (("evaluate", "--model_path={0}"), ["carries no labels"]),
        (("predict", "--model_path={1}/model.keras"), ["predict needs IMAGE..."]),
        (("predict", "--model_path={1}/model.keras", "{0}/a.txt"), ["a.txt cannot be read as an image"]),
        (("predict", "--model_path={1}/model.keras", "{0}/none.png"), ["none.png"]),
        (("import", "--model=ResNet20V1", "--weights={0}/a.txt"), ["import needs --output_path"]),
        ((*IMPORT, "--output_path={0}/b.h5", "--dataset=digits"), ["b.h5", ".keras"]),
        ((*IMPORT, "--output_path={0}/a.keras"), ["--labels=FILE", "--dataset=NAME"]),
        ((*IMPORT, "--output_path={0}/a.keras", "--labels={0}/none"), ["none"]),
        ((*IMPORT, "--output_path={0}/a.keras", "--dataset=digits"), ["a.txt is not a weight file"]),
        (
            ("import", "--model=ResNet20V1", "--weights=imagenet", "--output_path={0}/a.keras", "--dataset=digits"),
            ["ResNet50V1"],
        ),
        (("benchmark", "--task=dreams", "--model=ResNet20V1"), ["unknown --task 'dreams'", "input, train, fit, start, build"]),
        (("benchmark", "--task=build", "--model=ResNet20V1", "--json={0}/none/b.json"), ["none/b.json", "not there"]),
        (("benchmark", "--task=build", "--model=ResNet21V1"), ["ResNet21V1", "ResNet20V1"]),
        (("evaluate", "--model_path={1}/model.keras", "--dataset=mnistt"), ["unknown dataset 'mnistt'"]),
        (("export", "--model_path={0}/a.txt", "--output_dir={0}/out"), ["a.txt"]),
        (("export", "--model_path={1}/model.keras", "--output_dir={0}/a.txt"), ["a.txt is a file"]),
        ((*EXPORT, "--formats=coreml"), ["coreml", "onnx"]),
        ((*EXPORT, "--min_agreement=101"), ["min_agreement is 101.0", "0 to 100"]),
        (("verify",), ["verify needs FOLDER"]),
        (("verify", "{0}", "{1}"), ["verify takes one folder or artifact"]),
        (("verify", "{0}"), ["has no selftest.npz"]),
        (("verify", "{0}/a.txt"), ["there is no selftest.npz beside"]),
        (("verify", "{0}/none"), ["no file or folder", "none"]),
        (("verify", "{0}", "--formats=tf"), ["unknown format 'tf'", "saved_model, tflite, onnx"]),
        (("verify", "{0}", "--json={0}/a.txt"), ["a.txt", "exists already"]),
        ((*EXPORT, "--output=x"), ["probabilities, logits"]),
        ((*EXPORT, "--quantize=int4"), ["unknown quantization 'int4'", "int8_dynamic"]),
        ((*EXPORT, "--formats=onnx", "--quantize=int16x8"), ["no int16x8 in onnx", "onnx has none, fp16, int8"]),
        ((*EXPORT, "--formats=onnx", "--calibration=mse"), ["no mse calibration in onnx", "minmax, percentile, entropy"]),
        ((*EXPORT, "--quantize=int8", "--calibration_images=3"), ["cannot be calibrated on 3 images", "at least 16"]),
        ((*EXPORT, "--opset=99"), ["opset is 99", "9 to 21"]),
        ((*EXPORT, "--normalization=tf"), ["has its own preprocessing"]),
    ],
)
def test_a_mistake_ends_with_2_and_one_line_and_no_harm(arguments, parts, run, tmp_path, data_dir, in_process):
    (tmp_path / "a.txt").write_text("a text")
    arguments = [argument.format(tmp_path, run.workdir) for argument in arguments]
    if arguments[0] in ("train", "export") and not any(argument.startswith("--data_dir") for argument in arguments):
        arguments.insert(1, f"--data_dir={data_dir}")
    assert_refused(in_process(*arguments), *parts)
    assert [path.name for path in tmp_path.iterdir()] == ["a.txt"]
    assert (tmp_path / "a.txt").read_text() == "a text"
