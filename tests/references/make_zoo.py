"""Write the reference files in `zoo/`: what timm's, torchvision's and transformers' networks make of two images.

Each network has the weights and images of `deterministic.py`, computes in float64, and sees one image of the size that its
library gives it and one of an odd size. Run with timm 1.0.31, torchvision 0.29 and transformers 5.24:

    python make_zoo.py [--folder=FOLDER] [--weights] [--small] [timm/resnet18d torchvision/wide_resnet50_2 ...]

Without names it makes all of `NETWORKS`. `--weights` writes the state dict too, next to it, as the library itself writes it.
`--small` takes images that a processor gets through in a moment, as the test of every row does. Tests run it where the
libraries are installed.
"""

import argparse
import json
from pathlib import Path

import numpy as np
import torch
from deterministic import images, tensor

NETWORKS = (  # one or more of every column of the table, small ones
    "timm/resnet10t",
    "timm/resnet14t",
    "timm/resnet18d",
    "timm/resnet26d",
    "timm/resnet50s",
    "timm/resnet50_gn",
    "timm/seresnet18",
    "timm/resnetblur18",
    "timm/ecaresnet26t",
    "timm/ecaresnetlight",
    "timm/seresnext26d_32x4d",
    "timm/resnetaa34d",
    "timm/resnetaa50",
    "timm/resnetrs50",
    "timm/resnetv2_18d",
    "timm/resnetv2_50d_gn",
    "timm/resnetv2_50x1_bit",
    "torchvision/resnext50_32x4d",
    "torchvision/wide_resnet50_2",
    "transformers/resnet-18",
    "transformers/resnet-50",
    "transformers/bit-50",
)
# Not square, so that a swap of height and width shows. timm's resnetaa* themselves fail where a stage reads an odd number of
# pixels.
ODD, ODD_FIRST = (101, 75), (127, 97)
SMALL = (64, 96)


def timm_network(name):
    import timm

    model = timm.create_model(name, pretrained=False)
    return model, tuple(model.default_cfg["input_size"][1:]), model


def torchvision_network(name):
    import torchvision

    model = getattr(torchvision.models, name)()
    return model, (224, 224), model


def transformers_network(name):
    import transformers

    if name == "bit-50":
        model = transformers.BitForImageClassification(transformers.BitConfig(num_labels=1000))
        return model, (448, 448), lambda x: model(x).logits
    depths = {"resnet-18": [2, 2, 2, 2], "resnet-34": [3, 4, 6, 3], "resnet-50": [3, 4, 6, 3], "resnet-101": [3, 4, 23, 3]}[
        name
    ]
    basic = name in ("resnet-18", "resnet-34")
    sizes = [64, 128, 256, 512] if basic else [256, 512, 1024, 2048]
    config = transformers.ResNetConfig(
        depths=depths, hidden_sizes=sizes, layer_type="basic" if basic else "bottleneck", num_labels=1000
    )
    model = transformers.ResNetForImageClassification(config)
    return model, (224, 224), lambda x: model(x).logits


LIBRARIES = {"timm": timm_network, "torchvision": torchvision_network, "transformers": transformers_network}


def make(network, folder, with_weights, small):
    library, name = network.split("/")
    model, size, call = LIBRARIES[library](name)
    state = model.state_dict()
    values = {key: tensor(key, tuple(value.shape)) for key, value in state.items()}
    model.load_state_dict({key: torch.from_numpy(value) for key, value in values.items()})
    model.eval()
    path = folder / f"{library}-{name}.npz"
    if with_weights:
        from safetensors.torch import save_file

        save_file({key: value.contiguous() for key, value in model.state_dict().items()}, path.with_suffix(".safetensors"))
    parameters = sum(value.numel() for value in model.parameters())
    names, shapes = list(state), [json.dumps(list(value.shape)) for value in state.values()]
    del state, values  # the largest network takes 7.5 GB in float64
    model.to(torch.float64)
    sizes, logits = (SMALL if small else size, ODD_FIRST if "aa" in name else ODD), []
    for number, sides in enumerate(sizes):
        x = torch.from_numpy(images((1, *sides, 3), number).transpose(0, 3, 1, 2).copy())
        with torch.inference_mode():
            logits.append(call(x.to(torch.float64)).double().numpy()[0])
    print(f"{network}: {parameters:,} parameters, largest logit {np.abs(logits).max():.4g}", flush=True)
    np.savez_compressed(
        path,
        names=np.array(names),
        shapes=np.array(shapes),
        parameters=parameters,
        sizes=np.array(sizes),
        logits=np.array(logits, np.float32),
    )


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--folder", type=Path, default=Path(__file__).with_name("zoo"))
    parser.add_argument("--weights", action="store_true")
    parser.add_argument("--small", action="store_true")
    parser.add_argument("networks", nargs="*", default=NETWORKS)
    arguments = parser.parse_args()
    arguments.folder.mkdir(exist_ok=True)
    for network in arguments.networks:
        make(network, arguments.folder, arguments.weights, arguments.small)


if __name__ == "__main__":
    main()
