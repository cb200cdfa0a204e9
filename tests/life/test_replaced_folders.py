"""Catches a folder that is lost because its process was killed while it replaced it, and what killed processes leave over."""

import os
import re

import pytest
from life.machines import ended_process, leftover

from keras_resnet import files
from keras_resnet.export.runtime import format_of


@pytest.fixture(scope="module")
def ended():
    return ended_process()


def names(folder):
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize("killed_before", [1, 2, 3])
def test_a_process_that_is_killed_between_two_renames_loses_no_folder(killed_before, tmp_path, monkeypatch):
    """Of 31 killed exports one left no saved_model/ under its name."""
    target, new = tmp_path / "saved_model", tmp_path / "new"
    for folder in (target, new):
        folder.mkdir()
        (folder / folder.name).touch()
    calls, rename = [], type(target).rename

    def killed(self, other):
        calls.append(self)
        if len(calls) >= killed_before:
            raise KeyboardInterrupt  # nothing after this runs, as after SIGKILL
        return rename(self, other)

    monkeypatch.setattr(type(target), "rename", killed)
    with pytest.raises(KeyboardInterrupt):
        files.replace(new, target)
    monkeypatch.setattr(type(target), "rename", rename)
    files.recover(target)
    assert names(target) == ["new" if killed_before == 3 else "saved_model"]
    assert {path for path in names(tmp_path) if path.startswith(".")} == set()


def test_the_old_folder_comes_back_and_what_is_left_of_ended_processes_goes(ended, tmp_path):
    target = tmp_path / "saved_model"
    leftover(target, files.OLD, ended)
    leftover(target, files.NEW, ended)
    leftover(target, files.DISCARDED, ended)
    running = leftover(target, files.NEW, os.getppid())
    elsewhere = leftover(target, files.NEW, ended, host="0123abcd")
    assert format_of(target).name == "saved_model"
    assert names(target) == ["old"]
    assert {*names(tmp_path)} == {"saved_model", running.name, elsewhere.name}


def test_what_a_running_process_is_replacing_is_left_alone(tmp_path):
    target = tmp_path / "saved_model"
    old = leftover(target, files.OLD, os.getppid())
    files.recover(target)
    assert names(tmp_path) == [old.name]


def test_a_newer_folder_is_not_replaced_by_an_old_one(ended, tmp_path):
    target = tmp_path / "saved_model"
    target.mkdir()
    (target / "new").touch()
    leftover(target, files.OLD, ended)
    files.recover(target)
    assert (names(target), names(tmp_path)) == (["new"], ["saved_model"])


def test_writing_a_file_removes_what_killed_processes_left_of_it_and_nothing_else(ended, tmp_path):
    target, other = tmp_path / "model.keras", tmp_path / "model.onnx"
    leftover(target, files.NEW, ended)
    theirs = leftover(other, files.NEW, ended)
    (tmp_path / ".model.keras").touch()
    files.write_text(target, "new")
    assert names(tmp_path) == sorted([".model.keras", theirs.name, "model.keras"])


def test_a_rename_that_fails_gives_the_old_folder_its_name_back(tmp_path):
    target = tmp_path / "folder"
    target.mkdir()
    with pytest.raises(FileNotFoundError):
        files.replace(tmp_path / "none", target)
    assert names(tmp_path) == ["folder"]


def test_a_link_is_replaced_and_what_it_points_to_stays(tmp_path):
    """Catches "Cannot call rmtree on a symbolic link", after the new folder was in its place."""
    (tmp_path / "theirs").mkdir()
    (tmp_path / "theirs" / "file").touch()
    link = tmp_path / "saved_model"
    link.symlink_to("theirs")
    files.remove(link)
    assert names(tmp_path) == ["theirs"]
    assert names(tmp_path / "theirs") == ["file"]


def test_a_text_has_the_same_bytes_on_every_system_and_takes_names_that_are_not_utf_8(tmp_path):
    """Catches a traceback at the end of an export whose folder has such a name."""
    files.write_text(tmp_path / "a", "ü\nb\udcff")
    assert (tmp_path / "a").read_bytes() == "ü\nb\\udcff".encode()


def test_a_hidden_name_keeps_the_suffix_and_is_short(tmp_path):
    """Keras and PIL look at it; and a host may have a long name, with dots in it."""
    name = files.hidden_name(tmp_path / "a.b.keras", files.NEW).name
    assert re.fullmatch(r"\.a\.b\.new-[0-9a-f]{8}-\d+\.keras", name)
