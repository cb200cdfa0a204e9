"""A functional model as a list of calls, each with what it reads and who reads it."""

import collections
import dataclasses
from typing import Any

import keras

from keras_resnet._keras_internals import graph_calls, is_functional
from keras_resnet.errors import UserError


@dataclasses.dataclass(frozen=True)
class Node:
    """One call of a layer or other operation.

    Attributes:
        operation: The Keras layer or operation.
        name: Its name, with a number from its second call on.
        inputs: The Keras tensors of the original model that it reads.
        outputs: Those that it makes.
        arguments: The arguments of the call; Keras' `SymbolicArguments`.
    """

    operation: Any
    name: str
    inputs: tuple[keras.KerasTensor, ...]
    outputs: tuple[keras.KerasTensor, ...]
    arguments: Any

    @property
    def output(self) -> keras.KerasTensor:
        return self.outputs[0]


class Network:
    """The graph of a model.

    Attributes:
        nodes: Its calls in topological order, without the input.
        input: Its only input.
        outputs: Its outputs.
    """

    def __init__(self, model: keras.Model) -> None:
        """Raises `UserError` for a model that is not functional, or has several inputs."""
        single = isinstance(model, keras.Model) and len(keras.tree.flatten(getattr(model, "inputs", None))) == 1
        if not single or not is_functional(model):
            raise UserError("only functional models with one input can be exported")
        self.input: keras.KerasTensor = model.inputs[0]
        self.outputs: list[keras.KerasTensor] = model.outputs
        self.nodes: list[Node] = []
        self._readers: dict[int, list[Node]] = collections.defaultdict(list)
        seen: collections.Counter[str] = collections.Counter()
        for call in graph_calls(model):
            name = call.operation.name
            seen[name] += 1
            unique = name if seen[name] == 1 else f"{name}_call{seen[name]}"
            node = Node(call.operation, unique, tuple(call.input_tensors), tuple(call.outputs), call.arguments)
            self.nodes.append(node)
            for tensor in node.inputs:
                self._readers[id(tensor)].append(node)

    def readers(self, tensor: keras.KerasTensor) -> list[Node]:
        """The calls that read a tensor, once for each time that they do."""
        return self._readers[id(tensor)]

    def is_output(self, tensor: keras.KerasTensor) -> bool:
        return any(tensor is output for output in self.outputs)
