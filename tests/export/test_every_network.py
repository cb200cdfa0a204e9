"""Catches a named network that cannot be trained, exported or verified at its full width.

One takes minutes, so none is tried by default: `pytest tests/export/test_every_network.py --networks='ResNeXt50*'`.
"""

import fnmatch
import json

import numpy as np
import pytest
from PIL import Image

from keras_resnet.info import recorded_sizes
from keras_resnet.models.variants import VARIANTS
from keras_resnet.training.data.dataset import Dataset

MOST = 100_000_000  # parameters


def pytest_generate_tests(metafunc):
    pattern, sizes = metafunc.config.getoption("networks"), recorded_sizes()
    wanted = [name for name in VARIANTS if fnmatch.fnmatchcase(name, pattern) and sizes[name].total <= MOST]
    metafunc.parametrize("name", wanted)


@pytest.fixture(scope="module")
def pictures(tmp_path_factory, data_dir):
    """Some of the digits as files, 64 pixels high and wide."""
    folder = tmp_path_factory.mktemp("digits")
    dataset = Dataset("digits", data_dir)
    train, _ = dataset.train_and_validation(0.1, seed=0)
    for split, rows, per_class in (("train", train, 8), ("test", dataset.test, 4)):
        images, labels = rows.images[:], rows.labels
        for label in range(10):
            (folder / split / str(label)).mkdir(parents=True)
            for number, index in enumerate(np.flatnonzero(labels == label)[:per_class]):
                image = Image.fromarray(images[index].squeeze(-1)).resize((64, 64)).convert("RGB")
                image.save(folder / split / str(label) / f"{number}.png")
    return folder


def test_it_trains_is_exported_and_verified(name, pictures, in_process, tmp_path):
    # Small steps: those of a recipe blow deep networks up, and saturated probabilities agree whatever is wrong.
    flags = ("--batch_size=16", "--epochs=1", "--learning_rate=0.001", f"--workdir={tmp_path / 'run'}", "--verbosity=quiet")
    done = in_process("train", f"--model={name}", "--dataset=folder", f"--data_dir={pictures}", *flags)
    assert done.returncode == 0, done.err
    # They leave a network that knows nothing, of which eight bits may make another: the float files are compared.
    data = ("--dataset=folder", f"--data_dir={pictures}", f"--output_dir={tmp_path / 'export'}")
    flags = ("--min_agreement=0", "--max_accuracy_drop=100", "--max_difference=0.01", "--verbosity=quiet")
    in_process("export", f"--model_path={tmp_path / 'run' / 'model.keras'}", *data, *flags)
    rows = {row["name"]: row for row in json.loads((tmp_path / "export" / "report.json").read_text())["artifacts"]}
    failed = {artifact: row["error"] for artifact, row in rows.items() if row.get("error")}
    assert not failed
    assert all(rows[artifact]["passed"] for artifact in ("saved_model", "tflite", "tflite_fp16", "onnx", "onnx_fp16")), rows
