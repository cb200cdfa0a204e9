"""Write the reference files in `zoo/` of TensorFlow's own networks: TF-Slim's and those of the TensorFlow Model Garden.

- slim-resnet_v1_50, slim-resnet_v2_50: tf-slim 1.1.0, `tf_slim.nets`
- garden-resnet50: tf-models-official 2.20.0, `official.vision.modeling.backbones.resnet`, with norm_epsilon 1e-5 as its
  configuration for ImageNet has it, inside a `ClassificationModel`
- garden-legacy_resnet50: the same package, `official.legacy.image_classification.resnet.resnet_model`

Each has the weights of `deterministic.py`, drawn by the names in its checkpoint, and computes in float32. The names are the
checkpoint's keys; `full_names` are what Keras calls the variables, "" where the checkpoint does not say.

Run with TensorFlow 2.21 and, in a folder that PYTHONPATH names, what this installs:

    pip install --no-deps --target=FOLDER tf-slim==1.1.0 tf-keras==2.21.0 tf-models-official==2.20.0
"""

import importlib
import json
import os
import sys
import tempfile
import types
from pathlib import Path

os.environ["TF_USE_LEGACY_KERAS"] = "1"

import numpy as np
import tensorflow as tf
import tf_keras
from deterministic import images, tensor

SIZES = (224, 224), (101, 75)
FOLDER = Path(__file__).with_name("zoo")
VALUE = "/.ATTRIBUTES/VARIABLE_VALUE"
# Packages of the Model Garden whose own imports need libraries that the networks do not.
HOLLOW = (
    "official.core",
    "official.vision",
    "official.vision.modeling",
    "official.vision.modeling.backbones",
    "official.vision.modeling.layers",
)
UNUSED = ("official.nlp.modeling", "official.vision.ops.spatial_transform_ops")


def write(name, names, shapes, parameters, logits, full_names=None):
    print(f"{name}: {parameters:,} parameters, largest logit {np.abs(logits).max():.4g}", flush=True)
    np.savez_compressed(
        FOLDER / f"{name}.npz",
        names=np.array(names),
        shapes=np.array([json.dumps(list(shape)) for shape in shapes]),
        parameters=parameters,
        sizes=np.array(SIZES),
        logits=np.array(logits, np.float32).reshape(len(SIZES), -1),
        **({"full_names": np.array(full_names)} if full_names else {}),
    )


def slim(name):
    for module in ("base", "normalization", "convolutional", "core", "pooling"):  # where tf_slim looks for them
        sys.modules[f"tf_keras.legacy_tf_layers.{module}"] = importlib.import_module(f"tf_keras.src.legacy_tf_layers.{module}")
    import tf_slim

    nets, v1 = importlib.import_module(f"tf_slim.nets.{name.rpartition('_')[0]}"), tf.compat.v1
    logits = []
    for number, sides in enumerate(SIZES):
        with tf.Graph().as_default(), v1.Session() as session:
            placeholder = v1.placeholder(tf.float32, (1, *sides, 3))
            with tf_slim.arg_scope(nets.resnet_arg_scope()):
                output, _ = getattr(nets, name)(placeholder, 1000, is_training=False)
            variables = v1.global_variables()
            for variable in variables:
                variable.load(tensor(variable.op.name, tuple(variable.shape)), session)
            logits.append(session.run(output, {placeholder: images((1, *sides, 3), number)}))
            parameters = sum(np.prod(variable.shape) for variable in v1.trainable_variables())
    names = [variable.op.name for variable in variables]
    write(f"slim-{name}", names, [variable.shape for variable in variables], int(parameters), logits)


def garden_networks():
    for name in HOLLOW:
        sys.modules[name] = types.ModuleType(name)
        folder = name.replace(".", "/")
        sys.modules[name].__path__ = [f"{place}/{folder}" for place in sys.path if Path(place, folder).is_dir()]
    for name in UNUSED:
        sys.modules[name] = types.ModuleType(name)
    sys.modules["official.nlp"] = types.ModuleType("official.nlp")
    sys.modules["official.nlp"].modeling = sys.modules["official.nlp.modeling"]
    sys.modules["official.nlp.modeling"].layers = types.SimpleNamespace(
        TransformerEncoderBlock=tf_keras.layers.Layer, TransformerScaffold=tf_keras.layers.Layer
    )
    from official.legacy.image_classification.resnet import resnet_model
    from official.vision.modeling import classification_model
    from official.vision.modeling.backbones import resnet

    backbone = resnet.ResNet(50, norm_epsilon=1e-5)
    model = classification_model.ClassificationModel(backbone, 1000)
    yield "garden-resnet50", model, model, {"backbone": backbone}
    model = resnet_model.resnet50(1000)
    yield "garden-legacy_resnet50", model, tf_keras.Model(model.input, model.layers[-2].output), {}


def garden():
    from tensorflow.core.protobuf.trackable_object_graph_pb2 import TrackableObjectGraph

    for name, model, to_logits, items in garden_networks():
        model.optimizer = tf_keras.optimizers.legacy.SGD(0.1, 0.9)
        model.optimizer.apply_gradients((tf.zeros_like(v), v) for v in model.trainable_variables)
        with tempfile.TemporaryDirectory() as folder:
            checkpoint = tf.train.Checkpoint(model=model, optimizer=model.optimizer, **items)
            path = checkpoint.save(f"{folder}/ckpt")
            reader = tf.train.load_checkpoint(path)
            shapes = reader.get_variable_to_shape_map()
            graph = TrackableObjectGraph.FromString(reader.get_tensor("_CHECKPOINTABLE_OBJECT_GRAPH"))
        full_names = {a.checkpoint_key: a.full_name for node in graph.nodes for a in node.attributes}
        for node in graph.nodes:  # the momenta
            for slot in node.slot_variables:
                [attribute] = graph.nodes[slot.slot_variable_node_id].attributes
                full_names.setdefault(attribute.checkpoint_key, attribute.full_name)
        keys = [key for key in shapes if key in full_names]
        by_name = {variable.name.removesuffix(":0"): variable for variable in model.variables}
        for key in keys:
            if ".OPTIMIZER_SLOT" not in key and full_names[key] in by_name:
                variable = by_name[full_names[key]]
                variable.assign(tensor(key.removesuffix(VALUE), tuple(variable.shape)))
        assert len(by_name) == len(model.variables)
        if "legacy" in name:
            weights = to_logits.get_weights()
            to_logits = legacy_of_any_size(model)
            to_logits.set_weights(weights)
        logits = [to_logits(images((1, *sides, 3), n), training=False).numpy() for n, sides in enumerate(SIZES)]
        parameters = sum(int(np.prod(variable.shape)) for variable in model.trainable_variables)
        write(name, keys, [shapes[key] for key in keys], parameters, logits, [full_names[key] for key in keys])


def legacy_of_any_size(model):
    """The same layers, to the logits, for images of any size."""
    config = model.get_config()
    config["layers"][0]["config"]["batch_input_shape"] = (None, None, None, 3)
    clone = tf_keras.Model.from_config(config)
    return tf_keras.Model(clone.input, clone.layers[-2].output)


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    for network in sys.argv[1:] or ("resnet_v1_50", "resnet_v2_50"):
        slim(network)
    garden()
