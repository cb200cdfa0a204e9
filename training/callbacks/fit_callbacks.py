"""A user's Keras callbacks, called when, with what and on what kind of model `fit` would call them."""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

from keras_resnet.errors import UserError

from ..context import TrainingContext
from ..network.classifier import dtype_policy_scope
from ..network.parts import freeze

LOSS, METRIC = "sparse_categorical_crossentropy", "accuracy"
RATE = "the learning rate is the recipe's, a function of the step; its learning_rate, schedule, warmup and milestones change it"
REFUSED = {
    keras.callbacks.LearningRateScheduler: RATE,
    keras.callbacks.ReduceLROnPlateau: RATE,
    keras.callbacks.SwapEMAWeights: "the recipe's ema_momentum averages the weights, and evaluates and keeps the average",
}


class FitCallbacks:
    """The callbacks, on the whole network as a model that is compiled as for `fit`.

    As there, their batches count from 0 in every epoch, and the batch methods are called once per execution, which is several
    steps. The logs also have the learning rate, the norm of the gradient and the images per second. The model has the weights
    of the training while they are called, and what they change in it is changed in the training.

    Args:
        callbacks: of a user.
        context: of the run.

    Attributes:
        given: whether there are any. The model is built only then.

    Raises:
        UserError: for a callback that would change what is the recipe's.
    """

    def __init__(self, callbacks: Sequence[keras.callbacks.Callback], context: TrainingContext) -> None:
        for callback in callbacks:
            for kind, reason in REFUSED.items():
                if isinstance(callback, kind):
                    raise UserError(f"leave out the callback {type(callback).__name__}: {reason}")
        self.given, self._network = bool(callbacks), context.network
        if callbacks:
            self._model = compiled_model(context)
            steps, epochs = context.steps_per_epoch, context.recipe.epochs
            self._callbacks = keras.callbacks.CallbackList(
                [*callbacks], add_history=True, model=self._model, epochs=epochs, steps=steps, verbose=0
            )

    @property
    def stop_training(self) -> bool:
        """Whether one of them ends the run."""
        return self.given and bool(self._model.stop_training)

    def call(self, hook: str, *arguments: Any) -> None:
        """Calls a method of all callbacks by its name."""
        if self.given:
            self._network.copy_to(self._model)
            getattr(self._callbacks, hook)(*arguments)
            self._network.copy_from(self._model)


def compiled_model(context: TrainingContext) -> keras.Model:
    """Builds the network and compiles it, so that a callback can evaluate it, and tell whether more of a metric is better.

    Its file stays that of a model that is not compiled, which loads wherever the network's layers do.
    """
    with context.strategy.scope(), dtype_policy_scope(context.config.precision):
        model = context.classifier()
        freeze(model, context.recipe)
        optimizer: Any = context.loop.step.update.optimizer
        xla: Any = context.config.jit_compile
        model.compile(optimizer, LOSS, metrics=[METRIC], jit_compile=xla, auto_scale_loss=False)
        # Keras builds the metrics, by which callbacks look them up, from the first predictions.
        labels, predictions = np.zeros(1, int), np.full((1, context.classes), 1 / context.classes, np.float32)
        context.strategy.run(lambda: model.compute_metrics(None, labels, predictions))
        model.reset_metrics()
    model.get_compile_config = dict
    model.stop_training = False
    return model
