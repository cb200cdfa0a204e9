"""The process in which PyTorch exports ONNX: the same network and weights, in evaluation mode, constants folded."""

from keras_resnet.errors import UserError

try:
    import torch
except ImportError as error:
    raise UserError("PyTorch is not installed; pip install keras-resnet-zoo[torch]") from error

from keras_resnet.benchmarks.session import Session
from keras_resnet.benchmarks.torch_model import read

NAMES = ("pixels", "probabilities")


class TorchExport(Session):
    def write(self, path: str, description: str) -> None:
        """Writes (N, C, H, W), raw pixels in float32 -> (N, classes). The newer exporter would need more packages."""
        network, (height, width, channels) = read(description)
        torch.onnx.export(
            network.eval(),
            (torch.zeros(1, channels, height, width),),
            path,
            input_names=NAMES[:1],
            output_names=NAMES[1:],
            dynamic_axes={name: {0: "batch"} for name in NAMES},
            do_constant_folding=True,
            dynamo=False,
        )
