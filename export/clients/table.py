"""THE table of clients: runtimes and tools that people give the artifacts to, besides those that verification itself uses."""

import dataclasses
from collections.abc import Iterable, Sequence

from keras_resnet.errors import UserError, comma_join

from ..formats.format import ExportTarget

FLOAT, FULL = ("none", "fp16"), ("none", "fp16", "int8")
COLOR = (3, 4)
CHROMIUM = "playwright-core@^1.50"  # drives a Chromium that is there; it brings none


@dataclasses.dataclass(frozen=True)
class Client:
    """A runtime or tool that reads artifacts.

    Attributes:
        name: As flags and tables have it.
        title: As people write it.
        packages: What is installed for it, of PyPI or, where the script is JavaScript, of npm. The first one is the client
            itself; the ranges end at what was tried.
        script: Runs it; see `scripts/protocol.py`.
        reads: `{format: quantizations}`.
        batch_sizes: Images per inference that it takes.
        runs: Whether it computes outputs. Others convert or compile, which is all that can be tried everywhere.
        channels: Of the images that it takes; empty for any.
        distributions: Of PyPI, which bring the client as well: who has one of them needs no environment of its own for it.
        shares_packages: Whether its environment also sees the packages of the interpreter that installs it: for a client that
            needs TensorFlow.
        in_browser: Whether it needs a Chromium.
    """

    name: str
    title: str
    packages: tuple[str, ...]
    script: str
    reads: dict[str, tuple[str, ...]]
    batch_sizes: tuple[int, ...] = (1, 8)
    runs: bool = True
    channels: tuple[int, ...] = ()
    distributions: tuple[str, ...] = ()
    shares_packages: bool = False
    in_browser: bool = False

    @property
    def uses_node(self) -> bool:
        return self.script.endswith(".mjs")

    def reads_target(self, target: ExportTarget) -> bool:
        return target.quantization in self.reads.get(target.format, ())


OPENCV = ("opencv-python-headless", "opencv-python", "opencv-contrib-python-headless", "opencv-contrib-python")
# fmt: off
CLIENTS = {
    client.name: client
    for client in (
        Client("openvino", "OpenVINO", ("openvino>=2026.1,<2027", "numpy"), "openvino_client.py",
               {"saved_model": ("none",), "tflite": FULL, "onnx": FULL}, distributions=("openvino",)),
        Client("opencv4", "OpenCV 4", ("opencv-python-headless>=4.12,<5", "numpy"), "opencv_client.py",
               {"tflite": FULL, "onnx": FULL}, distributions=OPENCV),
        Client("opencv5", "OpenCV 5", ("opencv-python-headless>=5.0,<6", "numpy"), "opencv_client.py",
               {"tflite": FULL, "onnx": FULL}, distributions=OPENCV),
        Client("onnxruntime_node", "ONNX Runtime for Node", ("onnxruntime-node@^1.27",), "node_client.mjs",
               {"onnx": FULL}),
        Client("onnxruntime_web", "ONNX Runtime Web", ("onnxruntime-web@^1.27", CHROMIUM), "browser_client.mjs",
               {"onnx": FULL}, in_browser=True),
        Client("litertjs", "LiteRT.js", ("@litertjs/core@^2.5", CHROMIUM), "browser_client.mjs",
               {"tflite": FULL}, batch_sizes=(1,), in_browser=True),
        Client("mediapipe", "MediaPipe Tasks", ("mediapipe>=1.2,<1.3",), "mediapipe_client.py",
               {"tflite": FULL}, batch_sizes=(1,), channels=COLOR, distributions=("mediapipe",)),
        Client("coremltools", "Core ML Tools", ("coremltools>=9.0,<10",), "coreml_client.py",
               {"saved_model": ("none",)}, runs=False, distributions=("coremltools",), shares_packages=True),
        Client("vela", "Vela (Arm Ethos-U)", ("ethos-u-vela>=5.0,<6",), "vela_client.py",
               {"tflite": ("int8",)}, batch_sizes=(1,), runs=False, distributions=("ethos-u-vela",)),
    )
}
# fmt: on
GROUPS = {"opencv": ("opencv4", "opencv5"), "web": ("onnxruntime_web", "litertjs")}


def select_clients(names: Iterable[str], targets: Iterable[ExportTarget]) -> list[Client]:
    """Returns the clients of the table that are named, or that a group of `GROUPS` stands for.

    Raises:
        UserError: For an unknown name, and for a client that reads none of the targets.
    """
    targets, chosen = list(targets), {}
    for name in names:
        members = GROUPS.get(name, (name,))
        if members[0] not in CLIENTS:
            raise UserError(f"unknown client {name!r}; the clients are {comma_join([*CLIENTS, *GROUPS])}")
        reading = [client for client in map(CLIENTS.get, members) if client and any(map(client.reads_target, targets))]
        if not reading:
            raise UserError(f"{name} reads none of {comma_join(target.name for target in targets)}: leave it out of verify_in")
        chosen.update({client.name: client for client in reading})
    return list(chosen.values())


def group_of(names: Sequence[str], client: Client) -> str:
    """The name that a user chose a client by."""
    return next(name for name in names if client.name in GROUPS.get(name, (name,)))
