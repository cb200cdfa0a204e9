"""Training on 8 to 4,096 GPUs, on paper: constants with their sources, and formulas. `docs/scaling.md` shows what they give.

Hosts are DGX A100s. The batch per GPU is fixed (weak scaling). Times are in seconds, sizes in bytes.
"""

import functools
import json
import math
from collections.abc import Callable
from typing import NamedTuple

from keras_resnet.info import SIZES_FILE


class Constant(NamedTuple):
    """A number and where it is from: author, title, year, place."""

    value: float
    unit: str
    meaning: str
    source: str


A100 = "NVIDIA, A100 80GB data sheet, 2021"
DGX = "NVIDIA, DGX A100 data sheet, 2020"
NCCL = "NVIDIA, NCCL, src/graph/tuning.cc at commit 5067397 (2026), protocol Simple"
LLAMA = "Dubey et al., The Llama 3 Herd of Models, 2024, arXiv:2407.21783, section 3.3"
OURS = "measured here, on two cores of an AMD EPYC beside other work"
OURS_ON_XEON = "measured here, on two cores of an Intel Xeon with AVX-512"

CONSTANTS = {
    "gpus": Constant(8, "", "GPUs of a host", DGX),
    "cores": Constant(128, "", "CPU cores of a host", f"{DGX}: two EPYC 7742"),
    "nic": Constant(25e9, "B/s", "network, per GPU", f"{DGX}: eight adapters of 200 Gb/s"),
    "nvlink": Constant(300e9, "B/s", "NVLink of a GPU, one direction", f"{A100}: 600 GB/s in both"),
    "memory": Constant(2.039e12, "B/s", "memory of a GPU", A100),
    "kernel": Constant(3.8e-6, "s", "a short kernel after another", "Gray, Getting Started with CUDA Graphs, NVIDIA, 2019"),
    "resnet50": Constant(
        90 * 1_281_167 / (8.75 * 3600), "images/s", "ResNet-50 v1.5 training on a GPU, mixed precision",
        "NVIDIA, NGC, ResNet v1.5 for MXNet, performance of 2022 (22.10): 90 epochs in 8.75 h on one A100, 1.14 h on eight",
    ),
    "inference": Constant(
        6120 / 2.19, "images/s", "ResNet-50 inference on a GPU, TF32",
        "NVIDIA, DeepLearningExamples, MxNet/Classification/RN50v1.5/README.md, 2020 (20.12), batch 256",
    ),
    "base": Constant(8.4e-6, "s", "start of an all-reduce", NCCL),
    "ring_host": Constant(6e-6, "s", "step of a ring inside a host, if there are several", f"{NCCL}: 3 times 2 µs for AMD"),
    "ring_nvlink": Constant(3.4e-6, "s", "step of a ring inside the only host", NCCL),
    "tree_nvlink": Constant(4.0e-6, "s", "step of a tree inside a host", NCCL),
    "net": Constant(14e-6, "s", "step between hosts, ring or tree", NCCL),
    "tree_share": Constant(0.92, "", "bandwidth of a tree, as a share of a ring's", NCCL),
    "small_base": Constant(6.8e-6, "s", "start of a small all-reduce", NCCL.replace("Simple", "LL")),
    "small_nvlink": Constant(0.6e-6, "s", "its step inside a host", NCCL.replace("Simple", "LL")),
    "small_net": Constant(5e-6, "s", "its step between hosts", NCCL.replace("Simple", "LL")),
    "grpc_step": Constant(0.36e-3, "s", "step of TensorFlow's gRPC ring", f"{OURS}: 4 numbers, two workers, loopback"),
    "grpc": Constant(0.17e9, "B/s", "its bandwidth", f"{OURS}: 102 MB, two workers, loopback"),
    "images": Constant(1_281_167, "", "images of ImageNet to train on",
                       "Russakovsky et al., ImageNet Large Scale Visual Recognition Challenge, 2015"),
    "test_images": Constant(50_000, "", "its validation images, our test split", "the same"),
    "image_bytes": Constant(138e9 / 1_281_167, "B", "an image of it", "image-net.org, ILSVRC2012: 138 GB of training images"),
    "decode": Constant(534, "images/s", "JPEG to a random crop of 224, per core",
                       f"{OURS_ON_XEON}: 1,069 from 500x375, exact pixels"),
    "decode_published": Constant(
        596, "images/s", "decoding alone, per core, TensorFlow on EPYC 9B14",
        "Iglovikov & Kosarevsky, Single-Thread JPEG Decoder Benchmarks Mis-Evaluate ML Data Loaders, 2026, arXiv:2605.08731",
    ),
    "storage": Constant(2e12, "B/s", "sustained, of 7,500 storage servers", f"{LLAMA}.1"),
    "epoch_start": Constant(0.04, "s", "order and random numbers of an epoch of ImageNet, on each host", OURS_ON_XEON),
    "write": Constant(0.5e9, "B/s", "writing a checkpoint", f"{OURS}: 205 MB into memory in 0.4 s"),
    "restart": Constant(
        60, "s", "from a failure to the next step, without a scheduler's queue",
        "assumed: the others notice after 10 s, imports take 7 s, the first step 6 s, the validation images 5 s; rounded up",
    ),
    "mtbf": Constant(54 * 86400 * 16384 / 419, "s", "between two unexpected failures, times GPUs",
                     f"{LLAMA}.4: 419 in 54 days on 16,384 GPUs"),
    "mtbf_worse": Constant(
        1.8 * 3600 * 16384, "s", "the same",
        "Kokolis et al., Revisiting Reliability in Large-Scale Machine Learning Research Clusters, 2024, arXiv:2410.21680: "
        "1.8 h projected for 16,384 GPUs",
    ),
}  # fmt: skip

VALIDATION, EPOCHS = 0.1, 90  # the default `validation_fraction`, and the recipe he2016_imagenet


def value(name: str) -> float:
    return CONSTANTS[name].value


class Network(NamedTuple):
    """A network as it is trained.

    layer_gradients: tensors, one for each weight of each layer. gradients: those that we have, of alike units stacked.
    norms: normalizations. compute: seconds of a step with so many images, without communication.
    """

    name: str
    layer_gradients: int
    gradients: int
    norms: int
    compute: Callable[[int], float]

    @property
    def gradient_bytes(self) -> int:
        return 4 * parameters(self.name)["trainable"]

    @property
    def checkpoint_bytes(self) -> int:
        """Weights and momentum, float32."""
        return 4 * (parameters(self.name)["total"] + parameters(self.name)["trainable"])


@functools.cache
def parameters(name: str) -> dict[str, int]:
    return json.loads(SIZES_FILE.read_text(encoding="utf-8"))[name]


def compute_resnet50(batch: int) -> float:
    """A step without communication, at the published rate, which was measured at larger batches than 32."""
    return batch / value("resnet50")


def compute_resnet1001(batch: int) -> float:
    """A lower bound, as nobody has published a rate: what the memory must carry, or that many kernels one after another.

    Each of 333 units has 26 kernels. Forward, a unit carries 10.5 times its output, (64, 32, 32), (128, 16, 16) or
    (256, 8, 8) in two bytes; backward twice that.
    """
    carried = 3 * 10.5 * 2 * 111 * (64 * 32**2 + 128 * 16**2 + 256 * 8**2)
    return max(batch * carried / value("memory"), 333 * 26 * value("kernel"))


RESNET50 = Network("ResNet50V1_5", 161, 89, 53, compute_resnet50)
RESNET1001 = Network("ResNet1001V2", 3005, 62, 1000, compute_resnet1001)


def hosts(gpus: int) -> int:
    return math.ceil(gpus / value("gpus"))


def bandwidth(gpus: int) -> float:
    """Of a ring through all GPUs: as many rings as adapters, each through another of these."""
    return value("nvlink") if hosts(gpus) == 1 else min(value("nvlink"), value("gpus") * value("nic"))


def ring(size: float, gpus: int) -> float:
    """2 (p - 1) / p * n / B + 2 (p - 1) alpha (Patarasuk & Yuan 2009), with NCCL's latencies inside and between hosts."""
    if gpus == 1:
        return 0.0
    between = 2 * (hosts(gpus) - 1)
    inside = 2 * (gpus - 1) - between
    latency = inside * value("ring_host" if between else "ring_nvlink") + between * value("net")
    return value("base") + 2 * (gpus - 1) / gpus * size / bandwidth(gpus) + latency


def tree(size: float, gpus: int) -> float:
    """Two binary trees over the hosts (Sanders et al. 2009, Jeaugey 2019), a chain inside of each, as NCCL reckons it."""
    if gpus == 1:
        return 0.0
    depth = math.ceil(math.log2(hosts(gpus)))
    latency = 2 * ((min(gpus, value("gpus")) - 1) * value("tree_nvlink") + depth * value("net"))
    return value("base") + 2 * size / (value("tree_share") * bandwidth(gpus)) + latency


def all_reduce(size: float, gpus: int) -> float:
    """The better of the two, which NCCL takes."""
    return min(ring(size, gpus), tree(size, gpus))


def small_all_reduce(gpus: int) -> float:
    """A tree with a few kilobytes, such as the statistics of a normalization."""
    depth = math.ceil(math.log2(hosts(gpus)))
    steps = (min(gpus, value("gpus")) - 1) * value("small_nvlink") + depth * value("small_net")
    return value("small_base") + 2 * steps


def grpc_ring(size: float, gpus: int) -> float:
    """What TensorFlow does if NCCL is not named."""
    return 2 * (gpus - 1) * (value("grpc_step") + size / gpus / value("grpc"))


def step(network: Network, batch: int, gpus: int) -> float:
    """One after the other: all gradients go through one all-reduce, after the last of them is there."""
    return network.compute(batch) + all_reduce(network.gradient_bytes, gpus)


def efficiency(network: Network, batch: int, gpus: int) -> float:
    return network.compute(batch) / step(network, batch, gpus)


def input_needed(network: Network, batch: int) -> float:
    """Images per second and host."""
    return value("gpus") * batch / network.compute(batch)


def input_possible(rate: str = "decode") -> float:
    """Images of 224 pixels per second and host."""
    return value("cores") * value(rate)


def epoch(network: Network, batch: int, gpus: int) -> float:
    """The steps of an epoch of ImageNet's images, without what comes between two epochs."""
    return (1 - VALIDATION) * value("images") / (batch * gpus) * step(network, batch, gpus)


def between_epochs(network: Network) -> float:
    """What does not shrink with more GPUs: the start of an epoch, a checkpoint, and the best weights."""
    best = 4 * parameters(network.name)["total"]
    return value("epoch_start") + checkpoint(network) + best / value("write")


def checkpoint(network: Network) -> float:
    """The chief writes, all wait."""
    return network.checkpoint_bytes / value("write")


def final_test(network: Network, batch: int, gpus: int) -> float:
    """The test split, on one GPU of the chief, as a share of the whole run (ResNet-50)."""
    alone = value("test_images") * (1 / input_possible() + 1 / value("inference"))
    return alone / (EPOCHS * (epoch(network, batch, gpus) + between_epochs(network)))


def mtbf(gpus: int, kind: str = "mtbf") -> float:
    return value(kind) / gpus


def young(save: float, failures: float) -> float:
    """The interval between checkpoints, to first order (Young 1974)."""
    return math.sqrt(2 * save * failures)


def daly(save: float, failures: float) -> float:
    """The same to higher order (Daly 2006)."""
    if save >= 2 * failures:
        return failures
    x = save / (2 * failures)
    return young(save, failures) * (1 + math.sqrt(x) / 3 + x / 9) - save


def waste(interval: float, save: float, failures: float, restart: float) -> float:
    """Time lost to checkpoints and failures, as a share of useful time (Daly 2006, the complete cost function)."""
    return failures / interval * math.exp(restart / failures) * math.expm1((interval + save) / failures) - 1


def first_over(share: Callable[[int], float], limit: float = 0.1) -> int | None:
    """The least number of GPUs, of 8, 16 ... 65,536, at which a share is above the limit; None if it never is."""
    return next((gpus for gpus in (2**power for power in range(3, 17)) if share(gpus) > limit), None)
