"""Writes `keras_resnet/weights/published/weights.csv`: facts about the trained weights of others, and no weights.

timm's, torchvision's and KerasHub's are read from the installed libraries (timm 1.0.31, torchvision 0.29, KerasHub 0.32), the
accuracies of timm's from a file of its repository, and the others from the pages named beside them. From this checkout's root:

    git show aa4b585:results/results-imagenet.csv > results-imagenet.csv    # in a clone of huggingface/pytorch-image-models
    KERAS_BACKEND=torch PYTHONPATH=. python tests/references/make_published.py results-imagenet.csv

Without that file the accuracies of timm's weights stay as they are.
"""

import csv
import sys

from keras_resnet.models.variants import VARIANTS
from keras_resnet.weights.architectures import TIMM_ARCHITECTURES, TIMM_REFUSED, TORCHVISION_ARCHITECTURES
from keras_resnet.weights.published.table import COLUMNS, TABLE, read_table

SWISH = "its activation is swish"
LAST_UNITS = "its strides are in the last units of the stages, and its padding is TensorFlow's"
PADDING = "its padding is TensorFlow's"

# fmt: off
KERAS_APPLICATIONS = {  # keras.io/api/applications; v1 is taken from Kaiming He's, whose license is MIT
    "ResNet50":    ("ResNet50V1", "mit", 224, 74.9, 92.1),
    "ResNet101":   ("ResNet101V1", "mit", 224, 76.4, 92.8),
    "ResNet152":   ("ResNet152V1", "mit", 224, 76.6, 93.1),
    "ResNet50V2":  ("ResNet50V2Slim", "", 299, 76.0, 93.0),
    "ResNet101V2": ("ResNet101V2Slim", "", 299, 77.2, 93.8),
    "ResNet152V2": ("ResNet152V2Slim", "", 299, 78.0, 94.2),
}
SLIM = {  # tensorflow/models, research/slim/README.md; v2 is for 299 pixels there, and has a class for the background
    "resnet_v1_50":  ("ResNet50V1TFSlim", 224, 1000, 75.2, 92.2),
    "resnet_v1_101": ("ResNet101V1TFSlim", 224, 1000, 76.4, 92.9),
    "resnet_v1_152": ("ResNet152V1TFSlim", 224, 1000, 76.8, 93.2),
    "resnet_v2_50":  ("ResNet50V2TFSlim", 299, 1001, 75.6, 92.8),
    "resnet_v2_101": ("ResNet101V2TFSlim", 299, 1001, 77.0, 93.7),
    "resnet_v2_152": ("ResNet152V2TFSlim", 299, 1001, 77.8, 94.1),
}
GARDEN = {  # tensorflow/models, official/vision/MODEL_GARDEN.md: the archive that the checkpoint is in
    "resnet-50-i224":      ("ResNet50Garden", 224, 77.1, 93.5),
    "resnet-101-i224":     ("ResNet101Garden", 224, 78.3, 94.2),
    "resnet-152-i224":     ("ResNet152Garden", 224, 78.7, 94.3),
    "resnet-rs-50-i160":   ("", 160, 79.1, 94.5),
    "resnet-rs-101-i160":  ("", 160, 80.2, 94.9),
    "resnet-rs-101-i192":  ("", 192, 81.3, 95.6),
    "resnet-rs-152-i192":  ("", 192, 81.9, 95.8),
    "resnet-rs-152-i224":  ("", 224, 82.5, 96.1),
    "resnet-rs-152-i256":  ("", 256, 83.1, 96.3),
    "resnet-rs-200-i256":  ("", 256, 83.5, 96.6),
    "resnet-rs-270-i256":  ("", 256, 83.6, 96.6),
    "resnet-rs-350-i256":  ("", 256, 83.7, 96.7),
    "resnet-rs-350-i320":  ("", 320, 84.2, 96.9),
}
DISTILLED = {  # google-research/big_transfer, README.md, "Distilled models"; the teachers' accuracy is not there
    "R50x1_224":    ("BiTR50x1", 224, 82.8),
    "R50x1_160":    ("BiTR50x1", 160, 80.5),
    "R152x2_T_224": ("BiTR152x2", 224, None),
    "R152x2_T_384": ("BiTR152x2", 384, None),
}
TRANSFORMERS = {  # transformers' own conversion scripts made them of timm's
    "microsoft/resnet-18":  ("ResNet18V1", 224),
    "microsoft/resnet-26":  ("ResNet26", 224),
    "microsoft/resnet-34":  ("ResNet34V1", 224),
    "microsoft/resnet-50":  ("ResNet50V1_5", 224),
    "microsoft/resnet-101": ("ResNet101V1_5", 224),
    "microsoft/resnet-152": ("ResNet152V1_5", 224),
    "google/bit-50":        ("BiTR50x1", 448),
}
KERAS_HUB_OF_TIMM = {  # keras-hub, tools/checkpoint_conversion/convert_resnet_checkpoints.py
    "resnet_18_imagenet": "resnet18.a1_in1k", "resnet_50_imagenet": "resnet50.a1_in1k",
    "resnet_101_imagenet": "resnet101.a1_in1k", "resnet_152_imagenet": "resnet152.a1_in1k",
    "resnet_v2_50_imagenet": "resnetv2_50.a1h_in1k", "resnet_v2_101_imagenet": "resnetv2_101.a1h_in1k",
}
KERAS_HUB_VD = {  # by what follows resnet_vd_, where the network is not timm's D of that depth: its name here, and what it has
    18: ("ResNet18VD", "its first stage begins with a projection"),
    34: ("ResNet34VD", "its first stage begins with a projection"),
    200: ("ResNet200VD", "its stages have 3, 12, 48 and 3 units"),
}
# fmt: on


def row(name, architecture, model, source, license, size, classes, top1=None, top5=None, refused=""):
    """An entry; one whose network is not in the table of variants is refused, for the reason given."""
    model, refused = (model, "") if model in VARIANTS else ("", refused)
    assert model or refused, name
    values = (name, architecture, model, refused, source, license, size, classes, top1, top5)
    return dict(zip(COLUMNS, ("" if value is None else value for value in values), strict=True))


def accuracies_of_timm(results):
    """Top-1 and top-5 by tag and size. results: timm's file; without it, they are those of the table as it is."""
    if results is None:
        entries = [entry for entry in read_table() if entry.source == "timm" and entry.top1 is not None]
        return {(entry.name, entry.input_shape[0]): (entry.top1, entry.top5) for entry in entries}
    found = {}
    with open(results, encoding="utf-8", newline="") as file:
        for line in csv.DictReader(file):
            top, crop = tuple(float(line[key]) for key in ("top1", "top5")), float(line["crop_pct"])
            found[f"hf://timm/{line['model']}", int(line["img_size"])] = top
            found[f"hf://timm/{line['model']}", int(line["img_size"]), crop] = top  # some are measured with two crops
    return found


def of_timm(results):
    """The trained tags of resnet.py and resnetv2.py, with the accuracy at their test size and crop."""
    import timm

    measured = accuracies_of_timm(results)
    for module in ("resnet", "resnetv2"):
        for tag in timm.list_models(module=module, pretrained=True):
            config = timm.get_pretrained_cfg(tag)
            name, architecture = f"hf://{config.hf_hub_id}", config.architecture
            size, crop = (config.test_input_size or config.input_size)[1], config.test_crop_pct or config.crop_pct
            top = measured.get((name, size, crop)) or measured.get((name, size)) or (None, None)
            yield row(
                name, architecture, TIMM_ARCHITECTURES.get(architecture, ""), "timm", config.license or "", size,
                config.num_classes, *top, refused=TIMM_REFUSED.get(architecture, ""),
            )  # fmt: skip


def of_torchvision():
    from torchvision.models import get_model_weights

    for architecture, model in TORCHVISION_ARCHITECTURES.items():
        for weights in get_model_weights(architecture):
            (metrics,) = weights.meta["_metrics"].values()
            size, classes = weights.transforms().crop_size[0], len(weights.meta["categories"])
            name = weights.url.rpartition("/")[2]
            yield row(
                name, architecture, model, "torchvision", "bsd-3-clause", size, classes, metrics["acc@1"], metrics["acc@5"]
            )


def of_keras_hub():
    import timm
    from keras_hub.src.models.resnet.resnet_presets import backbone_presets

    for preset in backbone_presets:
        if tag := KERAS_HUB_OF_TIMM.get(preset):
            config = timm.get_pretrained_cfg(tag)
            model, license = TIMM_ARCHITECTURES[config.architecture], config.license
            yield row(preset, preset, model, "KerasHub", license, config.input_size[1], config.num_classes)
            continue
        depth = int(preset.split("_")[2])
        model, refused = KERAS_HUB_VD.get(depth, (f"ResNet{depth}D", ""))
        yield row(preset, preset, model, "KerasHub", "", 224, 1000, refused=refused)


def of_others():
    for name, (model, license, size, *top) in KERAS_APPLICATIONS.items():
        yield row("imagenet", name, model, "keras.applications", license, size, 1000, *top)
    for name, (model, size) in TRANSFORMERS.items():
        yield row(f"hf://{name}", name.partition("/")[2], model, "transformers", "", size, 1000)
    for family, suffix, size, classes in (("S", "", 224, 1000), ("M", "", 224, 21843), ("M", "-ILSVRC2012", 480, 1000)):
        for network in ("R50x1", "R50x3", "R101x1", "R101x3", "R152x2", "R152x4"):
            name = f"BiT-{family}-{network}{suffix}"
            yield row(f"{name}.npz", f"BiT-{network}", f"BiT{network}", "BiT", "apache-2.0", size, classes)
    for name, (model, size, top1) in DISTILLED.items():
        yield row(f"{name}.npz", f"BiT-{name.partition('_')[0]}", model, "BiT", "apache-2.0", size, 1000, top1)
    for name, (model, size, classes, *top) in SLIM.items():
        refused = LAST_UNITS if "_v1_" in name else PADDING
        yield row(f"{name}.ckpt", name, model, "TF-Slim", "apache-2.0", size, classes, *top, refused=refused)
    for name, (model, size, *top) in GARDEN.items():
        architecture, refused = name.rpartition("-")[0], PADDING if model else SWISH
        yield row(name, architecture, model, "Model Garden", "apache-2.0", size, 1001, *top, refused=refused)


def main(results=None, path=TABLE):
    rows = [*of_timm(results), *of_torchvision(), *of_keras_hub(), *of_others()]
    with open(path, "w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    print(f"{len(rows)} rows")


if __name__ == "__main__":
    main(*sys.argv[1:])
