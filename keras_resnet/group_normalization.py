"""Keras' GroupNormalization, which can keep the record of how images are prepared."""

from typing import Any

import keras


@keras.saving.register_keras_serializable(package="keras_resnet")
class GroupNormalization(keras.layers.GroupNormalization):
    """`keras.layers.GroupNormalization`: (N, H, W, C) -> (N, H, W, C).

    Args:
        *args: those of `keras.layers.GroupNormalization`.
        **kwargs: those of `keras.layers.GroupNormalization`.
        preprocessing: as in `BatchNormalization`.
    """

    def __init__(self, *args: Any, preprocessing: str | None = None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.preprocessing = preprocessing

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        return config if self.preprocessing is None else {**config, "preprocessing": self.preprocessing}
