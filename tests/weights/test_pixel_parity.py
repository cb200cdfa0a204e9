"""Catches pixels that are not those which the published accuracy of other libraries' weights was measured with.

`photographs/README.md` says where the photographs and the goldens are from.
"""

import base64
import hashlib
import importlib.util
import json
import os
import subprocess
import sys

import numpy as np
import pytest
from conftest import ROOT
from PIL import Image

from keras_resnet import UserError
from keras_resnet.hub.transformers_config import transformers_preprocessing
from keras_resnet.preprocessing import Preprocessing, open_image
from keras_resnet.records import from_record
from keras_resnet.weights.checkpoint_formats import PREPROCESSING_PRESETS
from keras_resnet.weights.file_records import timm_record

FOLDER = ROOT / "tests" / "photographs"
GOLDENS = json.loads((FOLDER / "transforms.json").read_text(encoding="utf-8"))
STEP = 32
LIMITS = {  # gray levels, of sources whose pixels are not ours exactly, and the share of values that may be more than one away
    "torchvision, tensors": (1, 0),
    "transformers, torchvision": (2, 1e-4),  # its bicubic filter of 8-bit tensors
}
OTHER_TRANSFORMS = ("Keras", "KerasHub")  # which crop or squash first, and are not what an accuracy was published with
CASES = [
    pytest.param(entry, photo, id=f"{entry['source']}-{entry['transform']}-{photo}")
    for entry in GOLDENS["transforms"]
    for photo in entry["photographs"]
]


def sha256(pixels):
    return hashlib.sha256(np.ascontiguousarray(pixels).tobytes()).hexdigest()


def check_same(pixels, golden, key):
    sample = np.frombuffer(base64.b64decode(golden["sample"]), np.uint8)
    away = np.abs(pixels[::STEP, ::STEP].ravel().astype(int) - sample)
    assert sha256(pixels) == golden[key], f"up to {away.max()} levels away in the sample, {np.mean(away > 0):.1%} of it differs"


def named(source):
    return [entry for entry in GOLDENS["transforms"] if entry["source"] == source]


@pytest.mark.parametrize("photo", list(GOLDENS["photographs"]))
def test_photographs_are_decoded_as_by_the_libraries(photo):
    """Catches gray and CMYK files that become other colors; if this fails, so does all that follows."""
    assert sha256(open_image(FOLDER / photo, 3)) == GOLDENS["photographs"][photo]


@pytest.mark.parametrize(("entry", "photo"), CASES)
def test_resize_and_crop_give_the_librarys_pixels(entry, photo):
    golden, ours = entry["photographs"][photo], from_record(entry["preprocessing"], Preprocessing)
    exact = "sha256" in golden
    check_same(ours.load_image(FOLDER / photo), golden, "sha256" if exact else "ours")
    if not exact and entry["source"] not in OTHER_TRANSFORMS:
        largest, share = LIMITS[entry["source"]]
        assert golden["largest"] <= largest
        assert golden["beyond_one"] <= share


def test_the_sources_that_are_exact_are():
    """Catches goldens made anew that say less."""
    for source in ("timm", "torchvision", "transformers"):
        found = [golden for entry in named(source) for golden in entry["photographs"].values()]
        assert len(found) >= 10
        assert all("sha256" in golden for golden in found)


def test_the_crop_of_transformers_begins_a_pixel_earlier():
    """Catches a `crop_rounding` that is not read: for the photographs here it decides."""
    (entry,) = [entry for entry in named("transformers") if entry["transform"].startswith("BitImageProcessor(448")]
    rounded = from_record({**entry["preprocessing"], "crop_rounding": "half_to_even"}, Preprocessing)
    others = [
        photo
        for photo, golden in entry["photographs"].items()
        if sha256(rounded.load_image(FOLDER / photo)) != golden["sha256"]
    ]
    assert others == ["small.png"]


def test_the_photographs_are_wide_and_tall_and_small_and_of_every_mode():
    """Catches goldens that only say something about one kind of picture."""
    sizes, modes = [], set()
    for photo in GOLDENS["photographs"]:
        with Image.open(FOLDER / photo) as image:
            sizes.append(image.size)
            modes.add(image.mode)
    assert any(width > height for width, height in sizes)
    assert any(height > 2 * width for width, height in sizes)
    assert any(max(size) < 100 for size in sizes)
    assert modes == {"RGB", "L", "CMYK", "P"}


@pytest.mark.parametrize("entry", GOLDENS["timm_configs"])
def test_every_trained_tag_of_timm_is_prepared_as_timm_resolves_it(entry, tmp_path):
    """Catches a test size or a test crop that is overlooked. Both are in the `config.json` next to the weights."""
    (tmp_path / "config.json").write_text(json.dumps({"pretrained_cfg": entry["config"]}))
    found, resolved = timm_record(tmp_path / "model.safetensors"), entry["resolved"]
    assert found is not None
    assert [found.channels, found.height, found.width] == resolved["input_size"]
    assert (found.interpolation, found.crop_fraction) == (resolved["interpolation"], resolved["crop_pct"])
    assert (list(found.mean), list(found.std)) == (resolved["mean"], resolved["std"])


@pytest.mark.parametrize(
    ("text", "processor"),
    [
        (
            "ConvNextImageProcessor(224, crop_pct=0.875, bicubic)",  # as microsoft/resnet-50 has it
            {"feature_extractor_type": "ConvNextFeatureExtractor", "size": 224, "crop_pct": 0.875, "resample": 3},
        ),
        (
            "BitImageProcessor(448, bilinear)",  # as google/bit-50 has it
            {
                "image_processor_type": "BitImageProcessor",
                "size": {"shortest_edge": 448},
                "crop_size": {"height": 448, "width": 448},
                "do_center_crop": True,
                "resample": 2,
            },
        ),
    ],
)
def test_a_processor_of_transformers_is_read_as_what_was_compared(text, processor):
    """Catches goldens that are right about a record which no `preprocessor_config.json` is read as."""
    (compared,) = [entry["preprocessing"] for entry in named("transformers") if entry["transform"] == text]
    found = transformers_preprocessing({"image_mean": [0.0] * 3, "image_std": [1.0] * 3, **processor}, 3)
    assert found == from_record(compared, Preprocessing)


def test_the_goldens_hold_all_trained_tags_and_each_of_their_transforms():
    assert sum(entry["tags"] for entry in GOLDENS["timm_configs"]) == 174
    compared = {
        tuple(entry["preprocessing"][key] for key in ("height", "crop_fraction", "interpolation")) for entry in named("timm")
    }
    for entry in GOLDENS["timm_configs"]:
        resolved, config = entry["resolved"], entry["config"]
        assert (resolved["input_size"][1], resolved["crop_pct"], resolved["interpolation"]) in compared
        assert (config["input_size"][1], config["crop_pct"], config["interpolation"]) in compared


@pytest.mark.parametrize("mode", ["squash", "border"])
def test_another_crop_mode_of_timm_is_refused(mode, tmp_path):
    """Catches weights whose images are silently cropped where timm squashes or frames them."""
    config = {**GOLDENS["timm_configs"][0]["config"], "crop_mode": mode}
    (tmp_path / "config.json").write_text(json.dumps({"pretrained_cfg": config}))
    with pytest.raises(UserError, match=f"crop_mode is '{mode}'"):
        timm_record(tmp_path / "model.safetensors")


@pytest.mark.parametrize("preset", list(GOLDENS["preprocess_input"]))
def test_the_scaling_of_keras_applications_is_theirs(preset):
    gray = np.arange(0, 256, 51)[:, np.newaxis].repeat(3, axis=1)
    scaled = PREPROCESSING_PRESETS[preset].normalize(gray)
    np.testing.assert_allclose(scaled, np.squeeze(GOLDENS["preprocess_input"][preset]), rtol=0, atol=2e-5)


@pytest.mark.slow
def test_the_goldens_are_what_the_libraries_give(tmp_path):
    """Where they are installed, with a Pillow before 13."""
    needed = ("torch", "torchvision", "timm", "transformers", "keras_hub")
    if missing := [name for name in needed if importlib.util.find_spec(name) is None]:
        pytest.skip(f"needs {', '.join(missing)}")
    if int(Image.__version__.partition(".")[0]) >= 13:
        pytest.skip("needs Pillow before 13")
    program = f"import transforms as t; from pathlib import Path; t.GOLDENS = Path({str(tmp_path / 'new.json')!r}); t.main()"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), str(FOLDER)])}
    subprocess.run([sys.executable, "-c", program], check=True, env=environment)
    made = json.loads((tmp_path / "new.json").read_text(encoding="utf-8"))
    assert made["transforms"] == GOLDENS["transforms"]
    assert made["timm_configs"] == GOLDENS["timm_configs"]
