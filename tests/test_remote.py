"""Catches a path that is taken for a URL or a URL for a path, and a copy that is not what is at its URL."""

import os
from pathlib import Path

import pytest
import tensorflow as tf

from keras_resnet import remote
from keras_resnet.errors import UserError
from keras_resnet.files import created_directory, write_text
from keras_resnet.remote import RemotePath, as_path, is_remote
from keras_resnet.remote_copies import as_given, local


@pytest.mark.parametrize(
    "path", ["C:\\runs", "C:/runs", "C://runs", "file:///runs", "runs/gs", "./gs://b", Path("gs://b"), "", None]
)
def test_a_path_is_not_taken_for_a_url(path):
    assert not is_remote(path)
    if path:
        assert isinstance(as_path(path), Path)


@pytest.mark.parametrize("path", ["gs://bucket", "ram://b/run", "s3://bucket/x", RemotePath("gs://bucket/x")])
def test_a_url_is_not_taken_for_a_path(path):
    assert is_remote(path)


def test_tensorflow_has_the_schemes_that_are_told_before_it_is_imported():
    assert {*remote.BUILT_IN} <= {*tf.io.gfile.get_registered_schemes()}


def test_the_parts_of_a_url():
    path = RemotePath("gs://bucket/runs/a/")
    assert (
        str(path / "best" / "ckpt-1.index") == os.fspath(path) + "/best/ckpt-1.index" == "gs://bucket/runs/a/best/ckpt-1.index"
    )
    assert (path.name, str(path.parent), str(path.with_name("b"))) == ("a", "gs://bucket/runs", "gs://bucket/runs/b")
    assert str((path / "ckpt-1.index").with_suffix("")) == "gs://bucket/runs/a/ckpt-1"
    assert str(RemotePath("gs://bucket").parent) == "gs://bucket"
    assert path == RemotePath("gs://bucket/runs/a")


def test_a_folder_is_written_and_read_whole(tmp_path):
    """Catches an upload that leaves files of what was there before, and one that loses folders or bytes."""
    files = {"saved_model.pb": b"\x00\xff", "variables/variables.index": b"1", "assets.extra/deep/x": b""}
    for name, content in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(content)
    url = as_path("ram://upload/export/saved_model")
    (url / "variables").mkdir()
    for name in ("variables/variables.index", "variables/stale"):
        (url / name).append_text("longer than what comes")
    url.upload(tmp_path)
    copy = Path(local(url))
    found = {path.relative_to(copy).as_posix(): path.read_bytes() for path in copy.rglob("*") if path.is_file()}
    assert found == files
    assert as_given(f"{copy / 'saved_model.pb'} is damaged") == "ram://upload/export/saved_model/saved_model.pb is damaged"


def test_a_name_that_leads_out_of_the_folder_is_refused(tmp_path, monkeypatch):
    """An object may be called `export/../../.bashrc`."""
    (as_path("ram://upload/bad") / "inner").mkdir()
    monkeypatch.setattr(tf.io.gfile, "listdir", lambda url: ["../"])
    with pytest.raises(UserError, match=r"ram://upload/bad has an entry '\.\.', which cannot be copied to a disk"):
        as_path("ram://upload/bad").download(tmp_path / "bad")


def test_a_file_is_copied_once_until_it_changes(tmp_path):
    url = "ram://upload/labels.txt"
    write_text(url, "cat\n")
    assert local(url) == local(url)
    write_text(url, "cat\ndog\n")
    assert Path(local(url)).read_text() == "cat\ndog\n"
    write_text(f"{url}.more", "beside")
    assert Path(local(url, ("labels.txt.more", "none"))).with_name("labels.txt.more").read_text() == "beside"
    with pytest.raises(UserError, match="no file or folder ram://upload/none"):
        local("ram://upload/none")


def test_a_file_of_which_the_writing_fails_stays_as_it_was():
    url = "ram://upload/config.json"
    write_text(url, "old")
    with pytest.raises(TypeError):
        write_text(url, None)
    assert as_path(url).read_bytes() == b"old"


def test_a_folder_that_was_made_for_nothing_goes_again():
    folder = as_path("ram://upload/made/for/nothing")
    made = []
    with pytest.raises(ZeroDivisionError), created_directory(folder):
        made.append(1 / (not folder.is_dir()))
    assert not folder.exists()


def test_a_missing_file_is_the_error_that_a_disk_gives():
    with pytest.raises(FileNotFoundError, match="No such file or directory: 'ram://upload/missing'"):
        as_path("ram://upload/missing").read_bytes()
    with pytest.raises(FileNotFoundError):
        [*as_path("ram://upload/missing").iterdir()]
    as_path("ram://upload/missing").remove()
    assert [*as_path("ram://upload/missing").glob("*")] == []
