"""Catches images that are left out in silence, folders that are misread, and a class without an image to train on."""

import os
import unicodedata

import numpy as np
import pytest
from life.folders import LABELS, NO_LABELS, colors, draw, fill, nested, odd_entries, special_files

from keras_resnet import UserError
from keras_resnet.cli.data import read_labels_file
from keras_resnet.training.data.dataset import Dataset, choose_leaving_each_class, class_names_of


def images_of(dataset):
    training, validation = dataset.train_and_validation(0.1, 0)
    return len(training) + len(validation) + (len(dataset.test) if dataset._test_split is None else 0)


def test_images_below_a_class_behind_links_and_in_other_formats_are_used(tmp_path, capfd):
    """Catches 24 of 114 images used and not a word of the others; and one that is read twice by two links."""
    root = fill(tmp_path / "images")
    count = nested(root / "cat")
    assert images_of(Dataset("folder", root)) == 6 + count
    (line,) = capfd.readouterr().err.splitlines()
    assert "1 are not used: 1 links to folders that are read already (cat/2023/again)" in line


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs the pipes of POSIX")
def test_what_is_not_used_is_counted_and_named_in_one_line(tmp_path, capfd):
    """Catches a pipe that is waited for, a circle of links, and the files of macOS, Windows and a NAS taken for images."""
    root = fill(tmp_path)
    odd_entries(root / "cat")
    draw(root / "loose.png")
    assert Dataset("folder", root).class_names == ("cat", "dog")
    (line,) = capfd.readouterr().err.splitlines()
    assert f"in {root}, 16 are not used: " in line
    for reason in (
        "1 not in the folder of a class (loose.png)",
        "7 hidden or the system's (cat/.DS_Store, cat/._0.png, cat/.cache, ...)",
        "5 not called .jpg, .jpeg, .jpe, .jfif, ... (cat/0.xml, cat/README, cat/loop, ...)",
        "1 pipes, sockets or devices (cat/pipe.jpg)",
        "2 links to folders that are read already (cat/self, cat/up)",
    ):
        assert reason in line
    class_names_of("folder", root)
    assert not capfd.readouterr().err


@pytest.mark.parametrize(
    ("train", "validation", "test"),
    [
        ("train", "valid", "test"),
        ("Training", "Val", "Testing"),
        ("training_set/training_set", "validation-set", "test_set/test_set"),
    ],
)
def test_split_folders_are_known_by_the_names_that_others_give_them(tmp_path, train, validation, test):
    """Catches a validation folder that is ignored, and the folder that an archive has twice."""
    for name, count in ((train, 5), (validation, 2), (test, 3)):
        fill(tmp_path / name, count=count)
    draw(tmp_path / "__MACOSX" / "cat" / "0.png")
    dataset = Dataset("folder", tmp_path)
    training, checked = dataset.train_and_validation(0.5, 0)
    assert (dataset.class_names, len(training), len(checked), len(dataset.test)) == (("cat", "dog"), 10, 4, 6)


def test_a_folder_beside_the_splits_is_named(tmp_path, capfd):
    for name in ("train", "test", "extra"):
        fill(tmp_path / name)
    (tmp_path / "train.csv").touch()
    Dataset("folder", tmp_path)
    (line,) = capfd.readouterr().err.splitlines()
    assert "2 are not used: 1 not in the folder of a class (train.csv); 1 not train, validation or test (extra)" in line


def test_a_class_without_images_in_another_split_is_named_and_costs_nothing(tmp_path, capfd):
    """Catches a test split that is refused because git or rsync dropped an empty folder."""
    fill(tmp_path / "train", classes=("cat", "dog", "emu"))
    fill(tmp_path / "test", classes=("cat", "emu"))
    dataset = Dataset("folder", tmp_path)
    np.testing.assert_array_equal(dataset.test.labels, [0, 0, 0, 2, 2, 2])
    assert "the test split has no images of 1 of 3 classes: dog" in capfd.readouterr().err


def test_names_of_macos_and_windows_are_the_same_classes_in_another_split(tmp_path):
    """Catches Ä in two Unicode forms, and Cat for cat, as different classes."""
    fill(tmp_path / "train", classes=("cat", "Ämsel"))
    fill(tmp_path / "test", classes=("Cat", unicodedata.normalize("NFD", "Ämsel")))
    dataset = Dataset("folder", tmp_path)
    assert dataset.class_names == ("cat", "Ämsel")
    np.testing.assert_array_equal(dataset.test.labels, [0, 0, 0, 1, 1, 1])
    fill(tmp_path / "both", classes=("Ämsel", unicodedata.normalize("NFD", "Ämsel")))
    with pytest.raises(UserError, match=r"one class in several folders of its train split: 'A\\u0308msel', '\\xc4msel'"):
        Dataset("folder", tmp_path / "both")


def test_a_folder_around_the_images_is_pointed_out(tmp_path):
    fill(tmp_path / "flower_photos")
    with pytest.raises(UserError, match=r"has 1 class folders.*; is --data_dir=.*flower_photos meant\?"):
        Dataset("folder", tmp_path)


@pytest.mark.parametrize("name", ["do\x1b[2Jg", "do\ng", " "])
def test_names_that_would_steer_a_terminal_are_refused(tmp_path, name):
    fill(tmp_path, classes=("cat", name))
    with pytest.raises(UserError, match="names are not a line of text: "):
        Dataset("folder", tmp_path)


def test_an_image_whose_name_is_not_text_is_used_or_named_in_one_line(tmp_path, capfd):
    fill(tmp_path)
    try:
        draw(tmp_path / "cat" / os.fsdecode(b"k\xe4se.png"), format="PNG")
    except OSError:
        pytest.skip("this file system takes UTF-8 only")
    draw(tmp_path / "cat" / "two\nlines.png")
    (tmp_path / "cat" / "three\nlines\x1b[2J.png").touch()
    assert images_of(Dataset("folder", tmp_path)) == 8
    (line,) = capfd.readouterr().err.splitlines()
    assert rf"1 of 9 images cannot be read: {tmp_path}/cat/three\nlines\x1b[2J.png is empty" in line


def test_two_images_of_each_class_leave_one_to_train_on(tmp_path):
    """Catches 'no image to train on' for a class of two, of which one was cut for the test and one for validation."""
    classes = tuple(f"c{number}" for number in range(50))
    fill(tmp_path, classes=classes, count=2)
    for seed in range(5):
        dataset = Dataset("folder", tmp_path)
        training, validation = dataset.train_and_validation(0.1, seed)
        assert (len(dataset.test), len(validation), len(training)) == (10, 9, 81)
        assert set(training.labels) == set(range(50))
        splits = [colors(split.images) for split in (training, validation, dataset.test)]
        assert len(set.union(*splits)) == 100
    for path in tmp_path.rglob("1.png"):
        path.unlink()
    with pytest.raises(UserError, match=r"no images to train on for 9 of its classes: c10, .*; each needs one that is not cut"):
        Dataset("folder", tmp_path).train_and_validation(0.1, 0)


def test_what_is_cut_stays_as_it_was_where_every_class_has_enough(rng):
    """Catches a cut that moves images of existing data, on which runs resume."""
    for _ in range(50):
        labels = np.concatenate([np.arange(4), rng.integers(0, 4, 40)])
        order, count = rng.permutation(44), int(rng.integers(1, 12))
        chosen = choose_leaving_each_class(order, labels, count)
        rest = np.setdiff1d(order, chosen)
        assert set(labels[rest]) == set(range(4))
        if set(labels[order[count:]]) == set(range(4)):
            np.testing.assert_array_equal(chosen, order[:count])
            np.testing.assert_array_equal(rest, np.sort(order[count:]))
    np.testing.assert_array_equal(choose_leaving_each_class(np.array([2, 0, 1]), np.arange(3), 1), [2])


@pytest.mark.parametrize("content", LABELS)
def test_a_list_of_labels_is_read_as_it_is_meant(tmp_path, content):
    (tmp_path / "labels.txt").write_bytes(content)
    assert read_labels_file(str(tmp_path / "labels.txt")) == LABELS[content]


@pytest.mark.parametrize("content", NO_LABELS, ids=list(NO_LABELS.values()))
def test_what_is_not_a_list_of_labels_is_refused_in_one_line(tmp_path, content):
    (tmp_path / "labels.txt").write_bytes(content)
    with pytest.raises(UserError, match=NO_LABELS[content]):
        read_labels_file(str(tmp_path / "labels.txt"))


def test_names_that_stand_twice_are_named_where_each_class_needs_its_own(tmp_path):
    (tmp_path / "labels.txt").write_text("crane\nmaillot\ncrane\nmaillot\ncat\n")
    assert len(read_labels_file(str(tmp_path / "labels.txt"))) == 5  # as in ImageNet's list
    with pytest.raises(UserError, match=r"has crane, maillot on more than one line; each class needs a name of its own"):
        read_labels_file(str(tmp_path / "labels.txt"), distinct=True)


def test_a_pipe_and_a_folder_are_no_lists_of_labels(tmp_path):
    for path in special_files(tmp_path):
        with pytest.raises(UserError, match="it must be a text file with one name per line"):
            read_labels_file(str(path))
