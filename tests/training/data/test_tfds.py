"""Catches a set of tensorflow-datasets that is read wrongly, taken without its labels, or waited for without a network."""

import io
import json
import time
import types

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_datasets as tfds
from PIL import Image

from keras_resnet import UserError
from keras_resnet.preprocessing import Preprocessing
from keras_resnet.training.data import downloads, image_filter
from keras_resnet.training.data import tfds as tfds_datasets
from keras_resnet.training.data.dataset import ArraySplit, Dataset, EncodedSplit

HOST = "http://keras-resnet.invalid"


def jpeg(size, shade=100, end=None):
    file = io.BytesIO()
    Image.fromarray(np.random.default_rng(0).integers(shade, shade + 9, (*size, 3), dtype=np.uint8)).save(file, "JPEG")
    return file.getvalue()[:end]


class TinySet(tfds.core.GeneratorBasedBuilder, skip_registration=True):
    """Registered under its subclasses' names."""

    VERSION = tfds.core.Version("1.0.0")
    SHAPE = (None, None, 3)
    SPLITS = {}  # noqa: RUF012  {split: [(bytes of a file, label)]}

    def _info(self):
        features = {
            "photo": tfds.features.Image(shape=self.SHAPE, encoding_format="jpeg"),
            "kind": tfds.features.ClassLabel(names=["ant", "bee"]),
            "note": tfds.features.Text(),
        }
        return tfds.core.DatasetInfo(
            builder=self,
            features=tfds.features.FeaturesDict(features),
            supervised_keys=("photo", "kind"),
            disable_shuffling=True,
        )

    def _split_generators(self, dl_manager):
        return {split: self._generate_examples(examples) for split, examples in self.SPLITS.items()}

    def _generate_examples(self, examples):
        for index, (content, label) in enumerate(examples):
            yield index, {"photo": io.BytesIO(content), "kind": label, "note": "none"}


def numbered(count, size=(9, 9)):
    return [(jpeg((size[0], size[1] + index % 2)), index % 2) for index in range(count)]


def alike(count):
    return [(jpeg((9, 9), shade=10 * index), index % 2) for index in range(count)]


class TinyVarious(TinySet):
    SPLITS = {"train": numbered(20), "validation": numbered(4), "test": numbered(6)}  # noqa: RUF012


class TinyUnlabelled(TinySet):
    SPLITS = {"train": numbered(20), "validation": numbered(4), "test": [(jpeg((9, 9)), -1)] * 3}  # noqa: RUF012


class TinyWrongLabel(TinySet):
    SPLITS = {"train": [*numbered(5), (jpeg((9, 9)), -1)], "test": numbered(2)}  # noqa: RUF012


class TinyOneClass(TinySet):
    SPLITS = {"train": [(jpeg((9, 9)), 1)] * 5, "test": numbered(2)}  # noqa: RUF012


class TinyAlone(TinySet):
    SHAPE = (9, 9, 3)
    SPLITS = {"train": alike(20)}  # noqa: RUF012


class TinyDamaged(TinySet):
    SHAPE = (9, 9, 3)
    SPLITS = {"train": [*alike(4), (jpeg((9, 9), end=-200), 1)], "test": alike(2)}  # noqa: RUF012


def archive(name):
    return types.SimpleNamespace(filename=name, size=1, checksum="0")


class TinyFetched(TinySet):
    """What it would download does not matter to it: it is prepared wherever tensorflow-datasets is let go on."""

    SPLITS = {"train": numbered(4), "test": numbered(2)}  # noqa: RUF012
    url_infos = {f"{HOST}/a.zip": archive("a.zip"), f"{HOST}/b.zip": archive("b.zip")}  # noqa: RUF012


class TinyManual(TinySet):
    MANUAL_DOWNLOAD_INSTRUCTIONS = """Put flowers.zip
    into manual_dir."""

    def _split_generators(self, dl_manager):
        assert (dl_manager.manual_dir / "flowers.zip").exists(), "there is no flowers.zip"
        return {"train": self._generate_examples(numbered(4)), "test": self._generate_examples(numbered(2))}


def test_images_of_various_sizes_stay_encoded_on_disk(data_dir):
    dataset = Dataset("tiny_various", data_dir)
    training, validation = dataset.train_and_validation(0.5, seed=0)
    assert dataset.class_names == ("ant", "bee")
    assert [type(split) for split in (training, validation, dataset.test)] == [EncodedSplit] * 3
    assert [len(split) for split in (training, validation, dataset.test)] == [20, 4, 6]
    np.testing.assert_array_equal(dataset.test.labels, [0, 1] * 3)
    assert dataset.test.records.read(1) == numbered(6)[1][0]


def test_a_set_with_only_a_train_split_is_cut_in_three(data_dir):
    dataset = Dataset("tiny_alone", data_dir)
    training, validation = dataset.train_and_validation(0.25, seed=0)
    splits = (training, validation, dataset.test)
    assert [(type(split), len(split)) for split in splits] == [(ArraySplit, 14), (ArraySplit, 4), (ArraySplit, 2)]
    assert len({image.tobytes() for split in splits for image in split.images}) == 20


def test_a_test_split_without_labels_is_not_reported(data_dir):
    dataset = Dataset("tiny_unlabelled", data_dir)
    training, validation = dataset.train_and_validation(0.25, seed=0)
    assert [len(split) for split in (training, validation, dataset.test)] == [15, 5, 4]


def test_an_image_that_does_not_decode_is_named_and_left_out(data_dir, capfd):
    dataset = Dataset("tiny_damaged", data_dir)
    training, validation = dataset.train_and_validation(0.25, seed=0)
    assert len(training) + len(validation) == 4
    assert dataset.bad_images == ["train[4]"]
    said = capfd.readouterr().err
    assert "1 of 5 images cannot be read: " in said
    assert ": train[4] " in said
    with pytest.raises(UserError, match=r"train\[4\]"):
        Dataset("tiny_damaged", data_dir, on_bad_image="fail").train_and_validation(0.25, seed=0)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        (
            "tiny_wrong_label",
            r"1 labels in its train split that are out of range, such as -1 of train\[5\]; they must be 0 to 1",
        ),
        ("tiny_one_class", "no images to train on for 1 of its classes: ant"),
    ],
)
def test_labels_that_cannot_be_learned_are_refused_before_the_first_step(data_dir, name, message):
    with pytest.raises(UserError, match=message):
        Dataset(name, data_dir).train_and_validation(0.2, seed=0)


def test_a_set_larger_than_memory_is_read_from_its_files_in_the_same_order(tmp_path, monkeypatch):
    """Of several files too, which tensorflow-datasets takes turns with when it is left alone."""
    builder = tfds.builder("tiny_alone", data_dir=tmp_path)
    builder.download_and_prepare(download_config=tfds.download.DownloadConfig(num_shards=3))
    whole = Dataset("tiny_alone", tmp_path)
    decoded = (*whole.train_and_validation(0.25, seed=0), whole.test)
    monkeypatch.setattr(tfds_datasets, "available_memory", lambda: 100)
    monkeypatch.setattr(image_filter, "available_memory", lambda: 100)
    files = Dataset("tiny_alone", tmp_path)
    for split, expected in zip((*files.train_and_validation(0.25, seed=0), files.test), decoded, strict=True):
        assert (type(split), type(expected)) == (EncodedSplit, ArraySplit)
        np.testing.assert_array_equal(split.labels, expected.labels)
        images = split.prepared(Preprocessing(9, 9, 3, (0.5,) * 3, (0.5,) * 3)).images[:]
        assert np.abs(images.astype(int) - expected.images).max() <= 4  # another decoder; the images' shades are 10 apart


def test_a_set_with_a_damaged_file_is_refused(tmp_path):
    Dataset("tiny_various", tmp_path)
    (file,) = tmp_path.rglob("*test.tfrecord*")
    file.write_bytes(file.read_bytes()[:-9])
    with pytest.raises(UserError, match="has a damaged file in its test split: remove"):
        _ = Dataset("tiny_various", tmp_path).test


def without(feature):
    """What rewrites the examples of a TFRecord file without a feature."""

    def rewrite(file):
        examples = [tf.train.Example.FromString(record.numpy()) for record in tf.data.TFRecordDataset(str(file))]
        with tf.io.TFRecordWriter(str(file)) as writer:
            for example in examples:
                del example.features.feature[feature]
                writer.write(example.SerializeToString())

    return rewrite


DAMAGE = {  # what is done to a file of a prepared set: (the file, what the error says)
    lambda file: file.write_text("null"): (
        "dataset_info.json",
        "cannot be opened: .*; remove .*tiny_various to prepare it again",
    ),
    lambda file: file.write_text("[" * 100_000): ("dataset_info.json", "cannot be opened: .*recursion"),
    lambda file: file.write_text("7"): ("dataset_info.json", "cannot be opened: "),
    lambda file: file.unlink(): ("*train.tfrecord*", "has a damaged file in its train split: remove"),
    lambda file: file.write_bytes(b""): ("*train.tfrecord*", "has a damaged file in its train split: remove"),
    lambda file: file.write_bytes(b"\xff" * 99): ("*train.tfrecord*", "has a damaged file in its train split: remove"),
    without("kind"): ("*train.tfrecord*", "has a damaged file in its train split: remove"),
    without("photo"): ("*train.tfrecord*", r"20 of 20 images cannot be read: .*tfrecord.*: train\[0\] has no image"),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_whatever_is_damaged_in_a_set_one_line_says_so(tmp_path, damage):
    """Catches the exceptions of JSON, protocol buffers and TensorFlow that a damaged folder of tensorflow-datasets raises."""
    name, message = DAMAGE[damage]
    Dataset("tiny_various", tmp_path)
    (file,) = tmp_path.rglob(name)
    damage(file)
    with pytest.raises(UserError, match=message) as caught:
        Dataset("tiny_various", tmp_path).train_and_validation(0.25, seed=0)
    assert "\n" not in str(caught.value)


def no_network(url, **options):
    raise downloads.requests.exceptions.ConnectTimeout("no route")


def bad_gateway(url, **options):
    return types.SimpleNamespace(status_code=502)


def never_answers(url, **options):
    time.sleep(1)
    no_network(url)


@pytest.mark.parametrize("head", [no_network, bad_gateway, never_answers])
def test_without_a_network_one_line_says_what_to_do(tmp_path, monkeypatch, head):
    """Catches the ten tries of tensorflow-datasets, three minutes long."""
    monkeypatch.setattr(downloads, "CONNECT_TIMEOUT", 0.1)
    monkeypatch.setattr(downloads.requests, "head", head)
    monkeypatch.setattr(TinyFetched, "_split_generators", lambda *arguments: pytest.fail("it was tried all the same"))
    with pytest.raises(UserError, match=r"keras-resnet\.invalid cannot be reached\. Give --data_dir=FOLDER") as caught:
        Dataset("tiny_fetched", tmp_path)
    assert "or --manual_dir=FOLDER with its archives (a.zip, b.zip), or run `tfds build tiny_fetched`" in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("folder", ["manual", "downloads", "downloads/tiny_fetched"])
def test_without_a_network_archives_on_this_machine_are_used(tmp_path, monkeypatch, folder):
    """Catches a probe that refuses what needs no download."""
    monkeypatch.setattr(downloads.requests, "head", no_network)
    (tmp_path / "manual").mkdir()
    (tmp_path / folder).mkdir(parents=True, exist_ok=True)
    (tmp_path / folder / "a.zip").touch()
    (tmp_path / folder / "a.zip.INFO").write_text(json.dumps({"urls": [f"{HOST}/a.zip"]}))
    assert len(Dataset("tiny_fetched", tmp_path, manual_dir=tmp_path / "manual").test) == 2


def test_a_connection_that_breaks_later_is_named_too(tmp_path, monkeypatch):
    def breaks(*arguments):
        request = downloads.requests.Request("GET", "http://other.invalid/a.zip").prepare()
        raise downloads.requests.exceptions.RetryError("too many 502 error responses", request=request)

    monkeypatch.setattr(downloads.requests, "head", lambda url, **options: types.SimpleNamespace(status_code=200))
    monkeypatch.setattr(TinyFetched, "_split_generators", breaks)
    with pytest.raises(UserError, match=r"other\.invalid cannot be reached\. Give --data_dir=FOLDER"):
        Dataset("tiny_fetched", tmp_path)


def test_an_interrupted_download_is_not_taken_for_the_set(tmp_path, monkeypatch):
    def interrupted(self, examples):
        yield 0, {"photo": io.BytesIO(examples[0][0]), "kind": 0, "note": "none"}
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(TinyVarious, "_generate_examples", interrupted)
        with pytest.raises(KeyboardInterrupt):
            Dataset("tiny_various", tmp_path)
    assert len(Dataset("tiny_various", tmp_path).test) == 6


def test_an_incomplete_folder_is_not_taken_for_a_set(tmp_path):
    (tmp_path / "tiny_various" / "1.0.0").mkdir(parents=True)
    with pytest.raises(UserError, match="is not a complete dataset: remove it to download it again"):
        Dataset("tiny_various", tmp_path)


def test_archives_downloaded_by_hand_are_asked_for_by_name(tmp_path):
    with pytest.raises(UserError, match=r"give --manual_dir=FOLDER. Put flowers.zip into manual_dir."):
        Dataset("tiny_manual", tmp_path)
    (tmp_path / "archives").mkdir()
    (tmp_path / "archives" / "other.zip").touch()
    with pytest.raises(UserError, match=r"cannot be downloaded: .*flowers.zip into manual_dir."):
        Dataset("tiny_manual", tmp_path, manual_dir=tmp_path / "archives")
    (tmp_path / "archives" / "flowers.zip").touch()
    assert len(Dataset("tiny_manual", tmp_path, manual_dir=tmp_path / "archives").test) == 2


def test_each_host_is_asked_once_and_one_that_answers_is_enough(tmp_path, monkeypatch):
    asked = []

    def head(url, **options):
        asked.append(url)
        if "reachable" not in url:
            no_network(url)
        return types.SimpleNamespace(status_code=404)

    monkeypatch.setattr(downloads.requests, "head", head)
    urls = (f"{HOST}/a.zip", f"{HOST}/b.zip", "http://reachable.invalid/c.zip")
    monkeypatch.setattr(TinyFetched, "url_infos", {url: archive("a.zip") for url in urls})
    assert len(Dataset("tiny_fetched", tmp_path).test) == 2
    assert sorted(asked) == [f"{HOST}/", "http://reachable.invalid/"]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("coco", "does not have an image and a label, only"),
        ("emnist/none", "cannot be opened: "),
        ("cifar_10", "did you mean .*cifar10"),
    ],
)
def test_a_set_without_images_and_labels_is_refused(name, message, tmp_path):
    with pytest.raises(UserError, match=message):
        Dataset(name, tmp_path)
