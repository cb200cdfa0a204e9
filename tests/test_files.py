"""Catches a half-written file under its final name, and one that is lost when its successor fails."""

import hashlib
import json

import numpy as np
import pytest

from keras_resnet import files


def test_a_failure_leaves_the_old_file_and_no_other(tmp_path):
    target = tmp_path / "a.txt"
    target.write_text("old")

    def fail():
        with files.atomic(target) as temporary:
            temporary.write_text("half")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert target.read_text() == "old"
    assert list(tmp_path.iterdir()) == [target]


def test_a_folder_replaces_a_folder_and_nothing_is_left_over(tmp_path):
    target = tmp_path / "folder"
    target.mkdir()
    (target / "old").touch()
    with files.atomic(target) as temporary:
        temporary.mkdir()
        (temporary / "new").touch()
    assert [path.name for path in target.iterdir()] == ["new"]
    assert list(tmp_path.iterdir()) == [target]


def test_json_is_strict_whatever_is_in_it():
    value = {"nan": np.nan, "inside": [(-np.inf, np.float32("inf"))], "count": np.int64(3), "text": "NaN", "none": None}
    expected = {"nan": None, "inside": [[None, None]], "count": 3, "text": "NaN", "none": None}
    assert json.loads(files.json_text(value), parse_constant=pytest.fail) == expected
    assert files.json_text({"a": 1}, indent=2) == '{\n  "a": 1\n}'


def test_a_digest_is_of_the_bytes(tmp_path):
    (tmp_path / "a").write_bytes(b"a\r\n" * 100_000)
    assert files.sha256_of(tmp_path / "a") == hashlib.sha256(b"a\r\n" * 100_000).hexdigest()
