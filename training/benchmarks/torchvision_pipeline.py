"""torchvision's input pipeline as PyTorch's users run it: from JPEG files, with as many workers as there are cores."""

from keras_resnet.environment import cores
from keras_resnet.errors import UserError

try:
    import torch
    import torchvision  # pyright: ignore[reportMissingImports]
    from torchvision import datasets, transforms  # pyright: ignore[reportMissingImports]
except ImportError as error:
    raise UserError("torchvision is not installed; pip install torchvision") from error

from .candidates import WorkloadInfo
from .config import BenchmarkConfig
from .jpeg_files import seconds_after_first


class Torchvision:
    def __init__(self, config: BenchmarkConfig, folder: str) -> None:
        self.config = config
        augmented = [transforms.RandomResizedCrop(config.side), transforms.RandomHorizontalFlip(), transforms.PILToTensor()]
        self.images = datasets.ImageFolder(folder, transforms.Compose(augmented))

    def load_data(self, steps: int) -> None:
        self.steps = steps
        sampler = torch.utils.data.RandomSampler(self.images, num_samples=(steps + 1) * self.config.batch_size)
        self.batches = torch.utils.data.DataLoader(
            self.images, self.config.batch_size, sampler=sampler, num_workers=cores(), drop_last=True, persistent_workers=True
        )

    def build(self) -> None:
        """Does nothing: the workers start with the first batch, and stay."""

    def run(self) -> float:
        return seconds_after_first(self.batches)

    def info(self) -> WorkloadInfo:
        return {"macs": None, "versions": {"PyTorch": torch.__version__, "torchvision": torchvision.__version__}}
