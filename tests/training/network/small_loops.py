"""Small networks on random images, as `create_context` puts them together, but without a data set or a work directory."""

import types

import keras
import numpy as np
import tensorflow as tf
from conftest import scramble, weights_of

from keras_resnet.models.options import ModelOptions
from keras_resnet.training import recipes
from keras_resnet.training.config import TrainConfig
from keras_resnet.training.context import TrainingData, build_loop, build_network
from keras_resnet.training.data.batches import TrainBatches
from keras_resnet.training.data.dataset import ArraySplit
from keras_resnet.training.network.classifier import build_model, dtype_policy_scope

CLASSES, BATCH = 4, 8
LEARNING_RATE = 0.05


def random_split(batches):
    """Images (N, 8, 8, 3) and labels."""
    rng = np.random.default_rng(0)
    return ArraySplit(
        rng.integers(0, 256, (BATCH * batches, 8, 8, 3)).astype(np.uint8), rng.integers(0, CLASSES, BATCH * batches)
    )


def config_of(model="ResNet20V2", *, recipe=None, options=None, **fields):
    """A quarter as wide as the paper's network. recipe, options: what differs."""
    constant = {"schedule": "step", "milestones": (), "warmup": 0.0, "nesterov": True, "weight_decay": 1e-3}
    given = {
        "batch_size": BATCH,
        "learning_rate": LEARNING_RATE,
        "weight_decay_mode": "decoupled",
        **constant,
        **(recipe or {}),
    }
    recipe = recipes.get_recipe("he2015_cifar", crop_padding=0, flip=False, **given)
    return TrainConfig(
        model, "random", "he2015_cifar", recipe, options=ModelOptions(**{"width_multiplier": 0.25, **(options or {})}), **fields
    )


def loop_of(config, split, strategy=None):
    """The loop of a run, whose norms are scrambled."""
    strategy = strategy or tf.distribute.get_strategy()
    data = TrainingData(types.SimpleNamespace(class_names="abcd"), split, split)
    with strategy.scope(), dtype_policy_scope(config.precision):
        network = build_network(config, data, strategy).trainable
        network.copy_from(whole_model(config, network, scramble))
        return build_loop(config, strategy, network, config.recipe.learning_rate, split.labels)


def whole_model(config, network, change=lambda model: None):
    """The whole network, with the weights of the one that is trained."""
    pixels = keras.Input(network.model.input_shape[1:])
    preprocessing = network.model.layers[1]
    model = build_model(config, CLASSES, input_tensor=preprocessing(pixels), classifier_activation=None)
    network.copy_to(model)
    change(model)
    return model


def epoch_of(split, recipe, epoch=0):
    return TrainBatches(split, recipe, CLASSES, (8, 8), (0, 0, 0), seed=0, epoch=epoch)


def trained(config, split, strategy=None):
    """The weights after an epoch, averaged if the recipe says so, the means of its losses, and the loop."""
    loop = loop_of(config, split, strategy)
    *_, output = loop.train(epoch_of(split, config.recipe))
    loop.sync_moving_statistics()
    with loop.step.update.ema_weights():
        return weights_of(loop.step.network), output.sums.means(), loop


def largest_difference(ours, theirs):
    """Of any weight, as a share of the largest value in its tensor."""
    assert ours.keys() == theirs.keys()
    return max(np.abs(ours[place] - value).max() / max(np.abs(value).max(), 1e-3) for place, value in theirs.items())
