"""Catches an archive of a folder that is not read as the folder would be, and a damaged one that stops a training."""

import io
import os
import subprocess
import tarfile
import zipfile

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from keras_resnet import UserError
from keras_resnet.training.data.containers.archive import list_tar, list_zip
from keras_resnet.training.data.containers.binary_files import ContainerChangedError
from keras_resnet.training.data.containers.folder import list_folder
from keras_resnet.training.data.containers.records import DamagedRecordError

FILES = tuple(f"{split}/{label}/{i}.png" for split in ("train", "test") for label in ("cat", "dog") for i in range(3))


@pytest.fixture(autouse=True)
def _cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("LOCALAPPDATA", str(tmp_path / "cache"))


def content(name):
    """An image that no other name has."""
    file = io.BytesIO()
    Image.new("RGB", (4, 4), tuple(name.encode()[-7:-4])).save(file, "PNG", compress_level=0)
    return file.getvalue() + name.encode()


def member(name, data=None, **fields):
    info = tarfile.TarInfo(name)
    data = content(name) if data is None else data
    info.size = len(data)
    for field, value in fields.items():
        setattr(info, field, value)
    return info, data


def write_tar(path, *members, format=tarfile.GNU_FORMAT):
    with tarfile.open(path, "w", format=format) as archive:
        for name in members:
            info, data = member(name) if isinstance(name, str) else name
            archive.addfile(info, io.BytesIO(data) if info.isreg() else None)
    return path


def write_zip(path, *members, method=zipfile.ZIP_STORED):
    with zipfile.ZipFile(path, "w", method) as archive:
        for name in members:
            archive.writestr(name, content(name)) if isinstance(name, str) else archive.writestr(*name)
    return path


def write_folder(folder, *members):
    for name in members:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content(name))
    return folder


def contents(listing):
    """{split: [(name, label, bytes)]}"""
    return {
        split: [(listed.records.name(i), int(listed.labels[i]), listed.records.read(i)) for i in range(len(listed))]
        for split, listed in listing.splits.items()
    }


WRITERS = {"tar": (write_tar, list_tar), "zip": (write_zip, list_zip)}
archives = pytest.mark.parametrize(("write", "list_archive"), WRITERS.values(), ids=WRITERS)


@archives
@pytest.mark.parametrize("prefix", ["", "./", "/", "data/", "./a/b/"])
def test_an_archive_is_listed_as_the_folder_in_it(tmp_path, write, list_archive, prefix):
    """Catches other names, labels or an other order, by which the same pictures would make another training."""
    folder = list_folder(write_folder(tmp_path / "folder", *FILES))
    expected = contents(folder)
    listing = list_archive(write(tmp_path / "x", *((prefix + name, content(name)) if write is write_zip else
                                                   member(prefix + name, content(name)) for name in FILES[::-1])))  # fmt: skip
    assert listing.class_names == folder.class_names == ("cat", "dog")
    assert contents(listing) == expected
    part = listing.splits["train"].records.take(np.array([5, 0]))
    assert [part.name(0), part.name(1), len(part)] == ["train/dog/2.png", "train/cat/0.png", 2]
    assert part.total_bytes(1) == len(content("train/dog/2.png")) + len(content("train/cat/0.png"))


@archives
@pytest.mark.parametrize(
    "names",
    [
        [f"{label}/{i}.jpg" for label in ("cat", "train") for i in range(2)],
        [f"train/train/{label}/{i}.jpg" for label in ("cat", "dog") for i in range(2)],
        [f"Training Set/{label}/deep/er/{i}.JPG" for label in ("cat", "dog") for i in range(2)],
        [
            *FILES,
            "validation/cat/0.png",
            "other/cat/1.png",
            "readme.txt",
            "train/x.png",
            "train/cat/notes.txt",
            "train/cat/bare",
        ],
        [*FILES, "__MACOSX/train/cat/._0.png", "train/cat/._0.png", "train/.git/x.png", "train/dog/Thumbs.db"],
    ],
)
def test_what_is_a_split_a_class_or_nothing_is_as_in_a_folder(tmp_path, write, list_archive, names):
    folder = list_folder(write_folder(tmp_path / "x.folder", *names))

    listing = list_archive(write(tmp_path / "x.archive", *names))
    assert (listing.class_names, contents(listing)) == (folder.class_names, contents(folder))
    assert len(listing.notes) == len(folder.notes)


@archives
def test_macos_files_and_what_is_no_image_are_counted_and_named(tmp_path, write, list_archive):
    more = ["train/cat/._0.png", "__MACOSX/a/b.png", "train/cat/notes.txt", "train/x.png"]
    (line,) = list_archive(write(tmp_path / "x", *FILES, *more)).notes
    assert "4 are not used: 2 hidden or the system's (__MACOSX, train/cat/._0.png); 1 not in the folder of a class" in line
    assert "train/cat/notes.txt" in line


@archives
def test_of_a_name_that_stands_twice_the_last_is_taken_and_the_other_named(tmp_path, write, list_archive, recwarn):
    """As when it is unpacked: `tar -r` puts a new version behind the old one."""
    make = (lambda name, data: (name, data)) if write is write_zip else member
    path = write(tmp_path / "x", make("train/cat/0.png", b"old"), *FILES[1:], make("./train/cat/0.png", b"new"))
    listing = list_archive(path)
    assert listing.splits["train"].records.read(0) == b"new"
    assert len(listing.splits["train"]) == 6
    assert "1 replaced by a later member of the same name (train/cat/0.png)" in listing.notes[0]


@archives
def test_names_that_lead_out_of_an_archive_or_are_not_utf_8_do_no_harm(tmp_path, write, list_archive):
    names = [*FILES, "../cat/9.png", "train/cat/../../../dog/8.png", "/train/cat/absolute.png", "train/dog/f\xfcr.png"]
    listing = list_archive(write(tmp_path / "x", *names))
    listed = [name for name, _, _ in contents(listing)["train"]]
    assert len(listed) == 8
    assert {"train/cat/absolute.png", "train/dog/f\xfcr.png"} < {*listed}
    assert "2 whose names lead out of the archive" in listing.notes[0]
    assert not (tmp_path.parent / "cat").exists()


def test_a_name_of_bytes_that_are_no_text_is_listed_as_it_is(tmp_path):
    path = write_tar(tmp_path / "x", *FILES, member(os.fsdecode(b"train/dog/w\xf6lf.png"), b"wolf"))
    listed = contents(list_tar(path))["train"]
    assert (os.fsdecode(b"train/dog/w\xf6lf.png"), 1, b"wolf") in listed


@pytest.mark.parametrize("format", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_long_names_are_whole_in_every_kind_of_tar(tmp_path, format):
    long = f"train/cat/{'a' * 70}/{'b' * 90}.png"
    path = write_tar(tmp_path / "x", *FILES, long, "train/dog/\u732b.png", format=format)
    listed = {name for name, _, _ in contents(list_tar(path))["train"]}
    assert {long, "train/dog/\u732b.png"} < listed


def test_links_in_a_tar_are_the_files_that_they_point_to(tmp_path):
    """Catches images that are lost because `tar` stores a file with two names once."""
    hard = member("train/dog/hard.png", b"", type=tarfile.LNKTYPE, linkname="train/cat/0.png")
    soft = member("train/dog/soft.png", b"", type=tarfile.SYMTYPE, linkname="../cat/1.png")
    twice = member("train/dog/twice.png", b"", type=tarfile.SYMTYPE, linkname="soft.png")
    broken = [
        member("train/dog/gone.png", b"", type=tarfile.SYMTYPE, linkname="/etc/hostname"),
        member("train/dog/loop.png", b"", type=tarfile.SYMTYPE, linkname="loop.png"),
        member("train/dog/pipe.png", b"", type=tarfile.FIFOTYPE),
    ]
    listing = list_tar(write_tar(tmp_path / "x", *FILES, hard, soft, twice, *broken))
    listed = {name: data for name, _, data in contents(listing)["train"]}
    assert len(listed) == 9
    assert listed["train/dog/hard.png"] == content("train/cat/0.png")
    assert listed["train/dog/soft.png"] == listed["train/dog/twice.png"] == content("train/cat/1.png")
    assert "2 links to what is no file in the archive (train/dog/gone.png, train/dog/loop.png); 1 pipes" in listing.notes[0]


def test_a_sparse_member_is_named(tmp_path):
    """Catches an image whose bytes are those of the next member: what is stored has no holes in it."""
    folder = write_folder(tmp_path / "folder", *FILES)
    with open(folder / "train" / "cat" / "holes.png", "wb") as file:
        file.truncate(1 << 20)
    done = subprocess.run(["tar", "-cSf", tmp_path / "x", "-C", folder, "."], check=False, capture_output=True)
    if done.returncode:
        pytest.skip("this tar knows no holes")
    listing = list_tar(tmp_path / "x")
    assert len(listing.splits["train"]) == 6
    assert "1 stored with holes (sparse) (train/cat/holes.png)" in listing.notes[0]


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
@pytest.mark.parametrize("zip64", [False, True])
def test_members_of_a_zip_are_read_however_they_are_stored(tmp_path, method, zip64):
    """With the large fields too, and with a program before the archive, as in one that unpacks itself."""
    with zipfile.ZipFile(tmp_path / "plain", "w", method) as archive:
        for name in FILES:
            with archive.open(name, "w", force_zip64=zip64) as file:
                file.write(content(name))
        archive.comment = b"made by a test PK"
    for start in (b"", b"#!/bin/sh\n" * 100):
        (tmp_path / "x").write_bytes(start + (tmp_path / "plain").read_bytes())
        os.utime(tmp_path / "x", ns=(len(start), len(start)))
        assert all(data == content(name) for name, _, data in contents(list_zip(tmp_path / "x"))["train"])


def test_a_zip_of_many_members_has_its_list_found(tmp_path, monkeypatch):
    """Catches a list whose length stands in the large record only: of 65,536 members and more."""
    monkeypatch.setattr(zipfile, "ZIP_FILECOUNT_LIMIT", 3)
    monkeypatch.setattr(zipfile, "ZIP64_LIMIT", 100)
    path = write_zip(tmp_path / "x", *FILES)
    assert b"PK\6\6" in path.read_bytes()
    assert [name for name, _, _ in contents(list_zip(path))["test"]] == sorted(FILES[6:])


def test_members_of_a_zip_that_cannot_be_read_are_damaged_one_by_one(tmp_path):
    path = write_zip(tmp_path / "x", *FILES)
    with zipfile.ZipFile(path, "a", zipfile.ZIP_LZMA) as archive:
        archive.writestr("train/cat/lzma.png", content("lzma.png"))
        archive.writestr(zipfile.ZipInfo("train/cat/squeezed.png"), bytes(1000), zipfile.ZIP_DEFLATED)
        offset = archive.getinfo("train/cat/squeezed.png").header_offset
    raw = bytearray(path.read_bytes())
    raw[raw.index(content("train/dog/1.png")) + 60] ^= 1
    raw[raw.index(content("train/dog/2.png")) - len("train/dog/2.png") - 30] = 0
    raw[offset + 30 + len("train/cat/squeezed.png")] = 0xFF
    encrypted = raw.rindex(b"train/dog/0.png") - 46 + 8
    raw[encrypted] |= 1
    path.write_bytes(raw)
    records, said = list_zip(path).splits["train"].records, {}
    for i in range(len(records)):
        try:
            assert records.read(i) == content(records.name(i))
        except DamagedRecordError as error:
            said[records.name(i).rpartition("/")[2]] = str(error)
    assert said == {
        "lzma.png": "is compressed by method 14 (LZMA); only stored and deflated members can be read",
        "squeezed.png": said["squeezed.png"],
        "0.png": "is encrypted; unpack the archive",
        "1.png": "does not have its checksum",
        "2.png": said["2.png"],
    }
    assert said["squeezed.png"].startswith("cannot be unpacked: ")
    assert said["2.png"].startswith("is not at byte ")
    assert records.location(0) == f"{path}: train/cat/0.png"


def test_the_last_member_of_a_tar_that_is_cut_off_is_damaged_and_the_others_are_used(tmp_path):
    """Catches a copy that was interrupted: the whole archive refused, or an image decoded from what is left."""
    path = write_tar(tmp_path / "x", *FILES[6:], *FILES[:6])
    raw = path.read_bytes()
    path.write_bytes(raw[: raw.index(content("train/dog/2.png")) + 50])
    listing = list_tar(path)
    assert "is damaged: it ends at byte" in listing.notes[0]
    listed = listing.splits["train"]
    assert [listed.records.read(i) == content(listed.records.name(i)) for i in range(5)] == [True] * 5
    with pytest.raises(DamagedRecordError, match=r"ends at byte [\d,]+ of its file, not at"):
        listed.records.read(5)
    assert listed.records.location(5) == f"{path}: train/dog/2.png"


def test_damage_in_the_middle_of_a_tar_is_said(tmp_path):
    """Catches images that go in silence: `tarfile` takes a damaged header for the end."""
    path = write_tar(tmp_path / "x", *FILES)
    raw = bytearray(path.read_bytes())
    at = raw.index(b"test/dog/2.png")
    raw[at : at + 200] = b"\xaa" * 200
    path.write_bytes(raw)
    listing = list_tar(path)
    assert len(listing.splits["test"]) == 5
    assert listing.notes[0].endswith(f"is damaged: it has a damaged header at byte {at:,}; what stands before it is used")


def test_a_tar_that_grows_ends_a_run_and_is_read_as_it_is_by_the_next(tmp_path):
    path = write_tar(tmp_path / "x", *FILES)
    os.utime(path, ns=(1, 1))
    before = list_tar(path)
    with tarfile.open(path, "a") as archive:
        archive.addfile(*(lambda info, data: (info, io.BytesIO(data)))(*member("train/cat/new.png")))
    with pytest.raises(ContainerChangedError, match="x has changed since its images were listed"):
        contents(before)
    assert len(list_tar(path).splits["train"]) == 7


@pytest.mark.parametrize(
    ("start", "name", "command"),
    [
        (b"\x1f\x8b\x08", "x.tar.gz", r"gunzip -k \S*x.tar.gz"),
        (b"\x1f\x8b\x08", "x.tar", r"gunzip -c < \S*x.tar > \S*x.unpacked.tar"),
        (b"BZh91AY", "x.tbz2", "bunzip2 -k "),
        (b"\xfd7zXZ\0", "x.tar.xz", "unxz -k "),
        (b"\x28\xb5\x2f\xfd", "x.tar.zst", "unzstd -k "),
    ],
)
def test_a_compressed_tar_is_refused_with_the_command_that_unpacks_it(tmp_path, start, name, command):
    (tmp_path / name).write_bytes(start + bytes(600))
    with pytest.raises(UserError, match=f"is compressed by .*, so its images cannot be read in any order: `{command}"):
        list_tar(tmp_path / name)


MISTAKES = {
    "is a zip archive: use --dataset=zip": lambda path: write_zip(path, *FILES),
    "is not a tar archive, or a damaged one": lambda path: path.write_text("not a tar" * 100),
    "is not a tar archive, or a damaged one: empty file": lambda path: path.touch(),
    "is empty: it must have CLASS": write_tar,
    "no file of that name": lambda path: None,
    "it is a folder": lambda path: path.mkdir(),
    "has 1 class folders; it must have train/CLASS": lambda path: write_tar(path, "cat/1.png", "cat/2.png"),
    "no images of two classes, but archives, such as n01440764.tar": lambda path: write_tar(path, "n01440764.tar"),
    "no images of two classes, but archives, such as train/cat/a.zip": lambda path: write_tar(path, "train/cat/a.zip"),
    r"no images \(.jpg, .* in its 2 class folders": lambda path: write_tar(path, "cat/1.txt", "dog/1.txt"),
    "class 'dog' has no images": lambda path: write_tar(path, "cat/1.png", member("dog", b"", type=tarfile.DIRTYPE)),
    "different classes in train and test; only in one of them: wolf": lambda path: write_tar(path, *FILES, "test/wolf/0.png"),
    r"names are not a line of text: 'do\\ng'": lambda path: write_tar(path, "cat/1.png", "do\ng/1.png"),
}  # fmt: skip


@pytest.mark.parametrize("message", MISTAKES)
def test_an_archive_that_cannot_be_trained_on_is_refused_in_one_line(tmp_path, message):
    MISTAKES[message](tmp_path / "x")
    with pytest.raises(UserError, match=message) as caught:
        list_tar(tmp_path / "x")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda raw: raw[:-30], "it has no list of members at its end; was it copied whole"),
        (lambda raw: raw[-100:], "longer than itself"),
        (lambda raw: raw.replace(b"PK\1\2", b"PK\1\3", 1), "list of members is damaged"),
        (lambda raw: raw[:-18] + b"\1\0" + raw[-16:], "one of several parts"),
        (lambda raw: b"", "no list of members"),
        (lambda raw: b"\x1f\x8b" + raw, "is compressed by gzip"),
    ],
)
def test_a_zip_whose_list_cannot_be_read_is_refused(tmp_path, damage, message):
    path = write_zip(tmp_path / "x", *FILES)
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(UserError, match=message):
        list_zip(path)


@archives
def test_an_archive_in_a_bucket_is_read_there(tmp_path, write, list_archive):
    """Catches `open` and `pathlib` on a URL: `Path` makes ram:/ of ram://."""
    local, url = write(tmp_path / "x", *FILES), f"ram://archives/{list_archive.__name__}"
    with tf.io.gfile.GFile(url, "wb") as file:
        file.write(local.read_bytes())
    assert contents(list_archive(url)) == contents(list_archive(local))
    with pytest.raises(UserError, match="does not exist"):
        list_archive("ram://archives/none")
