"""PyTorch as its users run it: channels_last, automatic mixed precision, eager or compiled, as many threads as it chooses."""

from typing import Any

from keras_resnet.errors import UserError

try:
    import torch
except ImportError as error:
    raise UserError("PyTorch is not installed; pip install keras-resnet-zoo[torch]") from error

from keras_resnet.benchmarks.torch_model import TorchModel, channels_last

from .candidates import WorkloadInfo
from .config import LEARNING_RATE, MOMENTUM, BenchmarkConfig
from .synthetic import DEVICE_BYTES, synthetic_data

DTYPES = {"mixed_bfloat16": torch.bfloat16, "mixed_float16": torch.float16}


class PyTorch:
    max_bytes: int | None = None  # of images at a time

    def __init__(self, config: BenchmarkConfig, graph: list[dict[str, Any]]) -> None:
        self.config, self._graph = config, graph
        self._device = "cuda" if torch.cuda.is_available() else "cpu"

    def load_data(self, steps: int) -> None:
        on_gpu = self._device == "cuda"  # where images travel as bytes, from memory that the GPU reads by itself
        data = synthetic_data(self.config, steps, 1 if on_gpu else 4, self.max_bytes)
        self.images = channels_last(data.images if on_gpu else data.images.astype("float32"))
        self.labels = torch.from_numpy(data.labels)
        if on_gpu:
            self.images, self.labels = self.images.pin_memory(), self.labels.pin_memory()
        self.epochs, self.steps = data.epochs, data.steps

    def build(self) -> None:
        network = TorchModel(self._graph)
        self.model = network.to(self._device, memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]
        torch.backends.cudnn.benchmark = torch.backends.cuda.matmul.allow_tf32 = True  # as TensorFlow has it by itself
        self._forward = torch.compile(self.model) if self.config.jit_compile else self.model
        self._scaler = torch.amp.GradScaler(self._device, enabled=self.config.precision == "mixed_float16")
        self.optimizer = torch.optim.SGD(self.model.parameters(), LEARNING_RATE, momentum=MOMENTUM)

    def run(self) -> None:
        size, loss = self.config.batch_size, torch.tensor(0.0)
        for _ in range(self.epochs):
            for batch in torch.randperm(len(self.labels) // size):
                rows = slice(batch * size, (batch + 1) * size)
                loss = self._step(*(x[rows].to(self._device, non_blocking=True) for x in (self.images, self.labels)))
        loss.item()  # waits for it

    def _step(self, images: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        self.optimizer.zero_grad()
        dtype = DTYPES.get(self.config.precision)
        with torch.autocast(self._device, dtype, enabled=dtype is not None):
            loss = torch.nn.functional.cross_entropy(self._forward(images.float()), labels)
        self._scaler.scale(loss).backward()
        self._scaler.step(self.optimizer)
        self._scaler.update()
        return loss

    def info(self) -> WorkloadInfo:
        return {"macs": None, "versions": {"PyTorch": torch.__version__}}


class ManyImages(PyTorch):
    """The same with as many images at a time as `device_check` gives to ours."""

    max_bytes = DEVICE_BYTES
