"""A user's Keras callbacks, called when, with what and on what kind of model `fit` would call them."""

from collections.abc import Sequence

import keras
import numpy as np

from keras_resnet.errors import UserError

from .context import TrainingContext

LOSS, METRIC = "sparse_categorical_crossentropy", "accuracy"
RATE = "the learning rate is the recipe's, a function of the step; its learning_rate, schedule, warmup and milestones change it"
REFUSED = {
    keras.callbacks.LearningRateScheduler: RATE,
    keras.callbacks.ReduceLROnPlateau: RATE,
    keras.callbacks.SwapEMAWeights: "the recipe's ema_momentum averages the weights, and evaluates and keeps the average",
}


class FitCallbacks(keras.callbacks.CallbackList):
    """The callbacks, on a model that is compiled as for `fit`.

    As there, their batches count from 0 in every epoch, and the batch methods are called once per execution, which is several
    steps. The logs also have the learning rate, the norm of the gradient and the images per second.

    Args:
        callbacks: of a user.
        context: of the run.

    Attributes:
        given: whether there are any.

    Raises:
        UserError: for a callback that would change what is the recipe's.
    """

    def __init__(self, callbacks: Sequence[keras.callbacks.Callback], context: TrainingContext) -> None:
        for callback in callbacks:
            for kind, reason in REFUSED.items():
                if isinstance(callback, kind):
                    raise UserError(f"leave out the callback {type(callback).__name__}: {reason}")
        model = context.model
        if callbacks:
            compile_model(context)
        self.given = bool(callbacks)
        model.optimizer, model.stop_training = context.loop.step.update.optimizer, False
        steps, epochs = context.steps_per_epoch, context.recipe.epochs
        super().__init__([*callbacks], add_history=True, model=model, epochs=epochs, steps=steps, verbose=0)


def compile_model(context: TrainingContext) -> None:
    """Compiles the model, so that a callback can evaluate it, and tell whether more of a metric is better.

    Its file stays that of a model that is not compiled, which loads wherever the network's layers do.
    """
    model, strategy = context.model, context.strategy
    with strategy.scope():
        optimizer, xla = context.loop.step.update.optimizer, context.config.jit_compile
        model.compile(optimizer, LOSS, metrics=[METRIC], jit_compile=xla, auto_scale_loss=False)
        # Keras builds the metrics, by which callbacks look them up, from the first predictions.
        labels, predictions = np.zeros(1, int), np.full((1, context.classes), 1 / context.classes, np.float32)
        strategy.run(lambda: model.compute_metrics(None, labels, predictions))
        model.reset_metrics()
    model.get_compile_config = dict
