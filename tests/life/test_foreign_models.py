"""Catches somebody else's classifier that is exported as something else than it is, or refused in words that do not help."""

import keras
import numpy as np
import pytest
from life.models import LOGITS, OTHERS, PROBABILITIES, SIZE, pooled, small, softmax_over

import keras_resnet
from keras_resnet import UserError
from keras_resnet.export.fold.folding import fold
from keras_resnet.export.fold.layers import AUGMENTATIONS
from keras_resnet.export.outputs import select_outputs
from keras_resnet.export.source_model.loading import load_source_model
from keras_resnet.preprocessing import Preprocessing
from keras_resnet.saving import to_fast

layers = keras.layers
NAMES = ("a", "b", "c")


def pixels_for(shape):
    """Images of different brightness, for which a small network of random weights decides differently."""
    generator = np.random.default_rng(0)
    height, width, channels = (side or SIZE for side in shape)
    return (generator.integers(0, 2, (6, 1, 1, channels)) + generator.integers(0, 3, (6, height, width, channels))).astype("f4")


def outputs_of(model, images):
    """What a model gives for images at inference, in vectors; some take a batch of a fixed size, or dictionaries."""
    plain = keras.Model(model.inputs[0], model.outputs[0])
    size = model.inputs[0].shape[0] or len(images)
    batches = np.split(np.resize(images, (-(-len(images) // size) * size, *images.shape[1:])), -(-len(images) // size))
    outputs = np.concatenate([np.asarray(plain(batch, training=False)) for batch in batches])[: len(images)]
    return outputs.reshape(len(images), -1)


def exported(model, folder, names=NAMES, **arguments):
    model.save(folder / "model.keras")
    return load_source_model(folder / "model.keras", "none", names, **arguments).model


def assert_exports(model, expected, folder, names=NAMES):
    images = pixels_for(model.inputs[0].shape[1:])
    outputs = expected(outputs_of(model, images))
    wrapped = exported(model, folder, names)
    np.testing.assert_allclose(outputs_of(wrapped, images), outputs, atol=1e-5)
    np.testing.assert_allclose(outputs_of(fold(wrapped), images), outputs, atol=1e-4)
    activation = keras.ops.sigmoid if wrapped.layers[-1].activation is keras.activations.sigmoid else keras.ops.softmax
    logits = outputs_of(select_outputs(wrapped, ["logits"]), images)
    np.testing.assert_allclose(activation(logits), outputs, atol=1e-5)


def unchanged(outputs):
    return outputs


@pytest.mark.parametrize("end", PROBABILITIES)
def test_an_end_in_probabilities_is_refused_or_gets_a_second_softmax(end, tmp_path):
    assert_exports(PROBABILITIES[end](), unchanged, tmp_path)


@pytest.mark.parametrize("end", LOGITS)
def test_an_end_in_logits_is_refused_or_taken_for_probabilities(end, tmp_path):
    assert_exports(LOGITS[end](), lambda outputs: np.asarray(keras.ops.softmax(outputs)), tmp_path)


@pytest.mark.parametrize("activation", ["sigmoid", None])
def test_one_number_for_two_classes_is_not_both_probabilities(activation, tmp_path):
    def both(outputs):
        p = outputs if activation else np.asarray(keras.ops.sigmoid(outputs))
        return np.concatenate([1 - p, p], axis=1)

    assert_exports(small(layers.Dense(1, activation=activation)), both, tmp_path, ("cat", "dog"))


@pytest.mark.parametrize("kind", OTHERS)
def test_what_is_unusual_inside_changes_the_outputs(kind, tmp_path):
    assert_exports(OTHERS[kind](), unchanged, tmp_path)


class Subclass(keras.Model):
    """Shows nothing of what it calls."""

    def __init__(self, **arguments):
        super().__init__(**arguments)
        self.end = layers.Dense(3)

    def call(self, images):
        return self.end(keras.ops.mean(images, axis=(1, 2)))


def subclassed():
    keras.saving.get_custom_objects()["Subclass"] = Subclass
    model = Subclass()
    model(np.zeros((1, SIZE, SIZE, 3)))
    return model


def two_heads():
    model = small()
    return keras.Model(model.inputs, {"kind": layers.Dense(3)(model.outputs[0]), "color": layers.Dense(2)(model.outputs[0])})


REFUSED = [
    (lambda: small(layers.Dense(3), softmax_over(0)), NAMES, "whose softmax is not over the last axis"),
    (lambda: small(layers.Dense(3), layers.Softmax(axis=0)), NAMES, "whose softmax is not over the last axis"),
    (lambda: small(layers.Dense(3, activation="sparsemax")), NAMES, "with activation sparsemax"),
    (lambda: small(layers.Dense(3), layers.UnitNormalization()), NAMES, "save a model that ends in one"),
    (lambda: small(layers.Dense(1, activation="sigmoid")), NAMES, "has 1 output and 3 labels; it takes two labels for one"),
    (lambda: small(layers.Dense(1)), NAMES[:1], "whose softmax is always 1; it takes a sigmoid and two labels"),
    (lambda: small(layers.Dense(1, activation="softmax")), NAMES[:2], "whose softmax is always 1"),
    (lambda: small(layers.Dense(4)), NAMES, "has 4 outputs and 3 labels; it takes one label for each output"),
    (lambda: pooled(layers.UpSampling2D(2), layers.Conv2D(3, 1)), NAMES, r"a classifier gives \(N, classes\)"),
    (two_heads, NAMES, r"save keras.Model\(model.inputs, model.outputs\[0\]\) for the first output alone"),
    (subclassed, NAMES, "subclass.* is a Subclass, which does not show what its layers read"),
    (lambda: keras.Sequential([keras.Input((3, 8, 8)), layers.Flatten(), layers.Dense(3)]), NAMES, r"Permute\(\(3, 1, 2\)\)"),
    (
        lambda: small(layers.Dense(3), before=[lambda x: keras.ops.sqrt(-1 - x)]),
        NAMES,
        "outputs for random pixels that are NaN",
    ),
    (lambda: small(layers.Dense(3), lambda x: keras.ops.reshape(x, (2, 3))), NAMES, "cannot be rewritten to take raw pixels"),
]


@pytest.mark.filterwarnings("ignore:You are saving a model that has not yet been built")
def test_a_model_that_was_never_built_is_refused_without_advice(tmp_path):
    with pytest.raises(UserError, match="was never built; begin it with an Input, or call it on an image"):
        exported(keras.Sequential([layers.Flatten(), layers.Dense(3)]), tmp_path)


@pytest.mark.parametrize(("make", "names", "message"), REFUSED)
def test_what_cannot_be_exported_is_refused_without_advice(make, names, message, tmp_path):
    with pytest.raises(UserError, match=message) as caught:
        exported(make(), tmp_path, names)
    assert len(str(caught.value).splitlines()) == 1


def test_a_linear_layer_after_which_somebody_hid_a_softmax_gets_a_second(tmp_path):
    """Here inside a convolution's own activation, before the layer that looks linear."""
    model = pooled(layers.Conv2D(3, 1, activation="softmax"), layers.Conv2D(3, 1, use_bias=False), layers.Flatten())
    model.layers[-2].set_weights([np.eye(3)[np.newaxis, np.newaxis]])
    with pytest.raises(UserError, match="gives probabilities already"):
        exported(model, tmp_path)


OTHER_FILES = {
    "saved_model": (lambda model, path: model.export(path, verbose=False), "it is a SavedModel"),
    "m.h5": (
        lambda model, path: model.save(path),
        r"it is a model in HDF5; keras.saving.load_model\('m.h5'\).save\('m.keras'\)",
    ),
    "m.weights.h5": (lambda model, path: model.save_weights(path), "it holds weights only"),
    "m.pth": (lambda model, path: path.write_bytes(b"PK"), "it is a file of PyTorch; see keras-resnet import"),
    "m.onnx": (lambda model, path: path.write_bytes(b"onnx"), "it is an ONNX model; take the .keras file"),
    "folder": (lambda model, path: path.mkdir(), "it is a folder"),
}


@pytest.mark.parametrize("name", OTHER_FILES)
def test_a_file_of_another_format_is_not_called_by_its_name(name, tmp_path):
    write, message = OTHER_FILES[name]
    write(small(layers.Dense(3)), tmp_path / name)
    for load in (keras_resnet.load_model, load_source_model):
        with pytest.raises(UserError, match=message) as caught:
            load(tmp_path / name)
        assert len(str(caught.value).splitlines()) == 1


@pytest.mark.parametrize("make", [subclassed, lambda: keras.Sequential([layers.Dense(3)]), lambda: 3, lambda: layers.Dense(3)])
def test_functions_on_models_end_in_a_traceback_for_what_is_not_one(make, tmp_path):
    preprocessing = Preprocessing(SIZE, SIZE, 3, (0.5,) * 3, (0.5,) * 3)
    (tmp_path / "a.weights.h5").touch()
    functions = (
        keras_resnet.to_stock,
        to_fast,
        keras_resnet.backbone,
        keras_resnet.preprocessing_for,
        lambda model: keras_resnet.load_weights(model, tmp_path / "a.weights.h5"),
        lambda model: keras_resnet.save_classifier(model, tmp_path / "a.keras", NAMES, preprocessing),
    )
    for function in functions:
        with pytest.raises(UserError) as caught:
            function(make())
        assert len(str(caught.value).splitlines()) == 1


@pytest.mark.parametrize("layer", AUGMENTATIONS, ids=lambda layer: layer.__name__)
def test_augmentation_that_the_fold_drops_changes_images_at_inference(layer, rng):
    arguments = {
        **dict.fromkeys(("RandomRotation", "RandomZoom", "RandomContrast", "RandomBrightness", "RandomHue"), (0.2,)),
        **dict.fromkeys(("RandomSharpness", "RandomSaturation", "RandomColorDegeneration"), (0.5,)),
        "RandomTranslation": (0.2, 0.2),
        "RandomPosterization": (4,),
    }
    images = rng.integers(0, 256, (4, SIZE, SIZE, 3)).astype("float32")
    augmentation = layer(*arguments.get(layer.__name__, ()))
    np.testing.assert_array_equal(augmentation(images, training=False), images)
    inputs = keras.Input((SIZE, SIZE, 3))
    folded = fold(keras.Model(inputs, layers.ReLU()(augmentation(inputs))))
    assert not any(isinstance(each, layer) for each in folded.layers)


def with_lambda():
    return small(layers.Lambda(lambda x: x + 1), layers.Dense(3))


def in_float8():
    model = small(layers.Dense(3))
    model.layers[-1].quantize("float8")
    return model


@pytest.mark.parametrize(
    ("change", "message"), [(with_lambda, "a Lambda, whose code is not copied"), (in_float8, "cannot be copied")]
)
def test_a_layer_that_cannot_be_copied_ends_in_a_traceback(change, message):
    for convert in (keras_resnet.to_stock, to_fast):
        with pytest.raises(UserError, match=message) as caught:
            convert(change())
        assert len(str(caught.value).splitlines()) == 1


def test_our_own_network_with_lora_is_folded_without_it(tmp_path):
    model = keras_resnet.ResNet20V2(input_shape=(SIZE, SIZE, 3), classes=3, width_multiplier=0.25)
    for name in ("stage2_unit1_conv1", "head_dense"):
        model.get_layer(name).enable_lora(2)
        model.get_layer(name).lora_kernel_b.assign(np.ones(model.get_layer(name).lora_kernel_b.shape))
    keras_resnet.save_classifier(model, tmp_path / "a.keras", NAMES, Preprocessing(SIZE, SIZE, 3, (0.0,) * 3, (1.0,) * 3))
    images = pixels_for((SIZE, SIZE, 3))
    source = load_source_model(tmp_path / "a.keras")
    np.testing.assert_allclose(outputs_of(source.model, images), outputs_of(model, images / 255), atol=1e-5)
    np.testing.assert_allclose(outputs_of(fold(source.model), images), outputs_of(model, images / 255), atol=1e-4)
