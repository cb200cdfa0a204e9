"""What the whole numbers mean that a `.tflite` file with integers at its edge gives. Some clients hand them on as they are."""

from pathlib import Path

Scale = tuple[float, int]  # of a whole number: (number - second) * first


def output_scales(path: Path, format: str) -> dict[str, Scale]:
    """Reads the scale of each output of an artifact that is a whole number, by the tensor's name and by the signature's."""
    if format != "tflite":
        return {}
    from keras_resnet._litert_internals import parse_model

    model = parse_model(path.read_bytes())
    (graph, *_), signatures = model.subgraphs, model.signatureDefs or ()
    indices = {index: [graph.tensors[index].name] for index in graph.outputs}
    for output in (output for signature in signatures for output in signature.outputs):
        indices.setdefault(output.tensorIndex, []).append(output.name)
    scales = {}
    for index, names in indices.items():
        parameters = graph.tensors[index].quantization
        if parameters is not None and parameters.scale is not None and len(parameters.scale) == 1:
            scale = float(parameters.scale[0]), int(parameters.zeroPoint[0])
            scales.update({name.decode(): scale for name in names})
    return scales
