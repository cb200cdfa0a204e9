"""Catches a traceback, a wrong exit status, noise, or harm done by a mistake."""

import copy
import json
import os
import signal
import sys
import types

import keras
import pytest
from conftest import keras_resnet_command
from PIL import Image
from safetensors.numpy import save_file
from test_references import state_dict

import keras_resnet
from keras_resnet import cli, environment
from keras_resnet.cli import command as command_line
from keras_resnet.cli.artifacts import exit_on_sigterm
from keras_resnet.metadata import ClassifierMetadata

ARTIFACTS = ("model.keras", "export/saved_model", "export/model.tflite", "export/model.onnx")


def assert_refused(done, *parts):
    """One line on standard error, nothing on standard output, exit status 2."""
    assert done.returncode == 2, done.err
    assert done.out == ""
    assert len(done.err.splitlines()) == 1, done.err
    assert done.err.startswith("keras-resnet: ")
    for part in parts:
        assert part in done.err


def test_training_is_quiet_but_for_its_own_lines(run):
    assert run.err == ""
    lines = run.out.splitlines()
    assert [line.split()[:2] for line in lines[:-1]] == [["epoch", f"{epoch}/8"] for epoch in range(1, 9)]
    assert lines[-1].startswith("test accuracy ")


def test_exporting_is_quiet_but_for_its_own_table(exported):
    assert exported.err == ""
    assert exported.out.splitlines()[-1] == f"report: {exported.folder / 'report.html'}"
    assert "saved_model" in exported.out


@pytest.mark.parametrize("name", ARTIFACTS)
def test_evaluate_reads_every_kind_of_artifact(name, run, exported, data_dir):
    done = keras_resnet_command("evaluate", f"--model_path={run.workdir / name}", f"--data_dir={data_dir}")
    assert (done.returncode, done.err) == (0, "")
    accuracy = run.out.splitlines()[-1].split()[2].rstrip(",")
    assert done.out.startswith(f"top-1 {accuracy}  top-5 ")
    assert done.out.endswith("images 360\n")


@pytest.fixture
def in_process(monkeypatch, capfd):
    """Runs a command in this process, which has TensorFlow loaded: for what does not depend on a fresh one."""
    monkeypatch.setattr(environment, "configure", lambda verbosity, tensorflow=True: None)

    def call(*arguments):
        capfd.readouterr()
        status = command_line.main(copy.deepcopy(cli.COMMANDS), [str(argument) for argument in arguments])
        return types.SimpleNamespace(returncode=status, **capfd.readouterr()._asdict())

    return call


@pytest.mark.parametrize("name", ARTIFACTS)
def test_predict_prints_labels_and_scores(name, run, exported, tmp_path, in_process):
    for index in range(2):
        Image.new("RGB", (30, 20), (90 * index,) * 3).save(tmp_path / f"{index}.png")
    pictures = [tmp_path / f"{index}.png" for index in range(2)]
    done = in_process("predict", f"--model_path={run.workdir / name}", "--top=2", *pictures)
    assert (done.returncode, done.err) == (0, "")
    for line, picture in zip(done.out.splitlines(), pictures, strict=True):
        path, _, answers = line.partition(": ")
        assert path == str(picture)
        first, second = (answer.split() for answer in answers.split(", "))
        assert {first[0], second[0]} <= set("0123456789")
        assert float(first[1]) >= float(second[1])


EXPORT = ("export", "--model_path={1}/model.keras", "--output_dir={0}/out")
IMPORT = ("import", "--model=ResNet20V1", "--weights={0}/a.txt")
TRAIN = ("train", "--model=ResNet20V2", "--dataset=digits", "--workdir={0}/new")


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        (("trian",), ["unknown command 'trian'", "list, train, launch, import, evaluate, predict, export, benchmark"]),
        (("train", "--model=ResNet20V2"), ["train needs --workdir"]),
        (("train", "--model=ResNet20V2", "--workdir={0}/new"), ["train needs --dataset, or --config"]),
        ((*TRAIN, "--config={0}/none.json"), ["none.json cannot be read"]),
        ((*TRAIN, "--config={0}/a.txt"), ["a.txt cannot be read"]),
        ((*TRAIN, "--weights={0}/a.txt"), ["a.txt is no weight file"]),
        ((*TRAIN, "--weights={0}/none.h5"), ["no weights", "none.h5"]),
        ((*TRAIN, "--skip_head"), ["skip_head goes with weights"]),
        ((*TRAIN, "--freeze=stage4"), ["freeze names stage4", "stem, stage1, stage2, stage3, head"]),
        ((*TRAIN, "--freeze=stem,stage1,stage2,stage3,head"), ["nothing is left to train"]),
        ((*TRAIN, "--precision=int8"), ["unknown precision 'int8'", "mixed_bfloat16"]),
        ((*TRAIN, "--on_bad_image=cry"), ["unknown on_bad_image 'cry'", "skip, fail"]),
        ((*TRAIN, "--image_size=0"), ["image_size is 0"]),
        (
            (*TRAIN, "--batch_size=9", "--gradient_accumulation_steps=2"),
            ["batch_size is 9", "divide by 1 replicas times 2 pieces"],
        ),
        ((*TRAIN, "--checkpoint_minutes=0"), ["checkpoint_minutes is 0.0"]),
        ((*TRAIN, "--strategy=tpu"), ["strategy tpu finds no TPU"]),
        ((*TRAIN, "--strategy=multi_worker"), ["multi_worker needs TF_CONFIG"]),
        (("launch", "--workers=2"), ["launch needs -- train"]),
        (("launch", "--workers=0", "--", "train"), ["workers", "0"]),
        (("launch", "--workers=2", "--", "evaluate"), ["launch takes `train`", "'evaluate'"]),
        (("train", "--model=ResNet20V2", "--dataset=folder", "--workdir={0}/new"), ["has no images"]),
        ((*TRAIN, "--epoch=3"), ["unknown flag --epoch", "did you mean --epochs?"]),
        ((*TRAIN, "--epochs=three"), ["epochs", "three"]),
        ((*TRAIN, "--milestones=a"), ["milestones", "'a'"]),
        ((*TRAIN, "--recipe=best"), ["unknown recipe 'best'", "digits, he2015_cifar"]),
        ((*TRAIN, "--unit=v3"), ["unknown unit 'v3'", "original, bn_after_addition"]),
        ((*TRAIN, "--shortcut=Z"), ["unknown shortcut 'Z'", "A, B, C, none"]),
        ((*TRAIN, "--stochastic_depth=1"), ["stochastic_depth is 1.0"]),
        ((*TRAIN, "--output_stride=5"), ["output_stride is 5", "1, 2, 4"]),
        ((*TRAIN, "--strategy=magic"), ["unknown strategy 'magic'", "auto, one_device"]),
        ((*TRAIN, "--validation_fraction=1"), ["validation_fraction is 1.0"]),
        ((*TRAIN, "--seed=-1"), ["seed is -1"]),
        ((*TRAIN, "--seed=99999999999"), ["seed is 99999999999"]),
        ((*TRAIN, "--crop_padding=2000000000"), ["crop_padding is 2000000000", "8 pixels"]),
        ((*TRAIN, "--weight_decay=inf"), ["weight_decay is inf"]),
        (("train", "--model=ResNet20V2", "--dataset=digits", "--workdir="), ["train needs --workdir"]),
        (("train", "--model=ResNet20V2", "--dataset=imdb_reviews", "--workdir={0}/new"), ["not have an image and a label"]),
        ((*TRAIN, "--verbosity=loud"), ["verbosity", "quiet|warning|info"]),
        ((*TRAIN, "--flagfile={0}/none"), ["none"]),
        ((*TRAIN, "extra"), ["takes flags only, not extra"]),
        (("train", "--model=ResNet21V2", "--dataset=digits", "--workdir={0}/new"), ["ResNet21V2", "6n+2", "ResNet20V2"]),
        (("train", "--model=ResNet20V2", "--dataset=digts", "--workdir={0}/new"), ["unknown dataset 'digts'", "digits"]),
        (("train", "--model=ResNet20V2", "--dataset=digits", "--workdir={0}/a.txt"), ["a.txt"]),
        (("train", "--model=ResNet20V2", "--dataset=digits", "--workdir={0}/a.txt/new"), ["a.txt"]),
        (("train", "--model=ResNet20V2", "--dataset=digits", "--workdir=/proc/new"), ["/proc/new"]),
        (("evaluate", "--model_path={0}/none.keras"), ["none.keras"]),
        (("evaluate", "--model_path={0}/a.txt"), ["a.txt is not a .keras, .tflite or .onnx file nor a SavedModel folder"]),
        (("evaluate", "--model_path={0}"), ["carries no labels"]),
        (("predict", "--model_path={1}/model.keras"), ["predict needs IMAGE..."]),
        (("predict", "--model_path={1}/model.keras", "{0}/a.txt"), ["a.txt", "picture"]),
        (("predict", "--model_path={1}/model.keras", "{0}/none.png"), ["none.png"]),
        (("import", "--model=ResNet20V1", "--weights={0}/a.txt"), ["import needs --output"]),
        ((*IMPORT, "--output_path={0}/b.h5", "--dataset=digits"), ["b.h5", ".keras"]),
        ((*IMPORT, "--output_path={0}/a.keras"), ["--labels=FILE", "--dataset=NAME"]),
        ((*IMPORT, "--output_path={0}/a.keras", "--labels={0}/none"), ["none"]),
        ((*IMPORT, "--output_path={0}/a.keras", "--dataset=digits"), ["a.txt is no weight file"]),
        (
            ("import", "--model=ResNet20V1", "--weights=imagenet", "--output_path={0}/a.keras", "--dataset=digits"),
            ["ResNet50V1"],
        ),
        (("benchmark", "--task=dreams", "--model=ResNet20V1"), ["unknown --task 'dreams'", "input, train, fit, build"]),
        (("benchmark", "--task=build", "--model=ResNet20V1", "--json={0}/none/b.json"), ["none/b.json", "not there"]),
        (("benchmark", "--task=build", "--model=ResNet21V1"), ["ResNet21V1", "ResNet20V1"]),
        (("evaluate", "--model_path={1}/model.keras", "--dataset=mnistt"), ["unknown dataset 'mnistt'"]),
        (("export", "--model_path={0}/a.txt", "--output_dir={0}/out"), ["a.txt"]),
        (("export", "--model_path={1}/model.keras", "--output_dir={0}/a.txt"), ["a.txt is a file"]),
        ((*EXPORT, "--formats=coreml"), ["coreml", "onnx"]),
        ((*EXPORT, "--output=x"), ["probabilities, logits"]),
        ((*EXPORT, "--quantize=int4"), ["unknown quantization 'int4'", "int8_dynamic"]),
        ((*EXPORT, "--formats=onnx", "--quantize=int16x8"), ["no int16x8 in onnx", "onnx has none, fp16, int8"]),
        ((*EXPORT, "--quantize=int8", "--calibration_images=3"), ["cannot be calibrated on 3 images", "at least 16"]),
        ((*EXPORT, "--opset=99"), ["opset is 99", "9 to 21"]),
        ((*EXPORT, "--normalization=tf"), ["knows its own preprocessing"]),
    ],
)
def test_a_mistake_ends_with_2_and_one_line_and_no_harm(arguments, parts, run, tmp_path, data_dir, in_process):
    (tmp_path / "a.txt").write_text("a text")
    arguments = [argument.format(tmp_path, run.workdir) for argument in arguments]
    if arguments[0] in ("train", "export"):
        arguments.insert(1, f"--data_dir={data_dir}")
    assert_refused(in_process(*arguments), *parts)
    assert [path.name for path in tmp_path.iterdir()] == ["a.txt"]
    assert (tmp_path / "a.txt").read_text() == "a text"


@pytest.mark.parametrize("suffix", [".tflite", ".onnx", ".keras"])
def test_a_truncated_artifact_is_refused(suffix, run, exported, tmp_path):
    source = next(path for path in (run.workdir / "model.keras", *exported.folder.iterdir()) if path.suffix == suffix)
    (tmp_path / f"m{suffix}").write_bytes(source.read_bytes()[:100_000])
    assert_refused(keras_resnet_command("evaluate", f"--model_path={tmp_path / f'm{suffix}'}"), f"m{suffix}")


@pytest.mark.parametrize("command", ["evaluate", "export"])
def test_a_model_that_holds_code_is_refused_and_not_run(command, run, data_dir, tmp_path):
    """The file is a classifier of ours in all but its Lambda layer, which would leave a file behind."""
    path = str(tmp_path / "ran")
    inputs = keras.Input((8, 8, 1))
    outputs = keras.layers.Lambda(lambda x: (open(path, "w").close(), x)[1])(inputs)
    keras.Model(inputs, outputs).save(tmp_path / "bad.keras")
    ClassifierMetadata.read_from(run.workdir / "model.keras").write_into(tmp_path / "bad.keras")
    os.unlink(path)
    flags = [f"--model_path={tmp_path / 'bad.keras'}", f"--data_dir={data_dir}"]
    flags += [f"--output_dir={tmp_path / 'out'}"] if command == "export" else []
    assert_refused(keras_resnet_command(command, *flags), "bad.keras cannot be loaded", "Lambda")
    assert [path.name for path in tmp_path.iterdir()] == ["bad.keras"]


FULL_DISK = """import resource, signal
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, ({0}, {0}))"""


@pytest.mark.skipif(sys.platform != "linux", reason="stands on RLIMIT_FSIZE")
def test_a_disk_that_fills_up_while_exporting_leaves_the_earlier_artifacts_whole(run, data_dir, tmp_path):
    folder = tmp_path / "out"
    arguments = ("export", f"--model_path={run.workdir / 'model.keras'}", f"--data_dir={data_dir}", f"--output_dir={folder}")
    assert keras_resnet_command(*arguments, "--formats=onnx").returncode == 0
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    done = keras_resnet_command(*arguments, "--formats=onnx,tflite", before=FULL_DISK.format(1_500_000))
    assert_refused(done, "File too large", str(folder))
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


@pytest.mark.skipif(sys.platform != "linux", reason="stands on RLIMIT_FSIZE")
def test_a_disk_that_fills_up_while_training_is_said_in_one_line(data_dir, tmp_path):
    done = keras_resnet_command(
        *(argument.format(tmp_path) for argument in TRAIN),
        f"--data_dir={data_dir}",
        "--epochs=1",
        before=FULL_DISK.format(500_000),
    )
    assert done.returncode == 2
    assert done.err.splitlines() == [f"keras-resnet: File too large ({tmp_path / 'new' / 'checkpoints' / 'best'})"]
    assert not (tmp_path / "new" / "model.keras").exists()


def test_flags_can_come_from_a_file(run, data_dir, tmp_path):
    (tmp_path / "flags").write_text(f"--model_path={run.workdir / 'model.keras'}\n--data_dir={data_dir}\n")
    done = keras_resnet_command("evaluate", f"--flagfile={tmp_path / 'flags'}")
    assert done.returncode == 0, done.err
    assert done.out.startswith("top-1 ")


def test_help_and_list_need_no_tensorflow():
    for arguments in (["--help"], ["train", "--help"], ["list"]):
        done = keras_resnet_command(*arguments, before="import sys; sys.modules['tensorflow'] = sys.modules['keras'] = None")
        assert (done.returncode, done.err) == (0, "")
    assert "ResNet1202V2" in done.out


def test_verbosity_brings_the_libraries_words_back(run, data_dir):
    done = keras_resnet_command(
        "evaluate", f"--model_path={run.workdir / 'model.keras'}", f"--data_dir={data_dir}", "--verbosity=info"
    )
    assert done.returncode == 0
    assert done.err


def test_an_interrupt_is_no_traceback(capsys):
    def interrupted(flags, arguments):
        """Stops."""
        raise KeyboardInterrupt

    command = command_line.Command(interrupted, lambda values: None)
    assert command_line.main({"stop": command}, ["stop"]) == 130
    assert capsys.readouterr().err.strip() == "keras-resnet: interrupted"


def test_a_bug_of_ours_is_not_passed_off_as_the_users(capsys):
    def broken(flags, arguments):
        """Breaks."""
        raise ValueError("ours")

    command = command_line.Command(broken, lambda values: None)
    with pytest.raises(ValueError, match="ours"):
        command_line.main({"break": command}, ["break"])


def test_the_environment_is_the_commands_affair_and_the_users_word_counts(monkeypatch):
    from keras_resnet import environment

    monkeypatch.setenv("TF_CPP_MIN_LOG_LEVEL", "2")
    environment.configure("info")
    assert os.environ["TF_CPP_MIN_LOG_LEVEL"] == "2"


def test_list_shows_every_network_with_its_facts():
    done = keras_resnet_command("list")
    assert (done.returncode, done.err) == (0, "")
    lines = {line.split()[0]: line for line in done.out.splitlines()}
    assert set(lines) >= {*keras_resnet.list_models()}
    for part in ("269,722", "271,098", "40.6 M", "8.75 CIFAR-10 (He et al. 2015, Table 6)", "akamaster"):
        assert part in lines["ResNet20V1"]


@pytest.fixture(scope="module")
def imported(tmp_path_factory, data_dir):
    """A classifier made by the command from a PyTorch state dict, and what the command printed."""
    folder = tmp_path_factory.mktemp("imported")
    save_file(state_dict("cifar_resnet20"), folder / "resnet20.safetensors")
    weights, output = folder / "resnet20.safetensors", folder / "resnet20.keras"
    done = keras_resnet_command(
        "import",
        "--model=ResNet20V1",
        f"--weights={weights}",
        "--dataset=digits",
        f"--data_dir={data_dir}",
        f"--output_path={output}",
    )
    assert (done.returncode, done.err) == (0, ""), done.err
    done.path = output
    return done


def test_imported_weights_become_a_classifier_with_labels_and_protocol(imported):
    assert imported.out == f"the classifier is {imported.path}: 32x32x3, 10 classes\n"
    record = ClassifierMetadata.read_from(imported.path)
    assert (record.dataset, record.labels) == ("digits", tuple("0123456789"))
    assert record.preprocessing.mean == (0.485, 0.456, 0.406)


def test_an_imported_classifier_is_evaluated_and_exported_by_its_protocol(imported, data_dir, tmp_path, in_process):
    """Grey digits of 8x8 become the colour pictures of 32x32 that its weights were made for, inside the proof too."""
    common = (f"--model_path={imported.path}", f"--data_dir={data_dir}")
    done = in_process("evaluate", *common)
    assert (done.returncode, done.err) == (0, "")
    assert done.out.endswith("images 360\n")
    done = in_process("export", *common, f"--output_dir={tmp_path}", "--formats=tflite", "--verification_images=20")
    assert done.returncode == 0, done.err
    done = in_process("evaluate", f"--model_path={tmp_path / 'model.tflite'}", f"--data_dir={data_dir}")
    assert done.out.endswith("images 360\n")


def test_a_gate_that_is_not_passed_ends_with_1_and_no_file_of_the_final_name(run, data_dir, tmp_path, in_process):
    done = in_process(
        "export", f"--model_path={run.workdir / 'model.keras'}", f"--data_dir={data_dir}", f"--output_dir={tmp_path / 'out'}",
        "--formats=tflite", "--quantize=none,fp16", "--max_difference=1e-5",
    )  # fmt: skip
    assert (done.returncode, done.err) == (1, "")
    assert "tflite_fp16 differs by " in done.out
    names = {path.name for path in (tmp_path / "out").iterdir()}
    assert {"model.tflite", "model_fp16_failed.tflite"} <= names
    assert "model_fp16.tflite" not in names


def test_somebody_elses_network_is_exported_and_asked_about_pictures(tmp_path, in_process, rng):
    """A Keras file without labels, and a folder of pictures of another size, as a user has them."""
    for part in ("train", "test"):
        for label in ("cat", "dog"):
            (tmp_path / "pictures" / part / label).mkdir(parents=True)
            for index in range(12):
                pixels = rng.integers(0, 256, (20, 24, 3)).astype("uint8")
                Image.fromarray(pixels).save(tmp_path / "pictures" / part / label / f"{index}.png")
    theirs = keras.applications.ResNet50V2(weights=None, classes=2, input_shape=(32, 32, 3))
    theirs.save(tmp_path / "theirs.keras")
    done = keras_resnet_command(
        "export", f"--model_path={tmp_path / 'theirs.keras'}", "--normalization=tf", "--dataset=folder",
        f"--data_dir={tmp_path / 'pictures'}", f"--output_dir={tmp_path / 'out'}", "--formats=tflite", "--quantize=none,int8",
        "--max_accuracy_drop=100",
    )  # fmt: skip
    assert (done.returncode, done.err) == (0, "")
    picture = tmp_path / "pictures" / "test" / "cat" / "0.png"
    done = in_process("predict", f"--model_path={tmp_path / 'out' / 'model_int8.tflite'}", picture)
    assert (done.returncode, done.err) == (0, "")
    assert {"cat", "dog"} <= set(done.out.replace(",", "").split())


def test_import_overwrites_nothing(imported, data_dir, in_process):
    before = imported.path.read_bytes()
    done = in_process(
        "import",
        "--model=ResNet20V1",
        "--weights=x",
        "--dataset=digits",
        f"--data_dir={data_dir}",
        f"--output_path={imported.path}",
    )
    assert_refused(done, str(imported.path), "does not exist yet")
    assert imported.path.read_bytes() == before


@pytest.mark.parametrize(("task", "unit"), [("train", "images/s"), ("fit", "images/s"), ("build", "seconds")])
def test_benchmark_prints_a_ratio_and_writes_what_it_measured(task, unit, tmp_path, in_process):
    done = in_process(
        "benchmark",
        f"--task={task}",
        "--model=ResNet20V2",
        "--batch_size=2",
        "--steps=1",
        "--rounds=2",
        "--baselines=stock",
        f"--json={tmp_path}/b.json",
    )
    assert (done.returncode, done.err) == (0, "")
    assert unit in done.out
    record = json.loads((tmp_path / "b.json").read_text())
    assert len(record["ratios"]) == len(record["ours"]) == len(record["stock"]) == 2
    assert record["config"]["model"] == "ResNet20V2"


@pytest.mark.parametrize(
    ("variables", "keras_json", "parts"),
    [
        ({"KERAS_BACKEND": "jax"}, {}, ["KERAS_BACKEND is 'jax'", "tensorflow only"]),
        ({}, {"image_data_format": "channels_first"}, ["image_data_format is 'channels_first'", "channels_last only"]),
    ],
)
def test_a_keras_that_is_set_up_for_something_else_is_refused_before_anything_is_written(
    variables, keras_json, parts, tmp_path, monkeypatch
):
    (tmp_path / "keras.json").write_text(json.dumps(keras_json))
    for name, value in {"KERAS_HOME": str(tmp_path), **variables}.items():
        monkeypatch.setenv(name, value)
    done = keras_resnet_command("train", "--model=ResNet20V2", "--dataset=digits", f"--workdir={tmp_path / 'run'}")
    assert_refused(done, *parts)
    assert not (tmp_path / "run").exists()


def test_sigterm_cleans_up_and_what_it_did_before_it_does_again():
    before, cleaned = signal.getsignal(signal.SIGTERM), []

    @exit_on_sigterm()
    def terminated():
        try:
            os.kill(os.getpid(), signal.SIGTERM)
        finally:
            cleaned.append(True)

    with pytest.raises(SystemExit, match="143"):
        terminated()
    assert cleaned
    assert signal.getsignal(signal.SIGTERM) == before
