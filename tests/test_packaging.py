"""Catches a wheel that lacks a file or drops generic folders into site-packages."""

import os
import shutil
import subprocess
import sys
import tomllib
import zipfile

import pytest
from conftest import ROOT

import keras_resnet


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """A wheel built from a copy, so that nothing is left in the checkout."""
    folder = tmp_path_factory.mktemp("wheel")
    ignored = shutil.ignore_patterns(".*", "runs", "build", "dist", "*.egg-info", "__pycache__")
    shutil.copytree(ROOT, folder / "source", ignore=ignored)
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", f"--wheel-dir={folder}", folder / "source"]
    subprocess.run(command, check=True, capture_output=True)
    (path,) = folder.glob("*.whl")
    return path


@pytest.mark.slow
def test_the_wheel_holds_one_package_with_its_data(wheel):
    names = zipfile.ZipFile(wheel).namelist()
    assert {name.split("/")[0] for name in names if ".dist-info/" not in name} == {"keras_resnet"}
    expected = {
        f"keras_resnet/{'' if folder == 'keras_resnet' else folder + '/'}{path.relative_to(ROOT / folder)}"
        for folder in ("keras_resnet", "training", "export")
        for path in (ROOT / folder).rglob("*")
        if path.is_file() and path.suffix != ".pyc"
    }
    assert {name for name in names if name.startswith("keras_resnet/")} == expected
    assert any(name.endswith("licenses/LICENSE") for name in names)


@pytest.mark.slow
def test_the_installed_wheel_works_from_inside_the_checkout(wheel, tmp_path):
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


def test_one_version_and_one_python_range_everywhere():
    setup = (ROOT / "setup.py").read_text(encoding="utf-8")
    assert f'version="{keras_resnet.__version__}"' in setup
    assert f"## {keras_resnet.__version__}" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert 'python_requires=">=3.11,<3.14"' in setup
    assert "(3, 11) <= sys.version_info[:2] <= (3, 13)" in (ROOT / "Makefile").read_text(encoding="utf-8")
    assert tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["ruff"]["target-version"] == "py311"
