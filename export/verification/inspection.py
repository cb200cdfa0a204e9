"""What a file is made of: its operators, and how many of them LiteRT's fast path takes."""

import collections
import dataclasses

VARIABLES = {"VAR_HANDLE", "READ_VARIABLE", "ASSIGN_VARIABLE"}
SILENT = {"Placeholder", "Const", "Identity", "NoOp", "ReadVariableOp"}  # of TensorFlow: they compute nothing


@dataclasses.dataclass(frozen=True)
class Inspection:
    """operators: how often each occurs, by the format's names. partitions: pieces of the network that XNNPACK takes. left: how
    often each operator is outside of them. The latter two are None where there is no such thing.
    """

    operators: dict
    partitions: int | None = None
    undelegated_ops: dict | None = None

    @property
    def delegated(self):
        """The share of the operators that XNNPACK takes, or None."""
        return None if self.undelegated_ops is None else 1 - sum(self.undelegated_ops.values()) / sum(self.operators.values())

    def blocking_issues(self):
        """Why the file is not to be shipped, whatever it computes: one line each."""
        unfrozen = sorted(VARIABLES & set(self.operators))
        flex = sorted(name for name in self.operators if name.startswith("Flex"))
        if unfrozen:
            yield f"has variables that are not frozen ({', '.join(unfrozen)}), which makes it several times slower"
        if flex:
            yield f"needs operators outside of LiteRT ({', '.join(flex)})"


def inspect(artifact):
    """Of an open `runtimes.Predictor`."""
    return INSPECTORS[artifact.path.suffix](artifact)


def inspect_tflite(artifact):
    from ..formats.tflite.delegation import delegation

    found = delegation(artifact.path)
    return Inspection(count(operators_of_tflite(artifact.path.read_bytes())), found.partitions, found.undelegated_ops)


def operators_of_tflite(content):
    """The operators in a `.tflite` file's bytes, by LiteRT's names; a custom one by its own."""
    from ai_edge_litert import schema_py_generated as schema

    names = {code: name for name, code in vars(schema.BuiltinOperator).items() if isinstance(code, int)}
    model = schema.ModelT.InitFromPackedBuf(content, 0)
    codes = [
        code.customCode.decode() if code.customCode else names[max(code.builtinCode, code.deprecatedBuiltinCode)]
        for code in model.operatorCodes
    ]
    return [codes[operator.opcodeIndex] for graph in model.subgraphs for operator in graph.operators]


def inspect_onnx(artifact):
    import onnx

    return Inspection(count(node.op_type for node in onnx.load(artifact.path, load_external_data=False).graph.node))


def inspect_saved_model(artifact):
    graph = artifact.function.graph
    functions = [graph, *(graph._get_function(name).graph for name in graph._functions)]
    found = (operation.type for function in functions for operation in function.get_operations())
    return Inspection(count(kind for kind in found if kind not in SILENT and not kind.endswith("PartitionedCall")))


INSPECTORS = {".tflite": inspect_tflite, ".onnx": inspect_onnx, "": inspect_saved_model}


def count(names):
    return dict(collections.Counter(names).most_common())
