"""Catches imported weights that lose their preprocessing or class names, or overwrite a file."""

import pytest
from conftest import assert_refused
from forked import forked_command
from safetensors.numpy import save_file
from test_references import state_dict

from keras_resnet.metadata import ClassifierMetadata


@pytest.fixture(scope="module")
def imported(tmp_path_factory, data_dir):
    """A classifier made by the command from a PyTorch state dict, and what the command printed."""
    folder = tmp_path_factory.mktemp("imported")
    save_file(state_dict("cifar_resnet20"), folder / "resnet20.safetensors")
    weights, output = folder / "resnet20.safetensors", folder / "resnet20.keras"
    done = forked_command(
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


def test_imported_weights_become_a_classifier_with_labels_and_preprocessing(imported):
    assert imported.out == f"the classifier is {imported.path}: 32x32x3, 10 classes\n"
    record = ClassifierMetadata.read_from(imported.path)
    assert (record.dataset, record.labels) == ("digits", tuple("0123456789"))
    assert record.preprocessing.mean == (0.485, 0.456, 0.406)


def test_an_imported_classifier_is_evaluated_and_exported_by_its_preprocessing(imported, data_dir, tmp_path, in_process):
    """Gray digits of 8x8 become the color images of 32x32 that its weights were made for, in the verification too."""
    common = (f"--model_path={imported.path}", f"--data_dir={data_dir}")
    done = in_process("evaluate", *common)
    assert (done.returncode, done.err) == (0, "")
    assert done.out.endswith("images 360\n")
    done = in_process("export", *common, f"--output_dir={tmp_path}", "--formats=tflite", "--verification_images=20")
    assert done.returncode == 0, done.err
    done = in_process("evaluate", f"--model_path={tmp_path / 'model.tflite'}", f"--data_dir={data_dir}")
    assert done.out.endswith("images 360\n")


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
