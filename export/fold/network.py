"""A functional model as a list of operations, each with what it reads and who reads it."""

import collections
import dataclasses

import keras

from keras_resnet.errors import UserError


@dataclasses.dataclass(frozen=True)
class Node:
    """One call of a layer or operation. inputs, outputs: the original's Keras tensors. arguments: of the call.

    name: the operation's, with a number where it is called again.
    """

    operation: object
    name: str
    inputs: tuple
    outputs: tuple
    arguments: object

    @property
    def output(self):
        return self.outputs[0]


class Network:
    """nodes: in topological order, without the input. input, output: the model's only ones."""

    def __init__(self, model):
        single = isinstance(model, keras.Model) and all(
            len(keras.tree.flatten(getattr(model, side, None))) == 1 for side in ("inputs", "outputs")
        )
        if not single or not hasattr(model, "_nodes_by_depth"):
            raise UserError("only functional models with one input and one output can be exported")
        (self.input,), (self.output,) = model.inputs, model.outputs
        depths = sorted(model._nodes_by_depth, reverse=True)
        calls = [node for depth in depths for node in model._nodes_by_depth[depth] if node.input_tensors]
        self.nodes, self._readers, seen = [], collections.defaultdict(list), collections.Counter()
        for call in calls:
            name = call.operation.name
            seen[name] += 1
            unique = name if seen[name] == 1 else f"{name}_call{seen[name]}"
            node = Node(call.operation, unique, tuple(call.input_tensors), tuple(call.outputs), call.arguments)
            self.nodes.append(node)
            for tensor in node.inputs:
                self._readers[id(tensor)].append(node)

    def readers(self, tensor):
        return self._readers[id(tensor)]
