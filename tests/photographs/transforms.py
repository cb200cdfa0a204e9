"""Makes `transforms.json`: the pixels that torchvision, timm, transformers, Keras and KerasHub make of the photographs here.

Needs those libraries, and Pillow before version 13; see README.md. In a folder with this package:

    KERAS_BACKEND=torch PYTHONPATH=. python tests/photographs/transforms.py
"""

import base64
import dataclasses
import hashlib
import json
import os
from pathlib import Path

os.environ.setdefault("KERAS_BACKEND", "torch")

import keras
import keras_hub
import numpy as np
import PIL
import timm
import torch
import torchvision
import transformers
from PIL import Image
from timm.data import create_transform, resolve_data_config
from torchvision.models import get_model_weights
from torchvision.transforms._presets import ImageClassification
from transformers.models.bit import image_processing_bit, image_processing_pil_bit
from transformers.models.convnext import image_processing_convnext, image_processing_pil_convnext

from keras_resnet.preprocessing import Preprocessing

FOLDER = Path(__file__).parent
GOLDENS = FOLDER / "transforms.json"
COLOR = ("landscape.jpg", "portrait.jpg", "small.png")
ALL = (*COLOR, "gray.jpg", "cmyk.jpg")
STEP = 32  # of the sample, in pixels
ZEROS, ONES = (0.0,) * 3, (1.0,) * 3  # of mean and std, so that the pixels can be told from the result
TIMM_FIELDS = ("input_size", "test_input_size", "interpolation", "crop_pct", "test_crop_pct", "crop_mode", "mean", "std")
RESAMPLING = {"bilinear": 2, "bicubic": 3}  # Pillow's numbers
TORCHVISION = ("resnet18", "resnet50", "resnext50_32x4d", "resnext101_64x4d", "wide_resnet50_2")


def opened(photo):
    """The photograph as the loaders of torchvision's and timm's data sets open it."""
    return Image.open(FOLDER / photo).convert("RGB")


def levels(values):
    """uint8 (H, W, 3) of scaled values (3, H, W)."""
    return np.clip(np.rint(np.asarray(values).transpose(1, 2, 0) * 255), 0, 255).astype(np.uint8)


def sha256(pixels):
    return hashlib.sha256(np.ascontiguousarray(pixels).tobytes()).hexdigest()


def sample(pixels):
    return base64.b64encode(np.ascontiguousarray(pixels[::STEP, ::STEP]).tobytes()).decode()


def described(source, transform, ours, photos, of_photo):
    """What a transform makes of the photographs, or how far this package's pixels, which are then told, are from it."""
    found = {}
    for photo in photos:
        theirs, here = of_photo(photo), ours.load_image(FOLDER / photo)
        away = np.abs(theirs.astype(int) - here)
        found[photo] = {"sha256": sha256(theirs), "sample": sample(theirs)}
        if away.any():
            measured = {"largest": int(away.max()), "beyond_one": round(float((away > 1).mean()), 6)}
            found[photo] = {"ours": sha256(here), "sample": sample(here), **measured}
    return {"source": source, "transform": transform, "preprocessing": dataclasses.asdict(ours), "photographs": found}


def record(size, crop_fraction, interpolation, **others):
    return Preprocessing(size, size, 3, ZEROS, ONES, crop_fraction, interpolation, **others)


def timm_configs():
    """Each different configuration of the trained tags of resnet.py and resnetv2.py, and what timm makes of it."""
    names = [name for room in ("resnet", "resnetv2") for name in timm.list_models(module=room, pretrained=True)]
    configs = {}
    for name in names:
        config = timm.get_pretrained_cfg(name).to_dict()
        kept = {field: config[field] for field in TIMM_FIELDS if config.get(field) is not None}
        entry = configs.setdefault(json.dumps(kept), {"config": kept, "tags": 0})
        entry["tags"] += 1
        resolved = resolve_data_config({}, pretrained_cfg=config, use_test_size=True, verbose=False)
        entry["resolved"] = {key: resolved[key] for key in ("input_size", "interpolation", "mean", "std", "crop_pct")}
    return list(configs.values())


def of_timm():
    """Both sizes of every configuration: the one that a network was trained at, and the one that it is tested at."""
    wanted = set()
    for entry in timm_configs():
        config, resolved = entry["config"], entry["resolved"]
        wanted.add((config["input_size"][1], config["crop_pct"], config["interpolation"]))
        wanted.add((resolved["input_size"][1], resolved["crop_pct"], resolved["interpolation"]))
    for number, (size, crop, interpolation) in enumerate(sorted(wanted)):
        transform = create_transform(
            (3, size, size), interpolation=interpolation, crop_pct=crop, crop_mode="center", mean=ZEROS, std=ONES
        )
        text = f"create_transform({size}, crop_pct={crop}, {interpolation})"
        photos = ALL if number % 6 == 0 else COLOR
        ours = record(size, crop, interpolation)
        yield described("timm", text, ours, photos, lambda photo, transform=transform: levels(transform(opened(photo))))


def of_torchvision():
    for size in sorted({weights.transforms().resize_size[0] for name in TORCHVISION for weights in get_model_weights(name)}):
        transform = ImageClassification(crop_size=224, resize_size=size, mean=ZEROS, std=ONES)
        ours, text = record(224, 224 / size, "bilinear"), f"ImageClassification(crop_size=224, resize_size={size})"
        yield described("torchvision", text, ours, ALL, lambda photo, transform=transform: levels(transform(opened(photo))))

        def of_tensor(photo, transform=transform):
            return levels(transform(torch.from_numpy(np.array(opened(photo))).permute(2, 0, 1)))

        yield described("torchvision, tensors", text, ours, ALL, of_tensor)


def of_transformers():
    """As `microsoft/resnet-*` and `google/bit-50` are configured, and at other sizes."""
    convnext = (image_processing_pil_convnext.ConvNextImageProcessorPil, image_processing_convnext.ConvNextImageProcessor)
    bit = (image_processing_pil_bit.BitImageProcessorPil, image_processing_bit.BitImageProcessor)
    given = {"image_mean": ZEROS, "image_std": ONES}
    for source, convnext_class, bit_class in zip(("transformers", "transformers, torchvision"), convnext, bit, strict=True):
        for size, crop in ((224, 0.875), (288, 0.95)):
            made = convnext_class(size={"shortest_edge": size}, crop_pct=crop, resample=RESAMPLING["bicubic"], **given)
            ours = record(size, crop, "bicubic", crop_rounding="down")
            yield of_processor(source, f"ConvNextImageProcessor({size}, crop_pct={crop}, bicubic)", ours, made)
        for size, filter_name in ((448, "bilinear"), (224, "bicubic")):
            sizes = {"size": {"shortest_edge": size}, "crop_size": {"height": size, "width": size}}
            made = bit_class(**sizes, resample=RESAMPLING[filter_name], **given)
            ours = record(size, 1.0, filter_name, crop_rounding="down")
            yield of_processor(source, f"BitImageProcessor({size}, {filter_name})", ours, made)


def of_processor(source, text, ours, processor):
    def of_photo(photo):
        return levels(processor(opened(photo), return_tensors="pt")["pixel_values"][0])

    return described(source, text, ours, ALL, of_photo)


def of_keras():
    """`load_img`, which the examples of keras.applications use, and KerasHub's converter, which are other transforms."""
    for text, options in {
        "load_img(target_size=(224, 224))": {},
        "load_img(target_size=(224, 224), interpolation='bilinear', keep_aspect_ratio=True)": {
            "interpolation": "bilinear", "keep_aspect_ratio": True,
        },
    }.items():  # fmt: skip

        def of_photo(photo, options=options):
            return np.asarray(keras.utils.load_img(FOLDER / photo, target_size=(224, 224), **options))

        yield described("Keras", text, record(224, 1.0, "bilinear"), ALL, of_photo)
    for antialias in (False, True):
        converter = keras_hub.layers.ResNetImageConverter((224, 224), interpolation="bicubic", antialias=antialias)

        def converted(photo, converter=converter):
            pixels = keras.ops.convert_to_numpy(converter(np.array(opened(photo)).astype(np.float32)))
            return np.clip(np.rint(pixels), 0, 255).astype(np.uint8)

        text = f"ResNetImageConverter((224, 224), interpolation='bicubic', antialias={antialias})"
        yield described("KerasHub", text, record(224, 1.0, "bicubic"), ALL, converted)


def preprocess_input():
    """What keras.applications makes of the 256 gray levels, in each channel."""
    gray = np.arange(256, dtype=np.float32)[:, np.newaxis].repeat(3, axis=1)[np.newaxis]
    functions = {
        "keras_applications_v1": keras.applications.resnet.preprocess_input,
        "keras_applications_v2": keras.applications.resnet_v2.preprocess_input,
    }
    return {preset: function(gray.copy())[0, ::51].tolist() for preset, function in functions.items()}


def main():
    assert int(PIL.__version__.partition(".")[0]) < 13, "Pillow 13 resizes tall images otherwise"
    libraries = {
        module.__name__: module.__version__ for module in (PIL, torch, torchvision, timm, transformers, keras, keras_hub)
    }
    goldens = {
        "versions": libraries,
        "photographs": {photo: sha256(np.asarray(opened(photo))) for photo in ALL},
        "timm_configs": timm_configs(),
        "preprocess_input": preprocess_input(),
        "transforms": [*of_timm(), *of_torchvision(), *of_transformers(), *of_keras()],
    }
    GOLDENS.write_text(text_of(goldens), encoding="utf-8")


def text_of(goldens):
    """JSON with a line for each entry of its lists and dictionaries."""
    parts = []
    for name, value in goldens.items():
        start, end = "[]" if isinstance(value, list) else "{}"
        entries = value if isinstance(value, list) else [{key: inner} for key, inner in value.items()]
        lines = [json.dumps(entry) if isinstance(value, list) else json.dumps(entry)[1:-1] for entry in entries]
        parts.append(f"{json.dumps(name)}: {start}\n" + ",\n".join(lines) + f"\n{end}")
    return "{" + ",\n".join(parts) + "}\n"


if __name__ == "__main__":
    main()
