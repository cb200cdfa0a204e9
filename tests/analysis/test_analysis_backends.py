"""Catches an analysis that finds something else, or nothing, on another Keras backend or with the channels first."""

import importlib.util
import json
import os
import subprocess
import sys

import numpy as np
import pytest
from conftest import ROOT

PROGRAM = """
import json, sys

import keras
import numpy as np
import keras_resnet
from keras_resnet import analysis

images = np.random.default_rng(0).normal(size=(3, 12, 12, 2)).astype("float32")
shape = (12, 12, 2)
if keras.config.image_data_format() == "channels_first":
    images, shape = images.transpose(0, 3, 1, 2), (2, 12, 12)
model = keras_resnet.ResNet20V1(input_shape=shape, classes=3, shortcut="B", name="small")
generator = np.random.default_rng(1)
for weight in model.weights:
    signs = generator.choice([-1, 1] if weight.trainable else [1], weight.shape)
    weight.assign(signs * generator.uniform(0.1, 0.3, weight.shape))
before = [np.array(keras.ops.convert_to_numpy(variable)) for variable in model.variables]
labels = [0, 1, 2]
results = [
    analysis.gradient_norms(model, images, labels),
    analysis.unit_contributions(model, images),
    analysis.lesion_study(model, images, labels),
    analysis.receptive_field(model),
    analysis.effective_receptive_field(model, images, "stage1_unit2"),
    analysis.grad_cam(model, images, labels),
]
for old, new in zip(before, model.variables):
    assert (old == keras.ops.convert_to_numpy(new)).all(), new.path
    assert getattr(new.value, "grad", None) is None
for result in results:
    result.plot()
json.dump([result.to_dict() for result in results], open(sys.argv[1], "w"))
"""


def results(backend, data_format, folder):
    """What the program finds in a process of its own, by Keras' data format and backend."""
    (folder / "keras.json").write_text(json.dumps({"image_data_format": data_format}))
    environment = {**os.environ, "KERAS_BACKEND": backend, "KERAS_HOME": str(folder)}
    environment["PYTHONPATH"] = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
    environment["XLA_FLAGS"] = "--xla_backend_optimization_level=0"  # JAX compiles in half the time
    found = folder / "found.json"
    command = [sys.executable, "-P", "-c", PROGRAM, str(found)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(found.read_text())


@pytest.fixture(scope="module")
def reference(tmp_path_factory):
    return results("tensorflow", "channels_last", tmp_path_factory.mktemp("reference"))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("backend", "data_format"), [("torch", "channels_last"), ("torch", "channels_first"), ("jax", "channels_last")]
)
def test_another_backend_or_order_of_axes_finds_something_else(backend, data_format, reference, tmp_path):
    if importlib.util.find_spec(backend) is None:
        pytest.skip(f"{backend} is not installed")
    for ours, expected in zip(results(backend, data_format, tmp_path), reference, strict=True):
        assert ours.keys() == expected.keys()
        for name, value in expected.items():
            if isinstance(value, list) and isinstance(value[0], float | list):
                np.testing.assert_allclose(ours[name], value, rtol=2e-3, atol=1e-4, err_msg=name)
            elif isinstance(value, float):
                assert ours[name] == pytest.approx(value, rel=1e-3), name
            else:
                assert ours[name] == value, name
