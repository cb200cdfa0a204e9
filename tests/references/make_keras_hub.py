"""Write the reference files in `zoo/` of KerasHub's presets: what its classifiers make of two images.

Each is saved with `save_to_preset`; the reference file holds `config.json` and, of every tensor, its place in which HDF5 file
there, its layer's name, its variable and its shape. The weights are those of `deterministic.py`. Run with keras-hub 0.32, on
PyTorch, which computes in float64 there:

    KERAS_BACKEND=torch python make_keras_hub.py
"""

import json
import tempfile
from pathlib import Path

import h5py
import keras
import keras_hub
import numpy as np
from deterministic import images, tensor

SIZES = (224, 224), (101, 75)
FOLDER = Path(__file__).with_name("zoo")
VARIABLES = {1: ("kernel",), 2: ("kernel", "bias"), 4: ("gamma", "beta", "moving_mean", "moving_variance")}

# As in keras_hub/src/models/resnet/resnet_presets.py
PLAIN = {"input_conv_filters": [64], "input_conv_kernel_sizes": [7]}
DEEP = {"input_conv_filters": [32, 32, 64], "input_conv_kernel_sizes": [3, 3, 3]}
PRESETS = {
    "resnet_18": {**PLAIN, "stackwise_num_blocks": [2, 2, 2, 2], "block_type": "basic_block"},
    "resnet_50": {**PLAIN, "stackwise_num_blocks": [3, 4, 6, 3], "block_type": "bottleneck_block"},
    "resnet_v2_50": {
        **PLAIN,
        "stackwise_num_blocks": [3, 4, 6, 3],
        "block_type": "bottleneck_block",
        "use_pre_activation": True,
    },
    "resnet_vd_18": {**DEEP, "stackwise_num_blocks": [2, 2, 2, 2], "block_type": "basic_block_vd"},
    "resnet_vd_50": {**DEEP, "stackwise_num_blocks": [3, 4, 6, 3], "block_type": "bottleneck_block_vd"},
}


def classifier(arguments):
    backbone = keras_hub.models.ResNetBackbone(
        stackwise_num_filters=[64, 128, 256, 512], stackwise_num_strides=[1, 2, 2, 2], **arguments
    )
    converter = keras_hub.layers.ResNetImageConverter(
        image_size=(224, 224), scale=[1 / 255 / s for s in (0.229, 0.224, 0.225)], offset=[-2.1179, -2.0357, -1.8044],
        interpolation="bicubic", antialias=True,
    )  # fmt: skip
    preprocessor = keras_hub.models.ResNetImageClassifierPreprocessor(converter)
    return keras_hub.models.ResNetImageClassifier(backbone, 1000, preprocessor, activation=None)


def make(name, arguments):
    model = classifier(arguments)
    names, shapes, places = [], [], []
    with tempfile.TemporaryDirectory() as folder:
        model.save_to_preset(folder)
        texts = {file.name: file.read_text() for file in Path(folder).glob("*.json")}

        def visit(path, found):
            if isinstance(found, h5py.Group) and path.endswith("vars") and len(found) and "optimizer" not in path:
                layer = found.attrs["name"]
                for number, variable in enumerate(VARIABLES[len(found)]):
                    names.append(f"{layer}.{variable}")
                    shapes.append(list(found[str(number)].shape))
                    places.append(f"{file}:{path}/{number}")

        for file in ("model.weights.h5", "task.weights.h5"):
            with h5py.File(Path(folder, file)) as opened:
                opened.visititems(visit)
    values = {key: tensor(key, tuple(shape)) for key, shape in zip(names, shapes, strict=True)}
    for layer in [*model.backbone.layers, *model.layers]:
        if layer is not model.backbone:
            for weight in layer.weights:
                weight.assign(values[f"{layer.name}.{weight.name}"])
    double = in_float64(model, arguments)
    logits = []
    for number, sides in enumerate(SIZES):
        x = keras.ops.convert_to_tensor(images((1, *sides, 3), number).astype("float64"))
        logits.append(keras.ops.convert_to_numpy(double(x, training=False))[0])
    parameters = model.count_params()
    print(f"{name}: {parameters:,} parameters, largest logit {np.abs(logits).max():.4g}", flush=True)
    np.savez_compressed(
        FOLDER / f"keras_hub-{name}.npz",
        names=np.array(names),
        shapes=np.array([json.dumps(shape) for shape in shapes]),
        places=np.array(places),
        texts=np.array(json.dumps(texts)),
        parameters=sum(int(np.prod(weight.shape)) for weight in model.trainable_weights),
        sizes=np.array(SIZES),
        logits=np.array(logits, np.float32),
    )


def in_float64(model, arguments):
    keras.config.set_dtype_policy("float64")
    try:
        double = classifier(arguments)
    finally:
        keras.config.set_dtype_policy("float32")
    double.backbone.set_weights(model.backbone.get_weights())
    double.set_weights(model.get_weights())
    return keras.Sequential([double.backbone, double.get_layer("pooler"), double.get_layer("predictions")])


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    for preset, settings in PRESETS.items():
        make(preset, settings)
