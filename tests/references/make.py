"""Write the reference files: the logits of public PyTorch networks for the weights and images of `deterministic.py`.

- resnet18, resnet34, resnet50: torchvision 0.29.2, `torchvision.models`
- resnetv2_50: timm 1.0.31, `timm.create_model("resnetv2_50")`
- cifar_resnet20, cifar_resnet110: `resnet.py` of github.com/akamaster/pytorch_resnet_cifar10, commit d5489e8
- preact_bottleneck164: transcribed below from `resnet-pre-act.lua` of github.com/KaimingHe/resnet-1k-layers, commit
  fde7ee9, the code of the authors of "Identity Mappings in Deep Residual Networks"

Run with torch 2.13.0, numpy and the above as `python make.py [--akamaster=PATH_TO_resnet.py]`; without the option the two
CIFAR files stay as they are. The files go next to this script.
"""

import argparse
import json
import runpy
from pathlib import Path

import numpy as np
import timm
import torch
import torchvision
from deterministic import images, tensor
from torch import nn

IMAGENET_SHAPE = (2, 96, 64, 3)  # not square, so that a swap of height and width shows
CIFAR_SHAPE = (2, 32, 32, 3)


class PreactBottleneck(nn.Module):
    def __init__(self, in_planes, out_planes, stride):
        super().__init__()
        planes = out_planes // 4
        self.bn1 = nn.BatchNorm2d(in_planes, eps=1e-5)
        self.conv1 = nn.Conv2d(in_planes, planes, 1, stride, bias=False)
        self.bn2 = nn.BatchNorm2d(planes, eps=1e-5)
        self.conv2 = nn.Conv2d(planes, planes, 3, 1, padding=1, bias=False)
        self.bn3 = nn.BatchNorm2d(planes, eps=1e-5)
        self.conv3 = nn.Conv2d(planes, out_planes, 1, bias=False)
        self.shortcut = None
        if in_planes != out_planes:
            self.shortcut = nn.Conv2d(in_planes, out_planes, 1, stride, bias=False)

    def forward(self, x):
        active = self.bn1(x).relu()
        shortcut = x if self.shortcut is None else self.shortcut(active)  # a projection shares the pre-activation
        y = self.conv1(active)
        y = self.conv2(self.bn2(y).relu())
        y = self.conv3(self.bn3(y).relu())
        return y + shortcut


class PreactBottleneckNet(nn.Module):
    def __init__(self, depth, classes=10):
        super().__init__()
        units = (depth - 2) // 9
        self.conv1 = nn.Conv2d(3, 16, 3, padding=1, bias=False)
        self.layer1 = self.stage(16, 64, units, 1)
        self.layer2 = self.stage(64, 128, units, 2)
        self.layer3 = self.stage(128, 256, units, 2)
        self.bn = nn.BatchNorm2d(256, eps=1e-5)
        self.fc = nn.Linear(256, classes)

    @staticmethod
    def stage(in_planes, out_planes, units, stride):
        rest = [PreactBottleneck(out_planes, out_planes, 1) for _ in range(units - 1)]
        return nn.Sequential(PreactBottleneck(in_planes, out_planes, stride), *rest)

    def forward(self, x):
        x = self.layer3(self.layer2(self.layer1(self.conv1(x))))
        return self.fc(self.bn(x).relu().mean((2, 3)))


def logits(model, shape):
    """The logits in float32 and in float64, both of the same float32 weights and images."""
    model.load_state_dict({name: torch.from_numpy(tensor(name, tuple(t.shape))) for name, t in model.state_dict().items()})
    x = torch.from_numpy(images(shape).transpose(0, 3, 1, 2).copy())
    with torch.inference_mode():
        single = model.eval().float()(x).numpy()
        return single, model.double()(x.double()).numpy()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--akamaster", metavar="PATH_TO_resnet.py")
    path = parser.parse_args().akamaster
    networks = {name: (getattr(torchvision.models, name), IMAGENET_SHAPE) for name in ("resnet18", "resnet34", "resnet50")}
    networks["resnetv2_50"] = (lambda: timm.create_model("resnetv2_50"), IMAGENET_SHAPE)
    networks["preact_bottleneck164"] = (lambda: PreactBottleneckNet(164), CIFAR_SHAPE)
    if path:
        akamaster = runpy.run_path(path)
        networks.update({f"cifar_resnet{depth}": (akamaster[f"resnet{depth}"], CIFAR_SHAPE) for depth in (20, 110)})
    for name, (build, shape) in networks.items():
        model = build()
        single, double = logits(model, shape)
        largest = np.abs(double).max()
        print(f"{name}: largest logit {largest:.4g}, float32 differs by {np.abs(single - double).max() / largest:.1e} of it")
        state = model.state_dict()
        np.savez_compressed(
            Path(__file__).with_name(f"{name}.npz"),
            names=np.array(list(state)),
            shapes=np.array([json.dumps(list(t.shape)) for t in state.values()]),
            image_shape=np.array(shape),
            logits=double.astype(np.float32),
        )


if __name__ == "__main__":
    main()
