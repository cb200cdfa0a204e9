"""A network of ours in PyTorch, from its description: (N, C, H, W) -> (N, classes). No TensorFlow in this process."""

import json

import numpy as np
import torch
from torch import nn

ACTIVATIONS = {"linear": nn.Identity, "relu": nn.ReLU, "softmax": lambda: nn.Softmax(dim=1)}


class Activation(nn.Module):
    def __init__(self, function):
        super().__init__()
        self.function = ACTIVATIONS[function]()

    def forward(self, x):
        return self.function(x)


class Dense(nn.Linear):
    def __init__(self, function, **settings):
        super().__init__(**settings)
        self.function = ACTIVATIONS[function]()

    def forward(self, x):
        return self.function(super().forward(x))


class Add(nn.Module):
    def forward(self, x, y):
        return x + y


class Pad(nn.Module):
    def __init__(self, padding):
        super().__init__()
        self.padding = tuple(padding)

    def forward(self, x):
        return nn.functional.pad(x, self.padding)


class GlobalAverage(nn.Module):
    def forward(self, x):
        return x.mean((2, 3))


class Rescaling(nn.Module):
    """scale, offset: a number, or one for each channel."""

    def __init__(self, scale, offset):
        super().__init__()
        for name, values in (("scale", scale), ("offset", offset)):
            self.register_buffer(name, torch.tensor(values, dtype=torch.float32).reshape(-1, 1, 1), persistent=False)

    def forward(self, x):
        return x * self.scale + self.offset


KINDS = {
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
    """`graph`: of `description.describe`. ReLUs overwrite what nobody else reads, as PyTorch's own networks do."""

    def __init__(self, graph):
        super().__init__()
        readers = [name for node in graph for name in node["inputs"]]
        last = {name: node["name"] for node in graph for name in node["inputs"]}
        self.layers, self.steps = nn.ModuleDict(), []
        for node in graph:
            name, kind, before = node["name"], node["kind"], node["inputs"]
            settings = {key: tuple(value) if isinstance(value, list) else value for key, value in node["settings"].items()}
            if kind == "ReLU":
                settings["inplace"] = readers.count(before[0]) == 1
            self.layers[name] = KINDS[kind](**settings)
            self.steps.append((name, before, [other for other in before if last[other] == name]))

    def forward(self, x):
        values = {}
        for name, before, forgotten in self.steps:
            values[name] = self.layers[name](*[values[other] for other in before] if before else [x])
            for other in set(forgotten):
                del values[other]
        return values[name]


def read(path):
    """The network, weights and all, of a file that `description.write` wrote, and its input's (height, width, channels)."""
    arrays = dict(np.load(path))
    graph = json.loads(str(arrays.pop("graph")))
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
    return torch_model, graph[0]["settings"]["shape"]


def channels_last(images):
    """A tensor from an array (N, H, W, C)."""
    return torch.from_numpy(images).permute(0, 3, 1, 2).contiguous(memory_format=torch.channels_last)
