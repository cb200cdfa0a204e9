"""Catches a page that shows its network other pixels than evaluation does. In node: the page's module needs no browser."""

import json
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from keras_resnet.export.formats import web
from keras_resnet.preprocessing import Preprocessing

NODE = shutil.which("node")
MODULE = Path(web.__file__).with_name("page") / "preprocess.js"

pytestmark = pytest.mark.skipif(NODE is None, reason="needs node")

# Larger and smaller than the network's, up in one direction only, a pixel, lines, halves to round, extreme ratios, and one that
# Pillow 13 would resize along its columns first
SIZES = [
    (300, 401),
    (9, 13),
    (31, 200),
    (32, 32),
    (1, 1),
    (300, 3),
    (57, 58),
    (33, 33),
    (65, 57),
    (1, 900),
    (700, 2),
    (600, 200),
]
NETWORKS = [
    ((32, 32), 1.0, "half_to_even"),
    ((48, 30), 0.875, "half_to_even"),
    ((56, 56), 56 / 58, "half_to_even"),
    ((56, 56), 56 / 58, "down"),
    ((1, 7), 0.5, "half_to_even"),
]
LONG = (4, 120_000)  # its resize to 64 rows would have over 10**8 pixels, so evaluation resizes the crop alone

PROGRAM = """
import { readFileSync, writeFileSync } from "node:fs";
const { resizeAndCrop, dropAlpha } = await import(process.argv[1]);
const [cases, folder] = [JSON.parse(readFileSync(0, "utf8")), process.argv[2]];
for (const [number, { width, height, preprocessing }] of cases.entries()) {
  const rgba = new Uint8Array(readFileSync(`${folder}/${number}.rgba`));
  const data = new Uint8Array(width * height * preprocessing.channels);
  dropAlpha(rgba, preprocessing.channels, data);
  writeFileSync(`${folder}/${number}.pixels`, resizeAndCrop({ data, width, height }, preprocessing));
}
"""


def in_node(cases, folder):
    """The pixels that the page makes of images, uint8 (H, W, 4), for pairs of an image and its `Preprocessing`."""
    described = []
    for number, (image, wanted) in enumerate(cases):
        (folder / f"{number}.rgba").write_bytes(image.tobytes())
        height, width, _ = image.shape
        described.append({"width": width, "height": height, "preprocessing": vars(wanted)})
    command = [NODE, "--input-type=module", "--eval", PROGRAM, MODULE.as_uri(), folder]
    done = subprocess.run(command, input=json.dumps(described), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    for number, (_, wanted) in enumerate(cases):
        yield np.frombuffer((folder / f"{number}.pixels").read_bytes(), np.uint8).reshape(wanted.shape)


def expected(image, wanted):
    """What evaluation makes of the same decoded pixels."""
    rgb = Image.fromarray(np.ascontiguousarray(image[..., :3]))
    return wanted.resize_and_crop(rgb.convert("L") if wanted.channels == 1 else rgb)


def preprocessing(shape, channels, fraction, interpolation, rounding="half_to_even"):
    half = (0.5,) * channels
    return Preprocessing(*shape, channels, half, half, fraction, interpolation, crop_rounding=rounding)


@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic"])
@pytest.mark.parametrize("channels", [1, 3])
def test_resize_crop_and_gray_agree_with_evaluation_to_the_last_bit(channels, interpolation, tmp_path):
    noise = np.random.default_rng(0).integers(0, 256, (700, 900, 4)).astype(np.uint8)
    cases = [
        (noise[:height, :width], preprocessing(shape, channels, fraction, interpolation, rounding))
        for height, width in SIZES
        for shape, fraction, rounding in NETWORKS
    ]
    for (image, wanted), found in zip(cases, in_node(cases, tmp_path), strict=True):
        np.testing.assert_array_equal(found, expected(image, wanted), err_msg=f"{image.shape} to {wanted.summary()}")


@pytest.mark.parametrize("turned", [False, True], ids=["wide", "tall"])
def test_of_a_long_image_the_crop_alone_is_resized_as_in_evaluation(turned, tmp_path):
    """Catches a resize that fills the memory, and one whose box is not the one that Pillow rounds to single precision."""
    image = np.random.default_rng(0).integers(0, 256, (*LONG, 4)).astype(np.uint8)
    wanted = preprocessing((64, 60), 3, 0.875, "bicubic")
    if turned:
        image = np.ascontiguousarray(image.swapaxes(0, 1))
    [found] = in_node([(image, wanted)], tmp_path)
    np.testing.assert_array_equal(found, expected(image, wanted))


def test_the_page_reads_integers_as_python_does(tmp_path):
    """Catches a page that shows the integers of an int8 file as probabilities."""
    program = """
const { dequantize } = await import(process.argv[1]);
const integers = dequantize(Uint8Array.of(3, 128, 255), { scale: 0.25, zero_point: 128 });
const floats = dequantize(Float32Array.of(0.5), { scale: 0, zero_point: 0 });
console.log(JSON.stringify([integers, floats].map((values) => Array.from(values))));
"""
    command = [NODE, "--input-type=module", "--eval", program, MODULE.with_name("classify.js").as_uri()]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == [[-31.25, 0, 31.75], [0.5]]
