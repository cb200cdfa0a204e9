"""How much of a `.tflite` file runs in XNNPACK, LiteRT's fast path."""

import collections
import dataclasses

from ai_edge_litert.interpreter import Interpreter

from keras_resnet.environment import quiet_stderr


@dataclasses.dataclass(frozen=True)
class Delegation:
    """operators: of the file. partitions: pieces of the network that XNNPACK takes, 1 where nothing splits it.

    left: how often each operator is outside, by LiteRT's names.
    """

    operators: int
    partitions: int
    undelegated_ops: dict

    @property
    def share(self):
        return 1 - sum(self.undelegated_ops.values()) / self.operators


def delegation(path):
    """The `Delegation` of the file at `path`.

    The interpreter keeps the operators that it has handed over in its list, and adds one DELEGATE for each partition. An
    operator is in it that is met on the way from its outputs back to its inputs.
    """
    with quiet_stderr():  # "INFO: Created TensorFlow Lite XNNPACK delegate for CPU."
        interpreter = Interpreter(str(path), num_threads=1)
        interpreter.allocate_tensors()
    operators = interpreter._get_ops_details()
    delegates = [operator for operator in operators if operator["op_name"] == "DELEGATE"]
    others = [operator for operator in operators if operator["op_name"] != "DELEGATE"]
    makers = {int(tensor): operator for operator in others for tensor in operator["outputs"]}
    taken = set()
    for delegate in delegates:
        edge, waiting = {int(tensor) for tensor in delegate["inputs"]}, [int(tensor) for tensor in delegate["outputs"]]
        while waiting:
            tensor = waiting.pop()
            maker = makers.get(tensor)
            if tensor not in edge and maker and maker["index"] not in taken:
                taken.add(maker["index"])
                waiting += [int(given) for given in maker["inputs"]]
    undelegated_ops = collections.Counter(operator["op_name"] for operator in others if operator["index"] not in taken)
    return Delegation(len(others), len(delegates), dict(undelegated_ops))
