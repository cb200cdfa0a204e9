"""PyTorch as its users run it: eager, float32, channels_last, with as many threads as it chooses."""

from typing import Any

from keras_resnet.errors import UserError

try:
    import torch
except ImportError as error:
    raise UserError("PyTorch is not installed; pip install keras-resnet-zoo[torch]") from error

from keras_resnet.benchmarks.torch_model import TorchModel, channels_last

from .candidates import WorkloadInfo
from .config import LEARNING_RATE, MOMENTUM, BenchmarkConfig
from .synthetic import synthetic_data


class PyTorch:
    def __init__(self, config: BenchmarkConfig, graph: list[dict[str, Any]]) -> None:
        self.config, self._graph = config, graph
        self._device = "cuda" if torch.cuda.is_available() else "cpu"

    def load_data(self, steps: int) -> None:
        data = synthetic_data(self.config, steps)
        self.images, self.labels = channels_last(data.images.astype("float32")), torch.from_numpy(data.labels)
        self.epochs, self.steps = data.epochs, data.steps

    def build(self) -> None:
        network = TorchModel(self._graph)
        self.model = network.to(self._device, memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]
        self.optimizer = torch.optim.SGD(self.model.parameters(), LEARNING_RATE, momentum=MOMENTUM)

    def run(self) -> None:
        size, loss = self.config.batch_size, torch.tensor(0.0)
        for _ in range(self.epochs):
            for batch in torch.randperm(len(self.labels) // size):
                rows = slice(batch * size, (batch + 1) * size)
                loss = self._step(self.images[rows].to(self._device), self.labels[rows].to(self._device))
        loss.item()  # waits for it

    def _step(self, images: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        self.optimizer.zero_grad()
        loss = torch.nn.functional.cross_entropy(self.model(images), labels)
        loss.backward()
        self.optimizer.step()
        return loss

    def info(self) -> WorkloadInfo:
        return {"macs": None, "versions": {"PyTorch": torch.__version__}}
