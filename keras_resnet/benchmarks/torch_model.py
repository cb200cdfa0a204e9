"""A network of this package in PyTorch, from its description: (N, C, H, W) -> (N, classes). TensorFlow is never imported."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

ACTIVATIONS: dict[str, Callable[[], nn.Module]] = {
    "linear": nn.Identity,
    "relu": nn.ReLU,
    "softmax": lambda: nn.Softmax(dim=1),
}
Node = dict[str, Any]  # a `description.Node`, whose module imports Keras


class Activation(nn.Module):
    def __init__(self, function: str) -> None:
        super().__init__()
        self.function = ACTIVATIONS[function]()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.function(x)


class Dense(nn.Linear):
    def __init__(self, function: str, **settings: Any) -> None:
        super().__init__(**settings)
        self.function = ACTIVATIONS[function]()

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        return self.function(super().forward(input))


class Add(nn.Module):
    def forward(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        return x + y


class Pad(nn.Module):
    def __init__(self, padding: tuple[int, ...]) -> None:
        super().__init__()
        self.padding = tuple(padding)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return nn.functional.pad(x, self.padding)


class GlobalAverage(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.mean((2, 3))


class Rescaling(nn.Module):
    """Computes x * scale + offset. scale, offset: one number, or one per channel."""

    scale: torch.Tensor
    offset: torch.Tensor

    def __init__(self, scale: Any, offset: Any) -> None:
        super().__init__()
        for name, values in (("scale", scale), ("offset", offset)):
            self.register_buffer(name, torch.tensor(values, dtype=torch.float32).reshape(-1, 1, 1), persistent=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * self.scale + self.offset


MODULES: dict[str, Callable[..., nn.Module]] = {
    "InputLayer": nn.Identity,
    "Activation": Activation,
    "Conv2D": nn.Conv2d,
    "BatchNormalization": nn.BatchNorm2d,
    "ReLU": nn.ReLU,
    "Add": Add,
    "ZeroPadding2D": Pad,
    "MaxPooling2D": nn.MaxPool2d,
    "AveragePooling2D": nn.AvgPool2d,
    "GlobalAveragePooling2D": GlobalAverage,
    "Dense": Dense,
    "Rescaling": Rescaling,
}


class TorchModel(nn.Module):
    """graph: from `description.describe`. ReLUs overwrite what no other layer reads, as in PyTorch's own networks."""

    def __init__(self, graph: list[Node]) -> None:
        super().__init__()
        inputs = [name for node in graph for name in node["inputs"]]
        last_reader = {name: node["name"] for node in graph for name in node["inputs"]}
        self.layers = nn.ModuleDict()
        self.operations: list[tuple[str, list[str], set[str]]] = []  # layer, its inputs, those to release after it
        for node in graph:
            name, kind, before = node["name"], node["kind"], node["inputs"]
            settings = {key: tuple(value) if isinstance(value, list) else value for key, value in node["settings"].items()}
            if kind == "ReLU":
                settings["inplace"] = inputs.count(before[0]) == 1
            self.layers[name] = MODULES[kind](**settings)
            self.operations.append((name, before, {other for other in before if last_reader[other] == name}))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        values: dict[str, torch.Tensor] = {}
        output = x
        for name, before, released in self.operations:
            output = values[name] = self.layers[name](*[values[other] for other in before] if before else [x])
            for other in released:
                del values[other]
        return output


def read(path: Path | str) -> tuple[TorchModel, tuple[int, int, int]]:
    """Returns the network in a file by `description.write`, weights included, and its input's (height, width, channels)."""
    arrays: dict[str, np.ndarray] = dict(np.load(path))
    graph: list[Node] = json.loads(str(arrays.pop("graph")))
    torch_model = TorchModel(graph)
    for node in graph:
        layer, weights = torch_model.layers[node["name"]], []
        while (key := f"{node['name']}/{len(weights)}") in arrays:
            weights.append(torch.from_numpy(arrays[key]))
        if node["kind"] == "Conv2D":
            weights[0] = weights[0].permute(3, 2, 0, 1)
        if node["kind"] == "Dense":
            weights[0] = weights[0].T
        names = [name for name in layer.state_dict() if name != "num_batches_tracked"]
        assert len(names) == len(weights), node
        layer.load_state_dict(dict(zip(names, weights, strict=True)), strict=False)
    height, width, channels = graph[0]["settings"]["shape"]
    return torch_model, (height, width, channels)


def channels_last(images: np.ndarray) -> torch.Tensor:
    """Returns a tensor (N, C, H, W), channels last in memory, of an array (N, H, W, C)."""
    return torch.from_numpy(images).permute(0, 3, 1, 2).contiguous(memory_format=torch.channels_last)
