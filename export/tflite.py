"""TFLite (LiteRT), by TensorFlow's converter."""

import collections

import tensorflow as tf
from ai_edge_litert import schema_py_generated as schema

VARIABLES = {"VAR_HANDLE", "READ_VARIABLE", "ASSIGN_VARIABLE"}


def write(saved_model, classifier, path):
    """Converts the `serving_default` of a SavedModel folder, with the classifier's record appended.

    By way of the SavedModel, because the converter leaves the variables of a Keras 3 model unfrozen when it is handed a
    concrete function; such a file works, at a seventh of the speed.
    """
    converter = tf.lite.TFLiteConverter.from_saved_model(str(saved_model), signature_keys=["serving_default"])
    content = converter.convert()
    operators = set(operator_histogram(content))
    assert not operators & VARIABLES, f"unfrozen variables: {operators & VARIABLES}"
    assert not any(name.startswith("Flex") for name in operators), f"operators outside LiteRT: {operators}"
    path.write_bytes(content)
    classifier.write_into(path)


def operator_histogram(content):
    """How often each operator occurs in a `.tflite` file's bytes, by LiteRT's names; a custom one by its own."""
    names = {code: name for name, code in vars(schema.BuiltinOperator).items() if isinstance(code, int)}
    model = schema.ModelT.InitFromPackedBuf(content, 0)
    codes = [
        code.customCode.decode() if code.customCode else names[max(code.builtinCode, code.deprecatedBuiltinCode)]
        for code in model.operatorCodes
    ]
    return collections.Counter(codes[operator.opcodeIndex] for graph in model.subgraphs for operator in graph.operators)
