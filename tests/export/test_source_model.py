"""Catches a model from elsewhere that is exported as something else than it is, and a traceback for one that cannot be."""

import keras
import numpy as np
import pytest
from conftest import scramble

import keras_resnet
from keras_resnet import UserError
from keras_resnet._keras_internals import tensors_read
from keras_resnet.export.fold.folding import fold
from keras_resnet.export.outputs import select_outputs
from keras_resnet.export.source_model.loading import inline_submodels, load_source_model

CLASS_NAMES = ("a", "b", "c")
layers = keras.layers


def saved(model, folder):
    model.save(folder / "model.keras")
    return folder / "model.keras"


def applications(name, **options):
    arguments = {"weights": None, "classes": 3, "input_shape": (40, 32, 3), **options}
    return scramble(getattr(keras.applications, name)(**arguments))


def small(*end, size=(8, 8), channels=3):
    inputs = keras.Input((*size, channels))
    x = layers.ReLU()(layers.BatchNormalization()(layers.Conv2D(4, 3, padding="same")(inputs)))
    x = layers.GlobalAveragePooling2D()(x)
    for layer in end:
        x = layer(x)
    return keras.Model(inputs, x)


def undecided(model, images, spread=1.0):
    """What a model gives for images, once its last layer tells them apart: probabilities that are neither 0 nor 1.

    spread: of the logits; a small one keeps the roundings of a deep network small as well.
    """
    head = next(layer for layer in reversed(model.layers) if isinstance(layer, layers.Dense))
    logits = keras.Model(model.inputs, head.input).predict(images, verbose=0) @ head.kernel.numpy()
    scale = spread / np.std(logits, axis=0)
    head.kernel.assign(head.kernel * scale)
    head.bias.assign(-np.mean(logits, axis=0) * scale)
    outputs = model.predict(images, verbose=0)
    assert np.all(np.ptp(outputs, axis=0) > 0.05)
    return outputs


@pytest.mark.parametrize(("name", "module", "mode"), [("ResNet50", "resnet", "caffe"), ("ResNet50V2", "resnet_v2", "tf")])
def test_a_network_of_keras_applications_takes_raw_pixels_and_folds(name, module, mode, tmp_path, rng):
    model = applications(name)
    images = rng.integers(0, 256, (6, 1, 1, 3)) // 2 + rng.integers(0, 128, (6, 40, 32, 3)).astype("float32")
    prepared = getattr(keras.applications, module).preprocess_input(images.copy())
    expected = undecided(model, prepared, spread=0.3)
    source = load_source_model(saved(model, tmp_path), mode, CLASS_NAMES)
    np.testing.assert_allclose(source.model.predict(images, verbose=0), expected, atol=1e-5)
    folded = fold(source.model)
    np.testing.assert_allclose(folded.predict(images, verbose=0), expected, atol=1e-4)
    assert not any(isinstance(layer, layers.BatchNormalization) for layer in folded.layers)
    assert source.metadata.labels == CLASS_NAMES
    assert source.metadata.preprocessing.shape == (40, 32, 3)


@pytest.mark.parametrize("mode", ["none", "tf", "torch"])
@pytest.mark.parametrize("end", ["softmax in the dense layer", "softmax layer", "logits"])
def test_every_end_gives_probabilities_and_logits(end, mode, tmp_path, rng):
    ends = {
        "softmax in the dense layer": [layers.Dense(3, activation="softmax")],
        "softmax layer": [layers.Dense(3), layers.Softmax()],
        "logits": [layers.Dense(3, name="predictions")],
    }
    model = scramble(small(*ends[end]))
    images = rng.integers(0, 256, (3, 8, 8, 3)).astype("float32")
    prepared = images if mode == "none" else keras.applications.imagenet_utils.preprocess_input(images.copy(), mode=mode)
    expected = undecided(model, prepared)
    source = load_source_model(saved(model, tmp_path), mode, CLASS_NAMES)
    if end == "logits":
        expected = keras.ops.convert_to_numpy(keras.ops.softmax(expected))
    np.testing.assert_allclose(source.model.predict(images, verbose=0), expected, atol=1e-5)
    logits = select_outputs(source.model, ["logits"]).predict(images, verbose=0)["logits"]
    np.testing.assert_allclose(keras.ops.softmax(logits), expected, atol=1e-5)


def test_a_network_inside_a_network_is_folded_too(tmp_path, rng):
    """As transfer learning makes them: a backbone that is called as one layer."""
    inner = keras_resnet.to_stock(keras_resnet.ResNet20V2(include_top=False, pooling="avg", input_shape=(8, 8, 3)))
    inputs = keras.Input((8, 8, 3))
    model = scramble(keras.Model(inputs, layers.Dense(3, activation="softmax")(inner(layers.Rescaling(1 / 128, -1)(inputs)))))
    source = load_source_model(saved(model, tmp_path), "none", CLASS_NAMES)
    images = rng.integers(0, 256, (3, 8, 8, 3)).astype("float32")
    expected = model.predict(images, verbose=0)
    np.testing.assert_allclose(source.model.predict(images, verbose=0), expected, atol=1e-5)
    folded = fold(source.model)
    np.testing.assert_allclose(folded.predict(images, verbose=0), expected, atol=1e-4)
    assert sum(isinstance(layer, layers.Conv2D) for layer in folded.layers) == 21


def test_a_sequential_model_of_grey_images(tmp_path, rng):
    stack = [layers.Conv2D(4, 3), layers.ReLU(), layers.Flatten(), layers.Dense(3, activation="softmax")]
    model = keras.Sequential([keras.Input((8, 8, 1)), *stack])
    source = load_source_model(saved(model, tmp_path), "none", CLASS_NAMES)
    images = rng.integers(0, 256, (3, 8, 8, 1)).astype("float32")
    np.testing.assert_allclose(fold(source.model).predict(images, verbose=0), model.predict(images, verbose=0), atol=1e-4)


@pytest.mark.parametrize(
    "end",
    [
        [layers.Dense(3, activation="softmax"), keras.ops.log],
        [layers.Dense(3, activation="softmax"), layers.Rescaling(2.0)],
        [layers.Dense(3), lambda x: keras.ops.softmax(x, axis=0)],
        [layers.Dense(3), layers.BatchNormalization()],
    ],
    ids=["an operation", "a factor", "a softmax over the images", "a norm"],
)
def test_an_end_that_may_give_probabilities_or_not_is_refused(end, tmp_path):
    """Catches a second softmax on top of the first."""
    with pytest.raises(UserError, match=r"ends in .*; a classifier ends in a softmax or in a linear layer"):
        load_source_model(saved(small(*end), tmp_path), "none", CLASS_NAMES)


@pytest.mark.parametrize("trailing", [[layers.Activation("linear")], [layers.Dropout(0.5)]], ids=["linear", "dropout"])
def test_probabilities_that_are_passed_on_stay_what_they_are(trailing, tmp_path, rng):
    model = small(layers.Dense(3), layers.Softmax(), *trailing)
    images = rng.integers(0, 256, (6, 1, 1, 3)) // 2 + rng.integers(0, 128, (6, 8, 8, 3)).astype("float32")
    expected = undecided(model, images)
    source = load_source_model(saved(model, tmp_path), "none", CLASS_NAMES)
    np.testing.assert_allclose(source.model.predict(images, verbose=0), expected, atol=1e-5)


def test_an_average_of_maps_is_logits(tmp_path):
    inputs = keras.Input((8, 8, 3))
    model = keras.Model(inputs, layers.GlobalAveragePooling2D()(layers.ReLU()(layers.Conv2D(3, 3)(inputs))))
    source = load_source_model(saved(model, tmp_path), "none", CLASS_NAMES)
    np.testing.assert_allclose(np.sum(source.model.predict(np.ones((2, 8, 8, 3)), verbose=0), axis=1), 1, atol=1e-6)


def test_layers_of_the_same_name_in_a_network_and_in_one_inside_it(tmp_path, rng):
    """As of a backbone that was saved in one session and goes on in the next."""
    inner = keras.Sequential([keras.Input((8, 8, 3)), layers.Conv2D(4, 3, name="conv"), layers.ReLU(name="relu")])
    inputs = keras.Input((8, 8, 3))
    x = layers.ReLU(name="relu")(inner(layers.Conv2D(3, 1, name="conv")(inputs)))
    model = keras.Model(inputs, layers.Dense(3)(layers.GlobalAveragePooling2D()(x)))
    images = rng.integers(0, 256, (3, 8, 8, 3)).astype("float32")
    expected = undecided(model, images)
    source = load_source_model(saved(model, tmp_path), "none", CLASS_NAMES)
    found = select_outputs(source.model, ["logits"]).predict(images, verbose=0)["logits"]
    np.testing.assert_allclose(found, expected, atol=1e-4)


def test_the_loaded_model_keeps_its_operations_and_their_names():
    """Catches an inlining that renames, or calls anew, what belongs to its caller."""
    inner_inputs, inputs = keras.Input((8, 8, 3)), keras.Input((8, 8, 3))
    inner = keras.Model(inner_inputs, layers.ReLU(name="same")(inner_inputs * 2.0))
    x = layers.Conv2D(3, 1, name="same")(inner(inputs * 3.0) + inputs)
    model = keras.Model(inputs, layers.Dense(3)(layers.GlobalAveragePooling2D()(x)))
    inner.operations[1].name = model.operations[1].name = "multiply"  # as after loading, which counts anew in each model

    def calls(network):
        return [(operation, operation.name, len(tensors_read(operation))) for operation in network.operations]

    before = calls(model), calls(inner)
    inlined = inline_submodels("model.keras", model)
    assert (calls(model), calls(inner)) == before
    assert not set(inlined.operations) & {*model.operations, *inner.operations}
    images = np.ones((2, 8, 8, 3), "float32")
    np.testing.assert_allclose(inlined(images), model(images), atol=1e-6)


def test_statistics_that_a_layer_was_adapted_to_are_copied(tmp_path, rng):
    inputs, adapted = keras.Input((8, 8, 3)), layers.Normalization()
    images = rng.integers(0, 256, (6, 1, 1, 3)) // 2 + rng.integers(0, 128, (6, 8, 8, 3)).astype("float32")
    adapted.adapt(images)
    x = layers.GlobalAveragePooling2D()(layers.ReLU()(layers.Conv2D(4, 3)(adapted(inputs))))
    model = keras.Model(inputs, layers.Dense(3, activation="softmax")(x))
    expected = undecided(model, images)
    source = load_source_model(saved(model, tmp_path), "none", CLASS_NAMES)
    np.testing.assert_allclose(source.model.predict(images, verbose=0), expected, atol=1e-5)
    np.testing.assert_allclose(fold(source.model).predict(images, verbose=0), expected, atol=1e-4)


def test_a_copy_that_gives_other_outputs_is_refused(tmp_path, monkeypatch):
    """Whatever the rewriting to raw pixels gets wrong, it is not exported."""
    monkeypatch.setattr("keras_resnet.saving.copy_weights", lambda original, copy: None)
    with pytest.raises(UserError, match="its copy gives other outputs"):
        load_source_model(saved(scramble(small(layers.Dense(3))), tmp_path), "none", CLASS_NAMES)


def test_a_network_for_any_size_is_exported_for_the_given_one(tmp_path):
    path = saved(small(layers.Dense(3), size=(None, None)), tmp_path)
    with pytest.raises(UserError, match="takes images of any size: --image_size says"):
        load_source_model(path, "none", CLASS_NAMES)
    assert load_source_model(path, "none", CLASS_NAMES, image_size=24).metadata.preprocessing.shape == (24, 24, 3)


def quantized(model):
    model.get_layer("last").quantize("int8")
    return model


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (lambda: small(layers.Dense(4)), "has 4 outputs and 3 labels"),
        (lambda: small(layers.Dense(3), channels=5), "images are .* with 1 or 3 channels"),
        (lambda: small(layers.Dense(3, activation="tanh")), "ends in .*, with activation tanh"),
        (lambda: small(layers.Dense(3, activation=layers.LeakyReLU())), "ends in .*, with activation LeakyReLU"),
        (lambda: quantized(small(layers.Dense(3, name="last"))), "is quantized, in .*last; export takes a float model"),
        (lambda: keras.Model(i := keras.Input((8, 8, 3)), layers.Conv2D(3, 1)(i)), r"a classifier gives \(N, classes\)"),
        (lambda: keras.Model([i := keras.Input((8,)), j := keras.Input((8,))], layers.Add()([i, j])), "2 inputs and 1 outputs"),
        (lambda: keras.Model(i := keras.Input((8,)), [layers.Dense(3)(i), layers.Dense(3)(i)]), "1 inputs and 2 outputs"),
        (lambda: small(layers.Lambda(lambda x: x), layers.Dense(3)), "it has a Lambda layer, whose code is not run"),
    ],
)
def test_what_is_not_a_classifier_of_images_is_refused(model, message, tmp_path):
    with pytest.raises(UserError, match=message) as caught:
        load_source_model(saved(model(), tmp_path), "none", CLASS_NAMES)
    assert len(str(caught.value).splitlines()) == 1


def test_a_layer_of_ones_own_is_refused_in_one_line(tmp_path):
    class Odd(layers.Layer):
        def call(self, x):
            return x

    with pytest.raises(UserError, match="cannot be loaded: it has a custom layer, Odd") as caught:
        load_source_model(saved(small(Odd(), layers.Dense(3)), tmp_path), "none", CLASS_NAMES)
    assert len(str(caught.value).splitlines()) == 1


def test_weights_that_are_not_finite_are_refused_by_name(tmp_path):
    model = small(layers.Dense(3, name="last"))
    model.get_layer("last").kernel.assign(np.full((4, 3), np.nan))
    with pytest.raises(UserError, match="has NaN or infinite weights, in last/kernel"):
        load_source_model(saved(model, tmp_path), "none", CLASS_NAMES)


@pytest.mark.parametrize("beside", ["a second convolution", "a norm in front", "an operation"])
def test_bgr_that_more_than_one_convolution_reads_is_refused(beside, tmp_path):
    """Catches a first kernel that is flipped where others read the channels as well: a proof would not notice."""
    inputs = keras.Input((8, 8, 3))
    if beside == "a norm in front":
        x = layers.Conv2D(4, 1)(layers.BatchNormalization()(inputs))
    elif beside == "an operation":
        x = layers.Conv2D(3, 3, padding="same")(inputs) + inputs
    else:
        x = layers.Add()([layers.Conv2D(4, 1)(inputs), layers.Conv2D(4, 1)(inputs)])
    model = keras.Model(inputs, layers.Dense(3)(layers.GlobalAveragePooling2D()(x)))
    with pytest.raises(UserError, match="reads BGR other than through one first convolution"):
        load_source_model(saved(model, tmp_path), "caffe", CLASS_NAMES)


def test_what_the_file_does_not_say_the_user_must(tmp_path):
    path = saved(small(layers.Dense(3)), tmp_path)
    expected = (
        "was not written by this package: --normalization says what pixels it was trained on, one of none, caffe, tf, torch"
    )
    with pytest.raises(UserError, match=expected):
        load_source_model(path)
    with pytest.raises(UserError, match="normalization 'imagenet' is unknown"):
        load_source_model(path, "imagenet", CLASS_NAMES)
    with pytest.raises(UserError, match="does not say what its classes are"):
        load_source_model(path, "none")


def test_a_file_from_this_package_has_its_own_preprocessing(run):
    with pytest.raises(UserError, match="has its own preprocessing"):
        load_source_model(run.workdir / "model.keras", "none")
    with pytest.raises(UserError, match="has its own preprocessing and labels"):
        load_source_model(run.workdir / "model.keras", class_names=("a", "b"))
    assert load_source_model(run.workdir / "model.keras").metadata.labels == tuple("0123456789")


def test_a_network_of_mixed_precision_is_compared_in_float32(tmp_path):
    model = small(layers.Dense(3))
    model = keras.models.clone_model(
        model, clone_function=lambda layer: type(layer).from_config({**layer.get_config(), "dtype": "mixed_bfloat16"})
    )
    assert model.get_layer(index=1).compute_dtype == "bfloat16"
    source = load_source_model(saved(model, tmp_path), "none", CLASS_NAMES)
    assert {layer.compute_dtype for layer in source.model.layers} == {"float32"}
