"""Repositories as timm's `save_for_hf` and transformers' `save_pretrained` write them, of networks in tests/references."""

import json

from safetensors.numpy import save
from test_references import reference, state_dict

CLASSES, SIZE, TEST_SIZE = ("cat", "dog", "crane"), 32, 64
CARD = """---
tags:
- image-classification
- timm
library_name: timm
license: {license}
datasets:
- imagenet-1k
---
# Model card
"""

# What timm 1.0.31 wrote for `create_model("resnet18", num_classes=3)`, but for the sizes of the images.
TIMM_CONFIG = {
    "architecture": "resnet18",
    "num_classes": 3,
    "num_features": 512,
    "global_pool": "avg",
    "label_names": ["a", "b", "c"],
    "label_descriptions": dict(zip("abc", CLASSES, strict=True)),
    "model_args": {"num_classes": 3, "in_chans": 3, "global_pool": "avg"},
    "pretrained_cfg": {
        "tag": "a1_in1k",
        "custom_load": False,
        "input_size": [3, SIZE, SIZE],
        "test_input_size": [3, TEST_SIZE, TEST_SIZE],
        "fixed_input_size": False,
        "interpolation": "bicubic",
        "crop_pct": 0.9,
        "test_crop_pct": 0.95,
        "crop_mode": "center",
        "mean": [0.5, 0.25, 0.125],
        "std": [0.1, 0.2, 0.4],
        "num_classes": 3,
        "pool_size": [2, 2],
        "first_conv": "conv1",
        "classifier": "fc",
        "license": "apache-2.0",
        "origin_url": "https://github.com/huggingface/pytorch-image-models",
        "paper_ids": "arXiv:2110.00476",
    },
}

# What transformers 5.24 wrote for `ResNetForImageClassification(ResNetConfig(num_labels=3, id2label=...))`, of ResNet-50.
TRANSFORMERS_CONFIG = {
    "architectures": ["ResNetForImageClassification"],
    "depths": [3, 4, 6, 3],
    "downsample_in_bottleneck": False,
    "downsample_in_first_stage": False,
    "dtype": "float32",
    "embedding_size": 64,
    "hidden_act": "relu",
    "hidden_sizes": [256, 512, 1024, 2048],
    "id2label": {str(index): name for index, name in enumerate(CLASSES)},
    "label2id": None,
    "layer_type": "bottleneck",
    "model_type": "resnet",
    "num_channels": 3,
    "out_features": ["stage4"],
    "out_indices": [4],
    "stage_names": ["stem", "stage1", "stage2", "stage3", "stage4"],
    "transformers_version": "5.24.0",
}
PROCESSOR = {
    "crop_pct": 0.875,
    "do_normalize": True,
    "do_rescale": True,
    "do_resize": True,
    "image_mean": [0.485, 0.456, 0.406],
    "image_processor_type": "ConvNextImageProcessor",
    "image_std": [0.229, 0.224, 0.225],
    "resample": 3,
    "rescale_factor": 0.00392156862745098,
    "size": {"shortest_edge": 224},
}
BIT_CONFIG = {
    "architectures": ["BitForImageClassification"],
    "depths": [3, 4, 6, 3],
    "drop_path_rate": 0.0,
    "embedding_dynamic_padding": False,
    "embedding_size": 64,
    "global_padding": None,
    "hidden_act": "relu",
    "hidden_sizes": [256, 512, 1024, 2048],
    "id2label": {"0": "LABEL_0", "1": "LABEL_1"},
    "layer_type": "preactivation",
    "model_type": "bit",
    "num_channels": 3,
    "num_groups": 32,
    "output_stride": 32,
    "width_factor": 1,
}
BIT_PROCESSOR = {
    "crop_size": {"height": 448, "width": 448},
    "do_center_crop": True,
    "do_convert_rgb": True,
    "do_normalize": True,
    "do_rescale": True,
    "do_resize": True,
    "image_mean": [0.5, 0.5, 0.5],
    "image_processor_type": "BitImageProcessor",
    "image_std": [0.5, 0.5, 0.5],
    "resample": 2,
    "rescale_factor": 0.00392156862745098,
    "size": {"shortest_edge": 512},
}


def changed(config, **entries):
    """A config.json with other entries; None leaves one out."""
    return {key: value for key, value in {**config, **entries}.items() if value is not None}


def with_pretrained_cfg(**entries):
    """timm's config.json with other entries of its `pretrained_cfg`."""
    return {**TIMM_CONFIG, "pretrained_cfg": changed(TIMM_CONFIG["pretrained_cfg"], **entries)}


def timm_weights(architecture="resnet18", classes=3):
    """The deterministic weights of a PyTorch network with the first of its classes, as a file of safetensors."""
    tensors = state_dict(architecture)
    return save({name: tensor[:classes] if name.startswith("fc.") else tensor for name, tensor in tensors.items()})


def timm_logits(architecture="resnet18", classes=3):
    """The images' shape and the logits that PyTorch gave with these weights."""
    known = reference(architecture)
    return known.image_shape, known.logits[:, :classes]


def timm_repository(license="apache-2.0", **entries):
    """The files of a repository; entries: others, or None for one that is left out."""
    files = {
        "config.json": json.dumps(TIMM_CONFIG, indent=2).encode(),
        "README.md": CARD.format(license=license).encode(),
        "pytorch_model.bin": b"\x80\x02a pickle, which nobody may open",
        **{name.replace("__", "."): content for name, content in entries.items()},
    }
    return {name: content for name, content in files.items() if content is not None}
