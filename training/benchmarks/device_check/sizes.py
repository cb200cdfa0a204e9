"""What networks and images the checks use: the papers' on a GPU, narrow ones on a CPU, where only the script is tried."""

import dataclasses
from typing import Any

from keras_resnet.models.options import ModelOptions

from ..config import BenchmarkConfig

NETWORKS = ("ResNet50V1_5", "ResNet56V2")


@dataclasses.dataclass(frozen=True)
class Sizes:
    """How large everything is.

    Attributes:
        name: for the record.
        minutes: for all checks, unless the user says otherwise.
        image_sizes: sides in pixels, by network.
        width_multiplier: of the networks.
        batch_size: of the measured training.
        compared_batch: of the step that is compared between devices.
        steps: of a measurement; 0 fits them to a second.
        rounds: measurements, of which the median counts.
        epochs: of the run that is interrupted and resumed.
    """

    name: str
    minutes: float
    image_sizes: dict[str, int]
    width_multiplier: float
    batch_size: int
    compared_batch: int
    steps: int
    rounds: int
    epochs: int

    def config(self, network: str, precision: str = "float32", jit_compile: bool = False, **given: Any) -> BenchmarkConfig:
        """What to build, and what to feed it. given: other fields of the `BenchmarkConfig`."""
        return BenchmarkConfig(
            **{
                "task": "train",
                "model": network,
                "options": ModelOptions(width_multiplier=self.width_multiplier),
                "image_size": self.image_sizes[network],
                "batch_size": self.batch_size,
                "steps": self.steps,
                "rounds": self.rounds,
                "precision": precision,
                "jit_compile": jit_compile,
                **given,
            }
        )

    def compared(self, network: str, jit_compile: bool = False) -> BenchmarkConfig:
        """The same for one step in float32."""
        return self.config(network, jit_compile=jit_compile, batch_size=self.compared_batch, steps=1)


FULL = Sizes(
    name="full",
    minutes=8,
    image_sizes={"ResNet50V1_5": 224, "ResNet56V2": 32},
    width_multiplier=1.0,
    batch_size=128,
    compared_batch=8,
    steps=0,
    rounds=5,
    epochs=2,
)
SMALL = Sizes(
    name="small",
    minutes=2,
    image_sizes={"ResNet50V1_5": 64, "ResNet56V2": 32},
    width_multiplier=0.125,
    batch_size=8,
    compared_batch=16,
    steps=2,
    rounds=3,
    epochs=2,
)
