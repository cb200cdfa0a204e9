"""The distribution: three folders of the repository become one package, so that nothing generic lands in site-packages."""

from pathlib import Path

from setuptools import find_packages, setup

FOLDERS = {"keras_resnet": "keras_resnet", "keras_resnet.training": "training", "keras_resnet.export": "export"}

# `keras_resnet/training` and `keras_resnet/export` are links for whoever imports from a bare checkout, and for editors.
LINKS = ("training", "training.*", "export", "export.*")


def packages():
    for name, folder in FOLDERS.items():
        yield name
        yield from (f"{name}.{child}" for child in find_packages(folder, exclude=LINKS))


setup(
    name="keras-resnet-zoo",
    version="0.1.0",
    description="Faithful ResNets for Keras 3: v1 and v2, trained with tf.distribute, exported with proof",
    long_description=Path(__file__).with_name("README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    license="Apache-2.0",
    license_files=["LICENSE"],
    python_requires=">=3.11,<3.14",
    packages=list(packages()),
    package_dir=FOLDERS,
    package_data={
        "keras_resnet": ["model_sizes.json", "py.typed", "__init__.pyi"],
        "keras_resnet.weights.pretrained": ["index.json", "*.safetensors"],
        "keras_resnet.weights.published": ["weights.csv"],
        "keras_resnet.training.data.digits": ["*.npz", "README.md"],
        "keras_resnet.training.reporting": ["report_template.html", "style.css"],
        "keras_resnet.training.reproduce": ["report_template.html"],
        "keras_resnet.export.formats.web": ["page/*"],
        "keras_resnet.export.clients": ["scripts/*"],
        "keras_resnet.export.reporting": ["report_template.html"],
    },
    install_requires=[  # upper bounds: where private API is used (_*_internals.py), no further than was tried
        "absl-py>=2.1",
        "ai-edge-litert>=2.1,<2.4",
        "litert-quantizer>=0.11,<0.12",
        "flatbuffers>=25.9",
        "h5py>=3.11",
        "importlib_resources>=6.0",  # tensorflow-datasets 4.9.10 imports it without declaring it
        "keras>=3.14,<3.16",
        "matplotlib>=3.9",
        "numpy>=1.26",
        "onnx>=1.17",
        "onnxruntime>=1.27,<1.33",
        "packaging>=23",
        "pillow>=10.0",
        "psutil>=5.9",
        "requests>=2.19",
        "rich>=14.3",
        "safetensors>=0.4",
        "tensorboard>=2.20",
        "tensorflow>=2.21,<2.22",
        "tensorflow-datasets>=4.9.10",
        "tensorflow-serving-api>=2.21",
        "tf2onnx>=1.17,<1.18",
    ],
    extras_require={
        "gcs": [],  # TensorFlow's wheels for Linux, macOS and Windows have gs:// inside; see docs/cloud.md
        "gpu": ["tensorflow[and-cuda]>=2.21,<2.22"],
        "hub": ["huggingface_hub>=0.34,<3"],
        "jax": ["jax>=0.5"],
        "mediapipe": ["mediapipe>=1.2"],
        "parquet": ["pyarrow>=17"],
        "test": [
            "pytest>=8",
            "pytest-xdist>=3.6",
            "ruff>=0.12",
            "basedpyright>=1.31",
            "setuptools>=77",
            "pyarrow>=17",
            "huggingface_hub>=0.34,<3",
        ],
        "torch": ["torch>=2.6"],
        "docs": ["mkdocs>=1.6,<2", "mkdocs-material>=9.6", "mkdocstrings[python]>=1.0", "latex2mathml>=3.77"],
    },
    entry_points={"console_scripts": ["keras-resnet=keras_resnet.cli:main"]},
)
