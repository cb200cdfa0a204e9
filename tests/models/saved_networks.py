"""What every network has to survive: its files, and its copy in stock layers."""

import numpy as np
from conftest import scramble

import keras_resnet


def assert_rebuilds(build, rng, folder):
    """From `.weights.h5` into another network of `build`, from `.keras`, and in stock layers it computes the same."""
    model = scramble(build())
    model.save(folder / "m.keras")
    model.save_weights(folder / "m.weights.h5")
    x = rng.normal(size=(2, *model.input_shape[1:])).astype("float32")
    again = keras_resnet.load_weights(build(), folder / "m.weights.h5")
    for other in (again, keras_resnet.load_model(folder / "m.keras"), keras_resnet.to_stock(model)):
        np.testing.assert_allclose(other(x), model(x), rtol=1e-4, atol=1e-5)
