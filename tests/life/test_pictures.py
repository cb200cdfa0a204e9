"""Catches an image whose pixels depend on who reads it, one that ends a training, and one that starts a program."""

import contextlib
import io

import numpy as np
import pytest
import tensorflow as tf
from life.folders import special_files
from life.pictures import FORMS, GRAY, UNUSABLE, USABLE, arithmetic_frame, jpeg, png, saved, scene
from PIL import Image

from keras_resnet import UserError
from keras_resnet.images import UnreadableImageError, exif_orientation, opened, upright
from keras_resnet.preprocessing import Preprocessing, open_image
from keras_resnet.training.data.containers.records import FileRecords
from keras_resnet.training.data.decoding.bad_images import BadImageError, BadImages
from keras_resnet.training.data.decoding.crop_batches import CropBatches
from keras_resnet.training.data.decoding.image_check import probe_image
from keras_resnet.training.data.decoding.plain_images import is_plain_jpeg
from keras_resnet.training.data.splits import EncodedSplit

LOSS = 30  # of 255: what a JPEG or a palette may change
WHOLE = np.array([[1 - 2**-24, 0.5, 0, 0]], np.float32)  # draws for a box that is nearly all of the image


def write(folder, name):
    path = folder / name
    path.write_bytes(FORMS[name]())
    return path


def crop(*paths, channels=3):
    rows = np.arange(len(paths))
    examples = tf.data.Dataset.from_tensors((rows, WHOLE.repeat(len(paths), 0), np.zeros(len(paths), bool)))
    batches = CropBatches(encoded_split(*paths, channels=channels), (30, 30), 1.0).batches(examples)
    ((crops, used),) = batches.as_numpy_iterator()
    np.testing.assert_array_equal(used, rows)
    return crops


def encoded_split(*paths, channels=3):
    records = FileRecords.of("", map(str, paths))
    return EncodedSplit(records, np.arange(len(paths)), channels, BadImages("skip"))


def probe(path, keep=None):
    return probe_image(FileRecords.of("", [str(path)]), 0, keep)


def difference(one, other):
    assert one.shape == other.shape
    return np.abs(np.asarray(one, int) - other).max()


def test_every_usable_file_has_the_same_pixels_in_the_check_in_training_and_in_prediction(tmp_path):
    """Catches a second decoder that turns, converts or refuses in a way of its own, whatever the file is called."""
    paths = [write(tmp_path, name) for name in [*USABLE, *GRAY]]
    Image.fromarray(scene()).save(tmp_path / "reference.png")
    *crops, reference = crop(*paths, tmp_path / "reference.png")
    for path, cropped in zip(paths, crops, strict=True):
        gray = path.name in GRAY
        wanted = scene()[..., :1] if gray else scene()
        info, pixels = probe(path, keep=(40, 50)), np.asarray(open_image(path, 3))
        assert (info.error, info.size, info.grayscale) == (None, (40, 50), gray), path.name
        assert difference(info.pixels, wanted) <= LOSS, path.name
        np.testing.assert_array_equal(pixels, np.broadcast_to(info.pixels, pixels.shape), path.name)
        assert difference(cropped, reference[..., :1].repeat(3, -1) if gray else reference) <= LOSS, path.name


@pytest.mark.parametrize("name", UNUSABLE)
def test_an_unusable_file_is_refused_alike_by_the_check_and_by_prediction(tmp_path, name):
    """Catches an exception of Pillow's that is not expected, and a file that the check lets pass."""
    path = write(tmp_path, name)
    reason = probe(path).error
    assert reason
    with pytest.raises(UserError, match=f"{name} cannot be read as an image: ") as caught:
        open_image(path, 3)
    assert str(caught.value).endswith(reason)
    assert "\n" not in str(caught.value)


def test_no_program_is_started_for_a_file(tmp_path, monkeypatch):
    """Catches Pillow's Ghostscript, which runs what a PostScript file called .png says."""
    monkeypatch.setattr("subprocess.Popen", lambda *arguments, **options: pytest.fail("a program was started"))
    monkeypatch.setattr("PIL.EpsImagePlugin.has_ghostscript", lambda: True)
    with pytest.raises(UserError, match="it is PostScript"):
        open_image(write(tmp_path, "postscript.png"), 3)


def test_a_pipe_a_device_and_a_folder_are_not_waited_for(tmp_path):
    for path in special_files(tmp_path):
        with pytest.raises(UserError, match=r"it is a (pipe, a socket or a device|folder)$"):
            open_image(path, 3)
    with pytest.raises(UserError, match=r"none.png cannot be read as an image: No such file or directory$"):
        open_image(tmp_path / "none.png", 3)
    with pytest.raises(UserError, match="embedded null"):
        open_image("a\0b.png", 3)


def test_any_exception_of_the_decoder_becomes_one_line(tmp_path, monkeypatch):
    path = tmp_path / "a.png"
    path.write_bytes(png())
    for error in (AttributeError("x"), MemoryError(), RecursionError("deep"), KeyError(7), AssertionError()):
        monkeypatch.setattr(Image, "open", lambda *arguments, error=error, **options: (_ for _ in ()).throw(error))
        with pytest.raises(UnreadableImageError, match=r"a.png cannot be read as an image: ."):
            open_image(path, 3)


def test_a_long_and_narrow_image_takes_no_more_memory_than_its_crop():
    """Catches a strip of one pixel that is scaled to 224 by millions, and a crop from another place than of a shorter one."""
    resource = pytest.importorskip("resource")
    ramp = np.repeat(np.linspace(0, 255, 5000).astype(np.uint8)[np.newaxis], 1, 0)
    preprocessing = Preprocessing(224, 224, 1, (0.5,), (0.5,))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    pixels = preprocessing.resize_and_crop(Image.fromarray(ramp))
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100_000  # KB
    assert difference(pixels[..., 0], np.full((224, 224), ramp[0, 2500])) <= 1
    whole = Image.fromarray(np.random.default_rng(0).integers(0, 256, (30, 700), dtype=np.uint8))
    expected = preprocessing.resize_and_crop(whole)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("keras_resnet.preprocessing.MAX_RESIZED_PIXELS", 0)
        assert difference(preprocessing.resize_and_crop(whole), expected) <= 1


def test_an_image_that_turns_bad_or_disappears_during_training_is_named(tmp_path, capfd):
    """Catches gray rows that TensorFlow makes up for a file cut since it was checked, and an error without a name."""
    for name, content in (("a.jpg", jpeg()), ("b.png", saved("PNG")), ("c.gif", saved("GIF"))):
        path = tmp_path / name
        path.write_bytes(content)
        split = encoded_split(path)
        path.write_bytes(content[: len(content) // 2])
        with pytest.raises(BadImageError, match="none of 1 images can be read"):
            split.prepared(Preprocessing(8, 8, 3, (0.5,) * 3, (0.5,) * 3)).images[:]
        assert f"{name} cannot be read: " in capfd.readouterr().err
        assert split.bad_images.names == [str(path)]
        path.unlink()
        with pytest.raises(FileNotFoundError, match=name):
            split.load(0, 3)


def test_a_jpeg_in_arithmetic_codes_is_not_left_to_tensorflow(tmp_path):
    """Catches a training that ends with the first file in codes which Pillow knows and TensorFlow does not."""
    path = tmp_path / "a.jpg"
    path.write_bytes(arithmetic_frame())
    assert not is_plain_jpeg(tf.constant(path.read_bytes()))
    assert crop(path).shape == (1, 30, 30, 3)


def test_gray_is_made_of_color_in_one_way(tmp_path):
    (tmp_path / "a.png").write_bytes(saved("PNG"))
    expected = crop(tmp_path / "a.png", channels=1)
    Image.open(tmp_path / "a.png").convert("L").save(tmp_path / "b.png")
    assert difference(crop(tmp_path / "b.png", channels=1), expected) == 0


def test_the_orientation_is_found_in_whatever_bytes(rng):
    """Catches a loop or an error in notes that are no notes; by chance, from a fixed seed."""
    for _ in range(300):
        content = bytearray(rng.bytes(rng.integers(0, 60)))
        content[: 8 if rng.random() < 0.7 else 0] = b"II*\0\x08\0\0\0"
        assert exif_orientation(bytes(content)) in {None, *range(1, 9)}


def test_images_with_bytes_changed_by_chance_are_read_or_refused(rng):
    """Catches an exception of another kind than the one that names the file; by chance, from a fixed seed."""
    names = ["unit.jpg", "progressive.jpg", "sideways.png", "called.jpg", "animated.gif", "lzw.tiff", "plain.bmp", "plain.ppm"]
    for content in [FORMS[name]() for name in names for _ in range(25)]:
        changed = bytearray(content)
        for place in rng.integers(0, min(len(content), 400), 4):
            changed[place] = rng.integers(0, 256)
        with contextlib.suppress(UnreadableImageError), opened(io.BytesIO(changed), "it") as image:
            upright(image, 3)
