"""PyTorch as its users run it: eager, float32, channels_last, with as many threads as it chooses."""

from keras_resnet.errors import UserError

try:
    import torch
except ImportError as error:
    raise UserError("PyTorch is not installed; pip install keras-resnet-zoo[torch]") from error

from keras_resnet.benchmarks.torch_model import TorchModel, channels_last

from .config import LEARNING_RATE, MOMENTUM
from .synthetic import synthetic


class PyTorch:
    def __init__(self, config, graph):
        self.config, self._graph = config, graph
        self._device = "cuda" if torch.cuda.is_available() else "cpu"

    def load(self, steps):
        images, labels, self.epochs = synthetic(self.config, steps)
        self.images, self.labels = channels_last(images.astype("float32")), torch.from_numpy(labels)
        self.steps = self.epochs * len(labels) // self.config.batch_size

    def build(self):
        self.model = TorchModel(self._graph).to(self._device, memory_format=torch.channels_last)
        self.optimizer = torch.optim.SGD(self.model.parameters(), LEARNING_RATE, momentum=MOMENTUM)

    def run(self):
        size = self.config.batch_size
        for _ in range(self.epochs):
            order = torch.randperm(len(self.labels) // size)
            for batch in order:
                rows = slice(batch * size, (batch + 1) * size)
                loss = self._step(self.images[rows].to(self._device), self.labels[rows].to(self._device))
        loss.item()  # waits for it

    def _step(self, images, labels):
        self.optimizer.zero_grad()
        loss = torch.nn.functional.cross_entropy(self.model(images), labels)
        loss.backward()
        self.optimizer.step()
        return loss

    def facts(self):
        return {"macs": None, "versions": {"PyTorch": torch.__version__}}
