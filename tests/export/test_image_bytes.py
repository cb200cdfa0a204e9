"""Catches a server that classifies other pixels than evaluation does, and one image that costs the answer for the others."""

import io
import json
import struct
import subprocess
import sys
import zlib

import keras
import numpy as np
import pytest
import tensorflow as tf
from conftest import scramble
from life import mutations
from life.pictures import (
    FORMS,
    IDAT,
    IEND,
    UNUSABLE,
    animation,
    chunk,
    exif,
    jpeg,
    orientation,
    png,
    saved,
    scanlines,
    scene,
    stored_sideways,
)
from PIL import Image

import keras_resnet
from keras_resnet.errors import UserError
from keras_resnet.export.formats.saved_model import decoding, resizing
from keras_resnet.export.formats.saved_model.archive import endpoints, write_archive
from keras_resnet.export.outputs import serving_function
from keras_resnet.preprocessing import Preprocessing

HALVES = (0.5,) * 3
SCENE = Preprocessing(40, 50, 3, HALVES, HALVES)
PREPROCESSING = Preprocessing(16, 24, 3, (0.5, 0.4, 0.3), (0.2, 0.3, 0.4), crop_fraction=0.875, interpolation="bicubic")
DAMAGED_PNG = ("no_end.png", "checksum.png", "checksum_of_end.png", "no_adler.png", "unknown_chunk.png")
OTHER_FORMATS = ("tif", "tiff", "ppm", "pgm", "jp2")
TRANSPARENCY = np.tile(np.arange(50, dtype=np.uint8) * 5, (40, 1))


def encoded(image, form, **options):
    buffer = io.BytesIO()
    image.save(buffer, form, **options)
    return buffer.getvalue()


def transparent_gif(**options):
    palette = Image.fromarray(scene()).quantize(64)
    return encoded(palette, "GIF", transparency=int(np.asarray(palette)[5, 5]), **options)


def frame_in_a_corner(content):
    """The GIF on a larger canvas, which shows the color of the transparent index around it."""
    left, top = 3, 2
    changed = bytearray(content)
    changed[6:10] = struct.pack("<HH", 60, 47)
    place = changed.index(b",\0\0\0\0")
    changed[place + 1 : place + 5] = struct.pack("<HH", left, top)
    return bytes(changed)


def four_inks():
    """All four in use, which PIL's own conversion from RGB does not do."""
    inks = np.random.default_rng(0).integers(0, 256, (4, 8, 8)).astype(np.uint8)
    bands = [Image.fromarray(ink).resize((50, 40), Image.Resampling.BICUBIC) for ink in inks]
    return encoded(Image.merge("CMYK", bands), "JPEG", quality=95)


def without_adobe(content):
    start = content.index(b"\xff\xee")
    return content[:start] + content[start + 2 + int.from_bytes(content[start + 2 : start + 4], "big") :]


def sixteen_bits(color, channels):
    """A PNG whose low bytes are noise."""
    pixels = np.random.default_rng(0).integers(0, 2**16, (40, 50, channels)).astype(">u2")
    return png(chunk(b"IDAT", zlib.compress(scanlines(pixels))), IEND, bits=16, color=color)


def of_mode(form, mode, **options):
    return encoded(Image.fromarray(np.dstack([scene(), TRANSPARENCY])).convert(mode), form, **options)


FILES = {
    "gif, transparent": transparent_gif,
    "gif, interlaced": lambda: transparent_gif(interlace=1),
    "gif, in a corner": lambda: frame_in_a_corner(transparent_gif()),
    "gif, gray": lambda: saved("GIF", "L"),
    "gif, with a comment": lambda: transparent_gif(comment=b"x" * 1000),
    "webp, transparent": lambda: of_mode("WEBP", "RGBA"),
    "webp, transparent, lossless": lambda: of_mode("WEBP", "RGBA", lossless=True, exact=True),
    "webp, lossy": lambda: of_mode("WEBP", "RGB"),
    "webp, lossy animation": lambda: of_mode(
        "WEBP", "RGBA", save_all=True, append_images=[Image.new("RGBA", (50, 40), "red")]
    ),
    "png, rgb of 16 bits": lambda: sixteen_bits(2, 3),
    "png, rgba of 16 bits": lambda: sixteen_bits(6, 4),
    "png, gray of 16 bits": lambda: sixteen_bits(0, 1),
    "png, gray and alpha of 16 bits": lambda: sixteen_bits(4, 2),
    "png, 1 bit": lambda: saved("PNG", "1"),
    "png, palette of 4 bits": lambda: encoded(Image.fromarray(scene()).quantize(16), "PNG", transparency=3),
    "jpeg, every second pixel's color": lambda: saved("JPEG"),
    "jpeg, restarts": lambda: saved("JPEG", restart_marker_rows=1),
    "bmp, palette": lambda: saved("BMP", "P"),
    "bmp, gray": lambda: saved("BMP", "L"),
    "bmp, 32 bits": lambda: of_mode("BMP", "RGBA"),
}  # fmt: skip


def text(kind, key, value):
    return chunk(kind, key + b"\0" + value)


def xmp(number):
    return f'<x:xmpmeta><rdf:Description tiff:Orientation="{number}"/></x:xmpmeta>'.encode()


def profile(number):
    digits = exif(orientation(number)).hex()
    lines = "\n".join(digits[start : start + 72] for start in range(0, len(digits), 72))
    return f"\nexif\n{len(digits) // 2:8}\n{lines}\n".encode()


def segment(body):
    return b"\xff\xe1" + struct.pack(">H", len(body) + 2) + body


def sideways_png(*chunks, after=()):
    return png(*chunks, chunk(b"IDAT", zlib.compress(scanlines(stored_sideways(), rows=50))), *after, IEND, size=(40, 50))


def sideways_jpeg(*segments):
    content = saved("JPEG", pixels=stored_sideways(), quality=95, subsampling=0)
    return content[:2] + b"".join(segments) + content[2:]


def with_chunks(*chunks):
    """A WebP file with a header that announces nothing, and chunks after the image."""
    image = saved("WEBP", pixels=stored_sideways(), lossless=True)[12:]
    header = b"VP8X" + struct.pack("<LL", 10, 0b1100) + struct.pack("<LL", 39, 49)[:3] + struct.pack("<L", 49)[:3]
    body = b"WEBP" + header + image
    for kind, content in chunks:
        body += kind + struct.pack("<L", len(content)) + content + b"\0" * (len(content) % 2)
    return b"RIFF" + struct.pack("<L", len(body)) + body


XMP_SEGMENT = b"http://ns.adobe.com/xap/1.0/\0"
MANY_TAGS = [(0x0100 + number, 3, 1, bytes(4)) for number in range(9)]
NOTES = {
    **{f"exif {number}": lambda number=number: jpeg(exif=exif(orientation(number))) for number in range(10)},
    "exif, big endian": lambda: jpeg(exif=exif(*MANY_TAGS, orientation(8, ">"), order=">")),
    "exif, as a byte": lambda: jpeg(exif=exif((0x0112, 1, 1, b"\3\0\0\0"))),
    "exif, as a long": lambda: jpeg(exif=exif((0x0112, 4, 1, b"\3\0\0\0"))),
    "exif, of a kind that is no integer": lambda: jpeg(exif=exif((0x0112, 5, 1, b"\3\0\0\0"))),
    "exif, in two segments": lambda: sideways_jpeg(
        segment(exif(*MANY_TAGS, orientation(6))[:60]), segment(b"Exif\0\0" + exif(*MANY_TAGS, orientation(6))[60:])
    ),
    "exif, after padding": lambda: sideways_jpeg(b"\xff\xff\xff" + segment(exif(orientation(6)))),
    "exif, in the thumbnail only": lambda: jpeg(comment=exif(orientation(6))),
    "exif, twice introduced": lambda: sideways_jpeg(segment(b"Exif\0\0" + exif(orientation(6)))),
    "jpeg, xmp": lambda: sideways_jpeg(segment(XMP_SEGMENT + xmp(6))),
    "jpeg, xmp and exif": lambda: sideways_jpeg(segment(XMP_SEGMENT + xmp(3)), segment(exif(orientation(6)))),
    "jpeg, xmp and exif without one": lambda: sideways_jpeg(segment(XMP_SEGMENT + xmp(6)), segment(exif(*MANY_TAGS))),
    "jpeg, xmp as elements": lambda: sideways_jpeg(segment(XMP_SEGMENT + b"<tiff:Orientation>8</tiff:Orientation>")),
    "png, exif after the image": lambda: sideways_png(after=[chunk(b"eXIf", exif(orientation(6))[6:])]),
    "png, profile": lambda: sideways_png(text(b"tEXt", b"Raw profile type exif", profile(6))),
    "png, compressed profile": lambda: sideways_png(text(b"zTXt", b"Raw profile type exif", b"\0" + zlib.compress(profile(8)))),
    "png, odd profile": lambda: sideways_png(text(b"tEXt", b"Raw profile type exif", profile(6)[:-2] + b"?")),
    "png, xmp": lambda: sideways_png(text(b"iTXt", b"XML:com.adobe.xmp", b"\0\0\0\0" + xmp(6))),
    "png, compressed xmp": lambda: sideways_png(text(b"iTXt", b"XML:com.adobe.xmp", b"\1\0en\0x\0" + zlib.compress(xmp(5)))),
    "png, texts of no concern": lambda: png(text(b"tEXt", b"Title", b"eXIf"), text(b"zTXt", b"a", b"\0no zlib"), IDAT, IEND),
    "webp, exif": lambda: with_chunks((b"JUNK", b"odd"), (b"EXIF", exif(orientation(6))[6:])),
    "webp, xmp": lambda: with_chunks((b"XMP ", xmp(8))),
}


@pytest.fixture(scope="module")
def model():
    """To logits, where random weights leave one class a probability of 1."""
    inputs = PREPROCESSING.layer()(keras.Input(PREPROCESSING.shape))
    return scramble(keras_resnet.ResNet20V1(input_tensor=inputs, classes=3, classifier_activation=None))


@pytest.fixture(scope="module")
def folder(model, tmp_path_factory):
    path = tmp_path_factory.mktemp("saved") / "saved_model"
    write_archive(endpoints(serving_function(model, "logits"), PREPROCESSING), path)
    return path


@pytest.fixture(scope="module")
def classify(folder):
    loaded = tf.saved_model.load(str(folder))
    return lambda *contents: (
        {name: output.numpy() for name, output in loaded.signatures["image_bytes"](tf.constant(contents, tf.string)).items()}
        | {"keep": loaded}
    )


def loader(preprocessing):
    function = tf.function(
        lambda contents: decoding.load_batch(contents, preprocessing),
        input_signature=[tf.TensorSpec((None,), tf.string)],
        autograph=False,
    )
    return lambda contents: [output.numpy() for output in function(tf.constant(contents, tf.string))]


@pytest.fixture(scope="module")
def load_scenes():
    return loader(SCENE)


def evaluated(content, preprocessing=SCENE):
    """What evaluation makes of a file; None if it refuses it."""
    try:
        return preprocessing.load_image(io.BytesIO(content), "it")
    except UserError:
        return None


def assert_as_evaluated(found, contents, names, preprocessing=SCENE, tolerance=0):
    for content, image, was_read, name in zip(contents, *found, names, strict=True):
        expected = evaluated(content, preprocessing)
        assert was_read == (expected is not None), name
        np.testing.assert_allclose(image, 0 if expected is None else expected, 0, tolerance, err_msg=name)


@pytest.mark.parametrize("channels", [1, 3])
def test_files_are_decoded_to_the_pixels_that_evaluation_reads(channels):
    """Catches what TensorFlow's decoders see otherwise: transparent pixels black, 16 bits, palettes, frames on a canvas."""
    preprocessing = Preprocessing(40, 50, channels, HALVES[:channels], HALVES[:channels])
    cases = {**FILES, **{name: make for name, make in FORMS.items() if name not in DAMAGED_PNG}}
    cases = {name: make for name, make in cases.items() if name.split(".")[-1] not in OTHER_FORMATS}
    contents = [make() for make in cases.values()]
    assert_as_evaluated(loader(preprocessing)(contents), contents, cases, preprocessing)


def test_what_tensorflow_does_not_read_is_an_error_and_not_something_else(load_scenes):
    names = [*DAMAGED_PNG, *(name for name in FORMS if name.split(".")[-1] in OTHER_FORMATS and name not in UNUSABLE)]
    contents = [*(FORMS[name]() for name in names), saved("BMP", "1"), b"\xff\x0a" + bytes(99)]  # the last: JPEG XL
    images, was_read = load_scenes(contents)
    assert not images.any()
    assert not was_read.any()


def test_four_inks_are_mixed_as_in_evaluation_to_one_level(load_scenes):
    """Catches a negative: TensorFlow takes inks without Adobe's note for what they are called, and Pillow as Adobe does."""
    contents = [four_inks(), without_adobe(four_inks())]
    assert_as_evaluated(load_scenes(contents), contents, ["adobe", "none"], tolerance=1)


def test_images_are_turned_upright_by_whatever_note_evaluation_obeys(load_scenes):
    """Catches photographs from telephones that are classified as they lie."""
    contents = [make() for make in NOTES.values()]
    assert len({evaluated(content).tobytes() for content in contents}) > 7
    assert_as_evaluated(load_scenes(contents), contents, NOTES)


def test_files_with_bytes_changed_by_chance_have_the_same_pixels_or_none(load_scenes):
    """Catches a part of a file that is found in another place than where Pillow finds it; by chance, from a fixed seed."""
    rng = np.random.default_rng(0)
    makers = [*FILES.values(), *NOTES.values(), *(FORMS[name] for name in ("unit.jpg", "animated.webp", "palette.png"))]
    contents = [mutations.mutated(make(), mutations.seed_of(rng)) for make in makers for _ in range(4)]
    images, was_read = load_scenes(contents)
    both = [(image, evaluated(content)) for image, content, read in zip(images, contents, was_read, strict=True) if read]
    both = [(image, expected) for image, expected in both if expected is not None]
    assert len(both) > 20
    for image, expected in both:
        np.testing.assert_array_equal(image, expected)


def test_a_file_of_very_many_parts_does_not_occupy_the_server(load_scenes):
    """Catches a walk through a file that takes minutes: whoever sends the file would choose how long."""
    content = jpeg(exif=exif(orientation(6)))
    long = content[:2] + b"\xff\xe5\0\2" * 30_000 + content[2:]
    assert evaluated(long) is not None
    was_read = load_scenes([long, content])[1]
    assert was_read.tolist() == [False, True]


@pytest.mark.parametrize("content", [frame_in_a_corner(transparent_gif()), animation("WEBP")], ids=["gif", "webp"])
def test_a_canvas_of_gigabytes_is_not_made(load_scenes, content):
    """Catches a file of a few bytes that ends the server for lack of memory."""
    changed = bytearray(content)
    changed[slice(6, 10) if content[:3] == b"GIF" else slice(24, 30)] = b"\xff" * (4 if content[:3] == b"GIF" else 6)
    assert load_scenes([bytes(changed)])[1].tolist() == [False]


@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic"])
@pytest.mark.parametrize(
    ("channels", "target", "fraction", "rounding"),
    [
        (3, (32, 32), 1.0, "half_to_even"),
        (1, (48, 30), 0.875, "half_to_even"),
        (3, (56, 56), 56 / 58, "half_to_even"),
        (3, (56, 56), 56 / 58, "down"),
    ],
)
def test_resize_and_crop_agree_with_evaluation_to_the_last_bit(channels, target, fraction, rounding, interpolation):
    half = (0.5,) * channels
    wanted = Preprocessing(*target, channels, half, half, fraction, interpolation, crop_rounding=rounding)
    specification = tf.TensorSpec((None, None, channels), tf.uint8)
    resize = tf.function(lambda image: resizing.resize_and_crop(image, wanted), input_signature=[specification])
    noise = np.random.default_rng(0).integers(0, 256, (300, 3000, channels)).astype(np.uint8)
    # larger, smaller, up in one direction only, of the same size, a single pixel, tall, wide, and with halves to round
    for height, width in [
        (300, 401),
        (9, 13),
        (31, 200),
        target,
        (1, 1),
        (300, 3),
        (3, 3000),
        (57, 58),
        (33, 33),
        (65, 57),
        (58, 58),
    ]:
        image = noise[:height, :width]
        expected = wanted.resize_and_crop(Image.fromarray(image.squeeze(-1) if channels == 1 else image))
        np.testing.assert_array_equal(resize(image), expected, err_msg=f"{height}x{width}")


def test_a_bad_image_is_named_and_leaves_the_others_alone(classify, model):
    """Catches an error for a whole batch, one that does not say which image, and scores for what is no image."""
    good = [FILES["gif, transparent"](), jpeg(), FILES["webp, transparent"]()]
    bad = [jpeg()[:900], b"", b"not an image", FORMS["lzw.tiff"](), FORMS["plain.jp2"](), FORMS["phone.jpg"]()]
    found = classify(good[0], bad[0], good[1], *bad[1:], good[2])
    assert found["errors"].tolist() == [
        b"",
        b"the image is damaged, or of a kind that TensorFlow does not read",
        b"",
        b"the image is empty",
        b"the image is in no format that is read here: JPEG, PNG, GIF, WebP and BMP",
        b"the image is a TIFF image; it takes JPEG, PNG, GIF, WebP and BMP",
        b"the image is a JPEG 2000 image; it takes JPEG, PNG, GIF, WebP and BMP",
        b"the image is a HEIC image; it takes JPEG, PNG, GIF, WebP and BMP",
        b"",
    ]
    read = found["errors"] == b""
    assert not found["logits"][~read].any()
    pixels = np.stack([evaluated(content, PREPROCESSING) for content in good])
    expected = model.predict(pixels.astype("float32"), verbose=0)
    np.testing.assert_allclose(found["logits"][read], expected, rtol=0, atol=1e-4 * np.ptp(expected, axis=0).min())


def test_a_batch_of_bad_images_only_has_an_answer(classify):
    assert classify(b"x", b"y")["logits"].tolist() == [[0] * 3] * 2


SERVER = """
import json, pathlib, sys
sys.modules["keras"] = sys.modules["keras_resnet"] = None
import tensorflow as tf
classify = tf.saved_model.load(sys.argv[1]).signatures["image_bytes"]
files = [path.read_bytes() for path in sorted(pathlib.Path(sys.argv[2]).iterdir())]
print(json.dumps([classify(image_bytes=tf.constant(batch))["logits"].numpy().tolist() for batch in (files, files[:1])]))
"""


def test_a_server_classifies_files_of_any_format_and_size_as_evaluation_does(folder, model, tmp_path):
    """In a process that has TensorFlow and neither Keras nor this package: functions in Python would be missing there."""
    contents = [FILES[name]() for name in ("jpeg, restarts", "webp, transparent", "gif, in a corner", "png, 1 bit")]
    contents.append(NOTES["exif, big endian"]())
    for number, content in enumerate(contents):
        (tmp_path / str(number)).write_bytes(content)
    command = [sys.executable, "-P", "-c", SERVER, folder, tmp_path]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    many, one = json.loads(done.stdout)
    pixels = np.stack([evaluated(content, PREPROCESSING) for content in contents])
    expected = model.predict(pixels.astype("float32"), verbose=0)
    tolerance = 1e-4 * np.ptp(expected, axis=0).min()  # of what tells these images apart
    np.testing.assert_allclose(many, expected, rtol=0, atol=tolerance)
    np.testing.assert_allclose(one, expected[:1], rtol=0, atol=tolerance)
