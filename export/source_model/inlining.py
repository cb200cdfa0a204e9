"""Copies a model with the layers of the models inside it in their place."""

import collections
import functools
from typing import Any

import keras
import numpy as np

from keras_resnet import saving
from keras_resnet._keras_internals import functional_part, is_functional, run_through_graph


class Inliner:
    """Copies the operations of a model and of the models inside it, each once and under a name of its own."""

    def __init__(self) -> None:
        self._copies: dict[Any, Any] = {}
        self._names: collections.Counter[str] = collections.Counter()

    def inline(self, model: keras.Model) -> keras.Model:
        inlined = keras.models.clone_model(model, clone_function=lambda layer: layer, call_function=self._call)
        for operation, copy in self._copies.items():
            if isinstance(operation, keras.Layer):
                copy_merged_weights(operation, copy)
        return inlined

    def _call(self, operation: Any, *args: Any, **kwargs: Any) -> Any:
        """Calls the copy of an operation; for a model, the copies of what is inside it."""
        inner = functional_part(operation)
        if is_functional(inner):
            return run_through_graph(inner, args[0], lambda inside: functools.partial(self._call, inside))
        return self.copy(operation)(*args, **kwargs)

    def copy(self, operation: Any) -> Any:
        """The one copy of a layer, in float32 and without its weights yet, or of another operation."""
        if operation not in self._copies:
            config, name = operation.get_config(), self.unique_name(operation.name)
            if isinstance(operation, keras.Layer):
                copy = type(operation).from_config({**in_float32(config), "name": name})
            else:  # whose constructor may not take a name
                copy = type(operation).from_config(config)
                copy.name = name
            self._copies[operation] = copy
        return self._copies[operation]

    def unique_name(self, name: str) -> str:
        """The name, with a number if an operation of another of the models has it already."""
        self._names[name] += 1
        return name if self._names[name] == 1 else self.unique_name(f"{name}_{self._names[name] - 1}")


def in_float32(config: dict[str, Any]) -> dict[str, Any]:
    """The configuration of a layer in float32, without the matrices of LoRA, whose product is part of the kernel."""
    without_lora = {key: value for key, value in config.items() if not key.startswith("lora_")}
    return {**without_lora, "dtype": "float32"} if "dtype" in config else without_lora


def copy_merged_weights(original: keras.Layer, copy: keras.Layer) -> None:
    """Copies the weights of a layer to a copy `in_float32`."""
    if getattr(original, "lora_enabled", False):
        bias = [original.bias] if original.bias is not None else []
        copy.set_weights([np.asarray(weight) for weight in (original.kernel, *bias)])
    else:
        saving.copy_weights(original, copy)
