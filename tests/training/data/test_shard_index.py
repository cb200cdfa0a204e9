"""Catches an index that is not that of the file as it is, and a cache folder that stops a training."""

import os
import time

import numpy as np
import pytest
import tensorflow as tf

from keras_resnet.training.data.containers.indexes import shard_index
from keras_resnet.training.data.containers.indexes.shard_index import cached_index, pack, unpack
from keras_resnet.training.data.containers.packed_strings import PackedStrings


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("LOCALAPPDATA", str(tmp_path / "cache"))
    return tmp_path / "cache" / "keras_resnet" / "index"


class Indexer:
    """Indexes a file by its bytes, and counts how often."""

    def __init__(self):
        self.count = 0

    def __call__(self, path):
        self.count += 1
        with open(path, "rb") as file:
            return {"content": np.frombuffer(file.read(), np.uint8)} | pack("names", PackedStrings.of([b"a", b"", b"\xff\0"]))


def write(path, content, time=1):
    path.write_bytes(content)
    os.utime(path, ns=(time, time))
    return str(path)


def test_a_file_is_gone_through_once(tmp_path, cache):
    path, make = write(tmp_path / "x", b"one"), Indexer()
    indexes = [cached_index(path, "kind", make) for _ in range(3)]
    assert make.count == 1
    for index in indexes:
        assert index["content"].tobytes() == b"one"
        assert [*unpack(index, "names")] == [b"a", b"", b"\xff\0"]
    assert len(list(cache.iterdir())) == 1


@pytest.mark.parametrize(("content", "time"), [(b"more", 1), (b"two", 2)])
def test_a_changed_shard_is_indexed_anew_and_takes_the_old_ones_place(tmp_path, cache, content, time):
    """Catches images that are read from where they were: by its size, or by its time alone."""
    path, make = write(tmp_path / "x", b"one"), Indexer()
    cached_index(path, "kind", make)
    write(tmp_path / "x", content, time)
    for _ in range(2):
        assert cached_index(path, "kind", make)["content"].tobytes() == content
    assert make.count == 2
    assert len(list(cache.iterdir())) == 1


def test_a_file_that_was_written_just_now_is_not_trusted(tmp_path, cache):
    """Catches a second write of the same size within one tick of the file system's clock."""
    now = time.time_ns()
    path, make = write(tmp_path / "x", b"one", now), Indexer()
    cached_index(path, "kind", make)
    write(tmp_path / "x", b"two", now)
    assert cached_index(path, "kind", make)["content"].tobytes() == b"two"
    assert not cache.exists()


def test_a_file_that_changes_while_it_is_indexed_is_not_kept(tmp_path, cache):
    path, make = write(tmp_path / "x", b"one"), Indexer()

    def growing(path):
        index = make(path)
        write(tmp_path / "x", b"longer")
        return index

    assert cached_index(path, "kind", growing)["content"].tobytes() == b"one"
    assert cached_index(path, "kind", make)["content"].tobytes() == b"longer"


def test_kinds_and_paths_have_their_own_indexes(tmp_path, monkeypatch):
    make = Indexer()
    (tmp_path / "folder").mkdir()
    for path in (write(tmp_path / "x", b"one"), write(tmp_path / "folder" / "x", b"two")):
        monkeypatch.chdir(os.path.dirname(path))
        for kind in ("a", "b"):
            for name in (path, "x"):
                with open(path, "rb") as file:
                    assert cached_index(name, kind, make)["content"].tobytes() == file.read()
    assert make.count == 4


@pytest.mark.parametrize("damage", [b"", b"PK\3\4 not a zip", b"\x93NUMPY", None])
def test_a_damaged_index_is_made_again(tmp_path, cache, damage):
    path, make = write(tmp_path / "x", b"one"), Indexer()
    cached_index(path, "kind", make)
    (stored,) = cache.iterdir()
    stored.write_bytes(stored.read_bytes()[:-20] if damage is None else damage)
    for _ in range(2):
        assert cached_index(path, "kind", make)["content"].tobytes() == b"one"
    assert make.count == 2


def test_an_index_of_another_version_is_made_again(tmp_path, monkeypatch):
    path, make = write(tmp_path / "x", b"one"), Indexer()
    cached_index(path, "kind", make)
    monkeypatch.setattr(shard_index, "FORMAT", shard_index.FORMAT + 1)
    cached_index(path, "kind", make)
    assert make.count == 2


def test_a_cache_folder_that_cannot_be_written_is_gone_without(tmp_path, cache, capfd):
    """Catches a training that stops for want of a home: as of the users in many containers."""
    cache.parent.mkdir(parents=True)
    cache.write_text("a file where the folder must be")
    path, make = write(tmp_path / "x", b"one"), Indexer()
    for _ in range(2):
        assert cached_index(path, "kind", make)["content"].tobytes() == b"one"
    assert capfd.readouterr().err == ""
    assert make.count == 2


def test_what_the_indexing_raises_is_raised_and_nothing_is_kept(tmp_path, cache):
    def fail(path):
        raise OSError("gone")

    with pytest.raises(OSError, match="gone"):
        cached_index(write(tmp_path / "x", b"one"), "kind", fail)
    assert not cache.exists()


def test_a_file_in_a_bucket_has_an_index_too(cache):
    path, made = "ram://index/x", []
    with tf.io.gfile.GFile(path, "wb") as file:
        file.write(b"one")

    def make(path):
        made.append(path)
        return {"size": np.array(3)}

    for _ in range(2):
        assert cached_index(path, "kind", make)["size"] == 3
    assert set(made) == {path}
