"""How much of a `.tflite` file runs in XNNPACK, LiteRT's fast path."""

import collections
import dataclasses
from pathlib import Path

from ai_edge_litert.interpreter import Interpreter

from keras_resnet._litert_internals import operators_to_run
from keras_resnet.environment import quiet_stderr


@dataclasses.dataclass(frozen=True)
class Delegation:
    """What XNNPACK takes of a file.

    Attributes:
        operators: How many the file has.
        partitions: Pieces of the network that XNNPACK takes, 1 where nothing splits it.
        undelegated_ops: How often each operator is outside of them, by LiteRT's names.
    """

    operators: int
    partitions: int
    undelegated_ops: dict[str, int]


def delegation(path: Path) -> Delegation:
    """Measures the `Delegation` of the file at `path`.

    The interpreter keeps the operators that it has delegated in its list, and adds one DELEGATE for each partition. An operator
    belongs to a partition if it is met on the way from the partition's outputs back to its inputs.
    """
    with quiet_stderr():  # "INFO: Created TensorFlow Lite XNNPACK delegate for CPU."
        interpreter = Interpreter(str(path), num_threads=1)
        interpreter.allocate_tensors()
    operators = operators_to_run(interpreter)
    delegates = [operator for operator in operators if operator["op_name"] == "DELEGATE"]
    others = [operator for operator in operators if operator["op_name"] != "DELEGATE"]
    producers = {int(tensor): operator for operator in others for tensor in operator["outputs"]}
    delegated = set()
    for delegate in delegates:
        inputs, waiting = {int(tensor) for tensor in delegate["inputs"]}, [int(tensor) for tensor in delegate["outputs"]]
        while waiting:
            tensor = waiting.pop()
            producer = producers.get(tensor)
            if tensor not in inputs and producer and producer["index"] not in delegated:
                delegated.add(producer["index"])
                waiting += [int(index) for index in producer["inputs"]]
    undelegated_ops = collections.Counter(operator["op_name"] for operator in others if operator["index"] not in delegated)
    return Delegation(len(others), len(delegates), dict(undelegated_ops))
