"""Made-up images, folders and lists of class names, as cases of `entries`."""

import os
import socket

import numpy as np
from life import mutations, pictures
from life.harness import as_command


def image_files(material, folder, rng):
    """A damaged image: the check before training, training and prediction see the same pixels, or all refuse it."""
    path = folder / str(rng.choice(["image.jpg", "image.png", "image.webp", "image"]))
    content = random_image(rng)
    path.write_bytes(mutations.mutated(content, mutations.seed_of(rng)) if rng.random() < 0.8 else content)
    return lambda: as_command(lambda: check_same_pixels(path))


def random_image(rng):
    return pictures.FORMS[str(rng.choice(list(pictures.FORMS)))]()


def check_same_pixels(path):
    import tensorflow as tf

    from keras_resnet.preprocessing import open_image
    from keras_resnet.training.data.containers.records import FileRecords
    from keras_resnet.training.data.decoding.image_check import probe_image
    from keras_resnet.training.data.decoding.plain_images import is_plain_jpeg

    records = FileRecords.of("", [str(path)])
    info = probe_image(records, 0)
    try:
        pixels = np.asarray(open_image(path, 3), int)
    except Exception:
        assert info.error, "the check lets through what prediction refuses"
        raise
    assert not info.error, f"the check refuses what prediction takes: {info.error}"
    assert pixels.shape == (*info.size, 3)
    content = tf.constant(records.read(0))
    if is_plain_jpeg(content):
        decoded = tf.io.decode_jpeg(content, 3, dct_method="INTEGER_ACCURATE", try_recover_truncated=True).numpy()
        assert np.abs(decoded - pixels).max() <= 1, "training sees other pixels than prediction"


def image_folders(material, folder, rng):
    """A folder as others leave it: what can be used is used, what cannot is counted and named."""
    from keras_resnet.training.data.dataset import Dataset

    odd_folder(folder / "data", rng)

    def read():
        Dataset("folder", folder / "data")

    return lambda: as_command(read)


NAMES = ("cat", "Cat", "dog", "chien été", "a b,c", "x\ny", "\x1b[31mred", ".hidden", "__MACOSX", "100%", "n" * 200, "日本")


def odd_folder(root, rng):
    """Class folders with images, and one odd entry or more."""
    splits = [[""], ["train", "test"], ["train", "valid", "test"], ["Train", "Val"], ["training", "testing"]]
    for split in splits[rng.integers(len(splits))]:
        names = ["cat", "dog"] if rng.random() < 0.8 else [str(name) for name in rng.choice(NAMES, 3, replace=False)]
        for name in names:
            place = root / split / name / ("deeper/still" if rng.random() < 0.1 else "")
            place.mkdir(parents=True)
            for index in range(int(rng.integers(1, 6))):
                (place / f"{index}.png").write_bytes(random_image(rng))
    places = [place for place in root.rglob("*") if place.is_dir()]
    for index in range(int(rng.integers(1, 4))):
        odd_entry(places[rng.integers(len(places))] / f"odd{index}.png", rng)


def odd_entry(path, rng):
    kind = rng.integers(9)
    if kind == 0:
        os.mkfifo(path)
    elif kind == 1:
        path.symlink_to(path.parent)
    elif kind == 2:
        path.symlink_to(path.parent / "nowhere")
    elif kind == 3:
        path.mkdir()
    elif kind == 4:
        path.write_bytes(b"")
    elif kind == 5:
        path.write_bytes(mutations.mutated(random_image(rng), mutations.seed_of(rng)))
    elif kind == 6:
        path.with_name(os.fsdecode(b"\xff\xfe.png")).write_bytes(random_image(rng))
    elif kind == 7:
        with socket.socket(socket.AF_UNIX) as server:
            if len(os.fsencode(path)) < 100:
                server.bind(str(path))
    else:
        path.write_bytes(b"%!PS\n{} loop\n")


def label_files(material, folder, rng):
    """A file with class names."""
    from keras_resnet.cli.data import read_labels_file

    text = "cat\ndog\nbird\n"
    encoding = str(rng.choice(["utf-8", "utf-8-sig", "utf-16", "latin-1", "utf-32"]))
    content = (text + str(rng.choice(["", "é\n", "\n\n", "cat\n", '["a"]', "0: cat\n", "\x1b[31m\n", "x" * 10**6]))).encode(
        encoding
    )
    (folder / "labels.txt").write_bytes(mutations.mutated(content, mutations.seed_of(rng)) if rng.random() < 0.5 else content)
    return lambda: as_command(lambda: read_labels_file(str(folder / "labels.txt")))


CASES = {case.__name__: case for case in (image_files, image_folders, label_files)}
