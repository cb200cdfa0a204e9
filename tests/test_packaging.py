"""Catches a wheel that lacks a file or drops generic folders into site-packages."""

import os
import shutil
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from pathlib import Path

import pytest
from conftest import ROOT

import keras_resnet

LINKS = ("training", "export")  # in keras_resnet/


def source_copy(folder, links):
    """A copy of the checkout, so that nothing is left in it. links: "kept", or "text", as git leaves them on Windows."""
    ignored = shutil.ignore_patterns(".*", "runs", "build", "dist", "*.egg-info", "__pycache__")
    source = shutil.copytree(ROOT, folder / "source", ignore=ignored, symlinks=True)
    for name in LINKS if links == "text" else ():
        target = os.readlink(source / "keras_resnet" / name)
        (source / "keras_resnet" / name).unlink()
        (source / "keras_resnet" / name).write_text(target)
    return source


@pytest.fixture(scope="module", params=["kept", "text"])
def wheel(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp("wheel")
    source = source_copy(folder, request.param)
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", f"--wheel-dir={folder}", source]
    subprocess.run(command, check=True, capture_output=True)
    (path,) = folder.glob("*.whl")
    return path


def expected_files():
    """The files of the three folders, under the names that they have in the package."""
    for folder in ("keras_resnet", *LINKS):
        for path in (ROOT / folder).rglob("*"):
            inside = path.relative_to(ROOT / folder)
            linked = folder == "keras_resnet" and inside.parts[0] in LINKS
            if path.is_file() and path.suffix != ".pyc" and not linked:
                yield f"keras_resnet/{'' if folder == 'keras_resnet' else folder + '/'}{inside.as_posix()}"


@pytest.mark.slow
def test_the_wheel_holds_one_package_with_its_data_and_each_file_once(wheel):
    names = zipfile.ZipFile(wheel).namelist()
    assert {name.split("/")[0] for name in names if ".dist-info/" not in name} == {"keras_resnet"}
    assert sorted(name for name in names if name.startswith("keras_resnet/")) == sorted(expected_files())
    assert any(name.endswith("licenses/LICENSE") for name in names)


@pytest.mark.slow
def test_the_sdist_holds_each_file_once_and_makes_the_same_wheel(tmp_path):
    source = source_copy(tmp_path, "kept")
    program = "from setuptools import build_meta; print(build_meta.build_sdist('.'))"
    done = subprocess.run([sys.executable, "-c", program], cwd=source, check=True, capture_output=True, text=True)
    with tarfile.open(source / done.stdout.splitlines()[-1]) as archive:
        names = [name.partition("/")[2] for name in archive.getnames()]
        archive.extractall(tmp_path / "unpacked", filter="data")
    python = [name for name in names if name.endswith(".py") and name.startswith(("keras_resnet/", "training/", "export/"))]
    inside = {
        name.replace("keras_resnet/training/", "training/").replace("keras_resnet/export/", "export/")
        for name in expected_files()
    }
    assert sorted(python) == sorted(name for name in inside if name.endswith(".py"))
    (unpacked,) = (tmp_path / "unpacked").iterdir()
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", f"--wheel-dir={tmp_path}", unpacked]
    subprocess.run(command, check=True, capture_output=True)
    (path,) = tmp_path.glob("*.whl")
    assert sorted(name for name in zipfile.ZipFile(path).namelist() if name.startswith("keras_resnet/")) == sorted(
        expected_files()
    )


@pytest.mark.slow
def test_the_installed_wheel_works_inside_the_checkout_and_elsewhere(wheel, tmp_path):
    """The rooms come from the wheel, and the embedded data with them."""
    target = tmp_path / "site"
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", f"--target={target}", wheel]
    subprocess.run(command, check=True, capture_output=True)
    program = f"""
import keras_resnet, keras_resnet.export.pipeline
from keras_resnet.training.data.dataset import Dataset
assert all(module.__file__.startswith({str(target)!r}) for module in (keras_resnet, keras_resnet.export))
assert len(Dataset("digits", {str(tmp_path / "data")!r}).test) == 360
"""
    environment = {**os.environ, "PYTHONPATH": str(target)}
    done = subprocess.run(
        [sys.executable, "-P", "-c", program], env=environment, cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert (target / "bin" / "keras-resnet").is_file()
    for folder in (ROOT, tmp_path):  # without -P: a shell that stands in the checkout has its sources first, and they work
        command = [sys.executable, "-c", "import keras_resnet.training.recipes"]
        assert subprocess.run(command, env=environment, cwd=folder, check=False).returncode == 0


@pytest.mark.slow
@pytest.mark.parametrize("links", ["kept", "text"])
def test_an_editable_installation_is_found_wherever_one_stands(links, tmp_path):
    """As `pip install --editable` makes it: a finder in site-packages, which knows all three folders."""
    source, site = source_copy(tmp_path, links), tmp_path / "site"
    program = f"from setuptools import build_meta; print(build_meta.build_editable({str(tmp_path)!r}))"
    done = subprocess.run([sys.executable, "-c", program], cwd=source, check=True, capture_output=True, text=True)
    zipfile.ZipFile(tmp_path / done.stdout.splitlines()[-1]).extractall(site)
    program = f"import site; site.addsitedir({str(site)!r}); import keras_resnet.training.recipes as r; print(r.__file__)"
    for folder in [source, tmp_path] if links == "kept" else [tmp_path]:
        command, environment = [sys.executable, "-S", "-c", program], {**os.environ, "PYTHONPATH": ""}
        done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        assert Path(done.stdout.strip()).samefile(source / "training" / "recipes.py")


def test_one_version_and_one_python_range_everywhere():
    setup = (ROOT / "setup.py").read_text(encoding="utf-8")
    assert f'version="{keras_resnet.__version__}"' in setup
    assert f"## {keras_resnet.__version__}" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert 'python_requires=">=3.11,<3.14"' in setup
    assert "(3, 11) <= sys.version_info[:2] <= (3, 13)" in (ROOT / "Makefile").read_text(encoding="utf-8")
    assert tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["ruff"]["target-version"] == "py311"
