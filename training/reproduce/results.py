"""What a run of an experiment comes to, as a small JSON file beside its folder: where it stands, the run is done."""

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

from keras_resnet.errors import UserError
from keras_resnet.files import json_text, write_text
from keras_resnet.records import from_record, read_json

from ..config import TrainConfig

DONE, DIVERGED, FAILED = "done", "diverged", "failed"


@dataclasses.dataclass(frozen=True)
class RunResult:
    """One network trained from one seed.

    Attributes:
        arm: label of the network.
        seed: of the run.
        config: a `TrainConfig` as a dictionary.
        status: `DONE`; `DIVERGED`, if the loss became NaN or infinite, which is a result; or `FAILED`, which is none.
        message: why it did not end.
        seconds: that the run took, with its start and its end; of one that was continued, at least what it trained.
        epochs: the records of `metrics.jsonl`; for a divergence those before it.
        test: loss, accuracy and number of images of the test split; None for a run that did not come to its end.
        flow: gradients and activations, for the experiments that follow them.
        machine: what it ran on, and with how many threads.
    """

    arm: str
    seed: int
    config: dict[str, Any]
    status: str
    message: str = ""
    seconds: float = 0.0
    epochs: tuple[dict[str, Any], ...] = ()
    test: dict[str, Any] | None = None
    flow: tuple[dict[str, Any], ...] = ()
    machine: str = ""

    def __post_init__(self) -> None:
        if self.status == DONE and not (self.epochs or self.flow):
            raise UserError("a run that is done has epochs, or gradients and activations")

    @property
    def finished(self) -> bool:
        """Whether it counts: a divergence does."""
        return self.status in (DONE, DIVERGED)

    def write(self, path: Path) -> None:
        write_text(path, f"{json_text(dataclasses.asdict(self))}\n")

    @classmethod
    def read(cls, path: Path, config: Mapping[str, Any]) -> Self | None:
        """The result in the file; None if there is none yet.

        Raises:
            UserError: if it is damaged, or that of a run with another configuration, `TrainConfig.RUNTIME_FIELDS` aside.
        """
        if not path.exists():
            return None
        try:
            result = from_record(read_json(path), cls)
        except UserError as error:
            raise UserError(f"{path} is damaged ({error}): remove it, and the same command makes it again") from error
        decisive = config.keys() - {*TrainConfig.RUNTIME_FIELDS}
        if any(result.config.get(key) != config[key] for key in decisive):
            raise UserError(f"{path} is of a run with another configuration: choose another --output_dir")
        return result
