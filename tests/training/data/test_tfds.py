"""Catches a set of tensorflow-datasets that is read wrongly, taken without its labels, or waited for without a network."""

import io
import types

import numpy as np
import pytest
import tensorflow_datasets as tfds
from PIL import Image
from tensorflow_datasets.core.download import downloader

from keras_resnet import UserError
from keras_resnet.preprocessing import Preprocessing
from keras_resnet.training.data import downloads
from keras_resnet.training.data import image_filter as screening
from keras_resnet.training.data import tfds as public_sets
from keras_resnet.training.data.dataset import ArraySplit, Dataset, EncodedSplit

ADDRESS = "http://keras-resnet.invalid/archive.zip"


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
            "picture": tfds.features.Image(shape=self.SHAPE, encoding_format="jpeg"),
            "kind": tfds.features.ClassLabel(names=["ant", "bee"]),
            "note": tfds.features.Text(),
        }
        return tfds.core.DatasetInfo(
            builder=self,
            features=tfds.features.FeaturesDict(features),
            supervised_keys=("picture", "kind"),
            disable_shuffling=True,
        )

    def _split_generators(self, dl_manager):
        return {split: self._generate_examples(examples) for split, examples in self.SPLITS.items()}

    def _generate_examples(self, examples):
        for index, (content, label) in enumerate(examples):
            yield index, {"picture": io.BytesIO(content), "kind": label, "note": "none"}


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


class TinyFetched(TinySet):
    def _split_generators(self, dl_manager):
        dl_manager.download({"archive": ADDRESS})
        raise AssertionError("the download did not fail")


class TinyManual(TinySet):
    MANUAL_DOWNLOAD_INSTRUCTIONS = """Put flowers.zip
    into manual_dir."""

    def _split_generators(self, dl_manager):
        assert (dl_manager.manual_dir / "flowers.zip").exists(), "there is no flowers.zip"
        return {"train": self._generate_examples(numbered(4)), "test": self._generate_examples(numbered(2))}


def test_pictures_of_various_sizes_stay_encoded_on_disk(data_dir):
    dataset = Dataset("tiny_various", data_dir)
    training, validation = dataset.train_and_validation(0.5, seed=0)
    assert dataset.labels == ("ant", "bee")
    assert [type(part) for part in (training, validation, dataset.test)] == [EncodedSplit] * 3
    assert [len(part) for part in (training, validation, dataset.test)] == [20, 4, 6]
    np.testing.assert_array_equal(dataset.test.labels, [0, 1] * 3)
    assert dataset.test.encoded[1].read() == numbered(6)[1][0]


def test_a_set_with_only_a_training_part_is_cut_in_three(data_dir):
    dataset = Dataset("tiny_alone", data_dir)
    training, validation = dataset.train_and_validation(0.25, seed=0)
    parts = (training, validation, dataset.test)
    assert [(type(part), len(part)) for part in parts] == [(ArraySplit, 14), (ArraySplit, 4), (ArraySplit, 2)]
    assert len({image.tobytes() for part in parts for image in part.images}) == 20


def test_a_test_part_without_labels_is_not_reported(data_dir):
    dataset = Dataset("tiny_unlabelled", data_dir)
    training, validation = dataset.train_and_validation(0.25, seed=0)
    assert [len(part) for part in (training, validation, dataset.test)] == [15, 5, 4]


def test_a_picture_that_does_not_decode_is_named_and_left_out(data_dir, capfd):
    dataset = Dataset("tiny_damaged", data_dir)
    training, validation = dataset.train_and_validation(0.25, seed=0)
    assert len(training) + len(validation) == 4
    assert dataset.bad_images == ["train[4]"]
    assert "1 of 5 images cannot be read: train[4] " in capfd.readouterr().err
    with pytest.raises(UserError, match=r"train\[4\]"):
        Dataset("tiny_damaged", data_dir, on_bad_image="fail").train_and_validation(0.25, seed=0)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("tiny_wrong_label", r"1 labels in its train part that are out of range, such as -1 of train\[5\]; they are 0 to 1"),
        ("tiny_one_class", "no image to train on of 1 of its classes: ant"),
    ],
)
def test_labels_that_cannot_be_learnt_are_refused_before_the_first_step(data_dir, name, message):
    with pytest.raises(UserError, match=message):
        Dataset(name, data_dir).train_and_validation(0.2, seed=0)


def test_a_set_larger_than_memory_is_read_from_its_files_in_the_same_order(tmp_path, monkeypatch):
    """Of several files too, which tensorflow-datasets takes turns with when it is left alone."""
    builder = tfds.builder("tiny_alone", data_dir=tmp_path)
    builder.download_and_prepare(download_config=tfds.download.DownloadConfig(num_shards=3))
    whole = Dataset("tiny_alone", tmp_path)
    parts = (*whole.train_and_validation(0.25, seed=0), whole.test)
    monkeypatch.setattr(public_sets, "available_memory", lambda: 100)
    monkeypatch.setattr(screening, "available_memory", lambda: 100)
    files = Dataset("tiny_alone", tmp_path)
    for part, there in zip((*files.train_and_validation(0.25, seed=0), files.test), parts, strict=True):
        assert (type(part), type(there)) == (EncodedSplit, ArraySplit)
        np.testing.assert_array_equal(part.labels, there.labels)
        images = part.prepare(Preprocessing(9, 9, 3, (0.5,) * 3, (0.5,) * 3))
        assert np.abs(images.astype(int) - there.images).max() <= 4  # another decoder; the images' shades are 10 apart


def test_a_set_with_a_damaged_file_is_refused(tmp_path):
    Dataset("tiny_various", tmp_path)
    (file,) = tmp_path.rglob("*test.tfrecord*")
    file.write_bytes(file.read_bytes()[:-9])
    with pytest.raises(UserError, match="has a damaged file in its test part: remove"):
        _ = Dataset("tiny_various", tmp_path).test


def no_network(address, **options):
    raise downloads.requests.exceptions.ConnectTimeout("no route")


def bad_gateway(address, **options):
    return types.SimpleNamespace(status_code=502)


@pytest.mark.parametrize("ask", [no_network, bad_gateway])
def test_without_a_network_one_line_says_what_to_do(tmp_path, monkeypatch, ask):
    """Catches the ten tries of tensorflow-datasets, three minutes long."""
    downloads.reachable.cache_clear()
    monkeypatch.setattr(downloads.requests, "head", ask)
    monkeypatch.setattr(downloader, "_open_url", lambda url, **options: pytest.fail("it was tried all the same"))
    with pytest.raises(UserError, match=r"keras-resnet\.invalid cannot be reached\. Give --data_dir=FOLDER") as caught:
        Dataset("tiny_fetched", tmp_path)
    assert "or --manual_dir=FOLDER with its archives, or run `tfds build tiny_fetched`" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_an_interrupted_download_is_not_taken_for_the_set(tmp_path, monkeypatch):
    def interrupted(self, examples):
        yield 0, {"picture": io.BytesIO(examples[0][0]), "kind": 0, "note": "none"}
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(TinyVarious, "_generate_examples", interrupted)
        with pytest.raises(KeyboardInterrupt):
            Dataset("tiny_various", tmp_path)
    assert len(Dataset("tiny_various", tmp_path).test) == 6


def test_a_folder_that_is_no_whole_set_is_not_taken_for_one(tmp_path):
    (tmp_path / "tiny_various" / "1.0.0").mkdir(parents=True)
    with pytest.raises(UserError, match="is not a whole data set: remove it"):
        Dataset("tiny_various", tmp_path)


def test_archives_fetched_by_hand_are_asked_for_by_name(tmp_path):
    with pytest.raises(UserError, match=r"give --manual_dir=FOLDER. Put flowers.zip into manual_dir."):
        Dataset("tiny_manual", tmp_path)
    (tmp_path / "archives").mkdir()
    (tmp_path / "archives" / "other.zip").touch()
    with pytest.raises(UserError, match=r"cannot be fetched: .*flowers.zip into manual_dir."):
        Dataset("tiny_manual", tmp_path, manual_dir=tmp_path / "archives")
    (tmp_path / "archives" / "flowers.zip").touch()
    assert len(Dataset("tiny_manual", tmp_path, manual_dir=tmp_path / "archives").test) == 2


def test_a_host_is_asked_once_and_a_reachable_one_is_left_to_tensorflow_datasets(monkeypatch):
    asked = []

    def ask(address, **options):
        asked.append(address)
        return types.SimpleNamespace(status_code=404)

    monkeypatch.setattr(downloads.requests, "head", ask)
    monkeypatch.setattr(downloader, "_open_url", lambda url, **options: f"opened {url}")
    with downloads.fail_fast():
        opened = [downloader._open_url(f"http://reachable.invalid/{name}") for name in "ab"]
    assert opened == ["opened http://reachable.invalid/a", "opened http://reachable.invalid/b"]
    assert asked == ["http://reachable.invalid/"]


@pytest.mark.parametrize(
    ("name", "message"),
    [("coco", "has no image and label, only"), ("emnist/none", "cannot be opened: "), ("cifar_10", "did you mean .*cifar10")],
)
def test_what_is_no_set_of_images_and_labels_is_refused(name, message, tmp_path):
    with pytest.raises(UserError, match=message):
        Dataset(name, tmp_path)
