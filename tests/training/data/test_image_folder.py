"""Catches a folder whose classes are mixed up, an unreadable image that stops a training, and one that goes silently."""

import io
import os

import numpy as np
import pytest
from PIL import Image

from keras_resnet import UserError
from keras_resnet.training.data import image_filter
from keras_resnet.training.data.containers.records import FileRecords
from keras_resnet.training.data.dataset import ArraySplit, Dataset, EncodedSplit, class_names_of
from keras_resnet.training.data.decoding.image_check import probe_image

RED, GRAY = (200, 30, 40), 90


def draw(path, size=(8, 8), color=RED, mode="RGB", **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new(mode, size, color).save(path, **options)


def fill(folder, splits=("train", "test"), classes=("cat", "dog"), count=3, **options):
    for split in splits:
        for label in classes:
            for index in range(count):
                draw(folder / split / label / f"{index}.png", **options)
    return folder


def truncated(size=(64, 64)):
    file = io.BytesIO()
    noise = np.random.default_rng(0).integers(0, 256, (*size[::-1], 3), dtype=np.uint8)
    Image.fromarray(noise).save(file, "JPEG")
    return file.getvalue()[: len(file.getvalue()) // 2]


def test_classes_are_the_sorted_folders_and_small_images_of_one_size_become_arrays(tmp_path):
    fill(tmp_path, classes=("dog", "cat", "ant"))
    draw(tmp_path / "test" / "cat" / "0.png", color=(0, 0, 255))
    dataset = Dataset("folder", tmp_path)
    assert dataset.class_names == class_names_of("folder", tmp_path) == ("ant", "cat", "dog")
    assert isinstance(dataset.test, ArraySplit)
    assert dataset.test.shape == (8, 8, 3)
    np.testing.assert_array_equal(dataset.test.labels, [0, 0, 0, 1, 1, 1, 2, 2, 2])
    assert [tuple(image[0, 0]) == (0, 0, 255) for image in dataset.test.images] == [False] * 3 + [True] + [False] * 5


def test_every_format_is_read_in_any_case_and_other_files_are_not(tmp_path):
    for name in ("a.jpg", "b.JPEG", "c.PnG", "d.bmp", "e.gif"):
        for label in ("one", "two"):
            draw(tmp_path / "train" / label / name)
    (tmp_path / "train" / "one" / "notes.txt").write_text("not an image")
    (tmp_path / "train" / "one" / ".hidden.jpg").write_text("not an image")
    (tmp_path / "train" / ".cache").mkdir()
    (tmp_path / "train" / "one" / "nested.jpg").mkdir()
    (tmp_path / "train" / "two" / "link.jpg").symlink_to(tmp_path / "train" / "one" / "a.jpg")
    fill(tmp_path, splits=("test",), classes=("one", "two"))
    dataset = Dataset("folder", tmp_path)
    training, validation = dataset.train_and_validation(0.1, 0)
    assert (len(training) + len(validation), dataset.bad_images) == (11, [])
    assert np.abs(training.images.astype(int) - RED).max() <= 3


@pytest.mark.parametrize(
    ("mode", "color", "channels"), [("L", GRAY, 1), ("RGB", RED, 3), ("1", 1, 1), ("CMYK", (9, 9, 9, 9), 3)]
)
def test_channels_are_one_only_where_every_image_is_gray(tmp_path, mode, color, channels):
    fill(tmp_path, mode="L", color=GRAY)
    draw(tmp_path / "train" / "cat" / "extra.jpg", mode=mode, color=color)
    dataset = Dataset("folder", tmp_path)
    assert dataset.test.shape == (8, 8, channels)
    assert np.all(dataset.test.images == GRAY)


def test_without_a_test_folder_a_tenth_is_cut_that_no_seed_and_no_new_image_moves(tmp_path):
    for index in range(60):
        for label, shift in (("cat", 0), ("dog", 100)):
            draw(tmp_path / label / f"{index}.png", color=(index, shift, 0))

    def rows(split):
        return {tuple(image[0, 0]) for image in split.images}

    dataset = Dataset("folder", tmp_path)
    training, validation = dataset.train_and_validation(0.25, seed=1)
    assert (len(dataset.test), len(validation), len(training)) == (12, 27, 81)
    assert len(rows(training) | rows(validation) | rows(dataset.test)) == 120
    others, _ = dataset.train_and_validation(0.25, seed=2)
    assert rows(others) != rows(training)
    before = rows(dataset.test)
    draw(tmp_path / "cat" / "new.png", color=(255, 255, 255))
    assert len(rows(Dataset("folder", tmp_path).test) - before) <= 1


@pytest.mark.parametrize("name", ["validation", "val"])
def test_a_validation_folder_is_used_and_nothing_is_cut(tmp_path, name):
    fill(tmp_path, splits=("train", "test"))
    fill(tmp_path, splits=(name,), count=2, color=(0, 0, 9))
    training, validation = Dataset("folder", tmp_path).train_and_validation(0.5, 0)
    assert (len(training), len(validation)) == (6, 4)
    assert np.all(validation.images[..., 2] == 9)


def test_a_validation_folder_without_a_test_folder_is_the_test(tmp_path):
    fill(tmp_path, splits=("train",), count=5)
    fill(tmp_path, splits=("val",), count=2, color=(0, 0, 9))
    dataset = Dataset("folder", tmp_path)
    training, validation = dataset.train_and_validation(0.2, 1)
    assert (len(training), len(validation), len(dataset.test)) == (8, 2, 4)
    assert np.all(dataset.test.images[..., 2] == 9)


def test_a_class_may_be_called_train(tmp_path):
    for label in ("car", "train"):
        for index in range(20):
            draw(tmp_path / label / f"{index}.png")
    assert Dataset("folder", tmp_path).class_names == ("car", "train")


def test_unreadable_images_are_counted_named_and_left_out(tmp_path, capfd):
    fill(tmp_path, size=(64, 64))
    folder = tmp_path / "train" / "cat"
    (folder / "cut.jpg").write_bytes(truncated())
    (folder / "text.jpg").write_text("not an image")
    (folder / "void.gif").touch()
    (folder / "gone.png").symlink_to(tmp_path / "nowhere")
    dataset = Dataset("folder", tmp_path)
    training, validation = dataset.train_and_validation(0.2, 0)
    assert len(training) + len(validation) == 6
    assert dataset.bad_images == [f"train/cat/{name}" for name in ("cut.jpg", "gone.png", "text.jpg", "void.gif")]
    (line,) = [line for line in capfd.readouterr().err.splitlines() if "cannot be read" in line]
    assert line.startswith(f"keras-resnet: 4 of 16 images cannot be read: {folder}/cut.jpg image file is truncated")
    assert f"{folder}/gone.png No such file or directory; {folder}/text.jpg is in no known format of images; ..." in line
    with pytest.raises(UserError, match=r"4 of 16 images cannot be read: .*/train/cat/cut\.jpg"):
        Dataset("folder", tmp_path, on_bad_image="fail")


def test_a_image_cut_off_is_noticed_where_only_an_eighth_is_computed(tmp_path):
    """Catches a cheap look that reads no further than the header."""
    path = tmp_path / "cut.jpg"
    path.write_bytes(truncated((300, 200)))
    assert "truncated" in probe_image(FileRecords.of("", [str(path)]), 0).error
    assert "truncated" in probe_image(FileRecords.of("", [str(path)]), 0, keep=(200, 300)).error


def test_images_of_various_sizes_or_too_many_for_memory_stay_encoded(tmp_path, monkeypatch):
    fill(tmp_path)
    monkeypatch.setattr(image_filter, "available_memory", lambda: 1000)
    assert isinstance(Dataset("folder", tmp_path).test, EncodedSplit)
    monkeypatch.undo()
    draw(tmp_path / "train" / "cat" / "0.png", size=(9, 8))
    dataset = Dataset("folder", tmp_path)
    assert isinstance(dataset.test, EncodedSplit)
    assert dataset.test.shape == (None, None, 3)


def only_unreadable(folder):
    for label in ("cat", "dog"):
        for split in ("train", "test"):
            (folder / split / label).mkdir(parents=True)
            (folder / split / label / "a.jpg").write_text("not an image")


def other_classes(folder):
    fill(folder)
    draw(folder / "test" / "wolf" / "0.png")


def empty_class(folder):
    fill(folder)
    (folder / "train" / "emu").mkdir()
    (folder / "test" / "emu").mkdir()


def no_images(folder):
    for label in ("cat", "dog"):
        (folder / label).mkdir()


def only_test(folder):
    fill(folder, splits=("test",))


def both_names(folder):
    fill(folder, splits=("train", "val", "validation"))


def class_of_unreadable_images(folder):
    fill(folder, classes=("cat", "dog", "emu"))
    for path in (folder / "train" / "emu").iterdir():
        path.write_bytes(b"")


def name_of_two_lines(folder):
    fill(folder, splits=("",), classes=("cat", "do\ng"))


MISTAKES = {
    name_of_two_lines: r"names are not a line of text: 'do\\ng'; rename them",
    only_unreadable: "4 of 4 images cannot be read: .*No image is left",
    other_classes: "different classes in train and test; only in one of them: wolf",
    empty_class: "class 'emu' has no images",
    no_images: r"class 'cat' has no images|no images \(.jpg",
    only_test: "has no train split with labels, only test",
    both_names: "has validation and val; only one can be the validation split",
    class_of_unreadable_images: "no images to train on for 1 of its classes: emu",
    lambda folder: None: "has 0 class folders",
    lambda folder: draw(folder / "cat" / "a.png"): "has 1 class folders",
}


@pytest.mark.parametrize("make", MISTAKES)
def test_a_folder_that_cannot_be_trained_on_is_refused_in_one_line(tmp_path, make):
    make(tmp_path)
    with pytest.raises(UserError, match=MISTAKES[make]) as caught:
        Dataset("folder", tmp_path).train_and_validation(0.1, 0)
    assert "\n" not in str(caught.value)


def test_a_missing_folder_and_a_file_are_refused(tmp_path):
    (tmp_path / "file").touch()
    for folder, message in (
        (None, "needs --data_dir"),
        (tmp_path / "none", "does not exist"),
        (tmp_path / "file", "is .*a file"),
    ):
        with pytest.raises(UserError, match=message):
            Dataset("folder", folder)
    with pytest.raises(UserError, match=r"manual_dir is .*none"):
        Dataset("digits", tmp_path, manual_dir=tmp_path / "none")
    with pytest.raises(UserError, match="on_bad_image is 'stop'; it must be one of skip, fail"):
        Dataset("folder", tmp_path, on_bad_image="stop")


def test_class_names_that_are_not_text_are_refused_before_the_training(tmp_path):
    """Catches a training whose report cannot be written at its end: a file system also takes names that are no UTF-8."""
    fill(tmp_path, splits=("",))
    try:
        (tmp_path / os.fsdecode(b"w\xf6lf")).mkdir()
    except OSError:
        pytest.skip("this file system takes UTF-8 only")
    with pytest.raises(UserError, match=r"names are not a line of text: 'w.udcf6lf'; rename them"):
        Dataset("folder", tmp_path)
