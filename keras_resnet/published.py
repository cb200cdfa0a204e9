"""Published results: error rates in percent, each with the table that it is from."""

import dataclasses


@dataclasses.dataclass(frozen=True)
class Published:
    """A published result.

    Attributes:
        dataset: that the error was measured on.
        top1, top5: errors in percent; top5 is None if the reference has none.
        reference: where it was published, and how it was measured.
    """

    dataset: str
    top1: float
    top5: float | None
    reference: str

    def __str__(self) -> str:
        errors = f"{self.top1:.2f}" if self.top5 is None else f"{self.top1:.2f}/{self.top5:.2f}"
        return f"{errors} {self.dataset} ({self.reference})"


def cifar(top1: float, reference: str, dataset: str = "CIFAR-10") -> Published:
    """A result on CIFAR, for which the papers have top-1 errors only."""
    return Published(dataset, top1, None, reference)


def imagenet(top1: float, top5: float | None, reference: str) -> Published:
    """A result on ImageNet's validation set."""
    return Published("ImageNet", top1, top5, reference)


R15, R16, WRN = "He et al. 2015", "He et al. 2016", "Zagoruyko 2016, Table 5"
KERAS = "keras.applications, center crop"
TORCHVISION = "torchvision V1, center crop 224"
TIMM = "timm a1h, center crop 288"

# fmt: off
PUBLISHED: dict[str, tuple[Published, ...]] = {
    "ResNet20V1":      (cifar(8.75, f"{R15}, Table 6"),),
    "ResNet32V1":      (cifar(7.51, f"{R15}, Table 6"),),
    "ResNet44V1":      (cifar(7.17, f"{R15}, Table 6"),),
    "ResNet56V1":      (cifar(6.97, f"{R15}, Table 6"),),
    "ResNet110V1":     (cifar(6.43, f"{R15}, Table 6, best of five"),),
    "ResNet1202V1":    (cifar(7.93, f"{R15}, Table 6"),),
    "ResNet164V1":     (cifar(5.93, f"{R16}, Table 3"), cifar(25.16, f"{R16}, Table 3", "CIFAR-100")),
    "ResNet1001V1":    (cifar(7.61, f"{R16}, Table 3"), cifar(27.82, f"{R16}, Table 3", "CIFAR-100")),
    "ResNet110V2":     (cifar(6.37, f"{R16}, Table 3"),),
    "ResNet164V2":     (cifar(5.46, f"{R16}, Table 3"), cifar(24.33, f"{R16}, Table 3", "CIFAR-100")),
    "ResNet1001V2":    (cifar(4.92, f"{R16}, Table 3"), cifar(22.71, f"{R16}, Table 3", "CIFAR-100")),
    "WideResNet16_8":  (cifar(4.27, WRN), cifar(20.43, WRN, "CIFAR-100")),
    "WideResNet28_10": (cifar(4.00, WRN), cifar(19.25, WRN, "CIFAR-100")),
    "WideResNet40_4":  (cifar(4.53, WRN), cifar(21.18, WRN, "CIFAR-100")),
    "PlainNet18":      (imagenet(27.94, None, f"{R15}, Table 2, 10-crop"),),
    "PlainNet34":      (imagenet(28.54, 10.02, f"{R15}, Table 3, 10-crop"),),
    "ResNet18V1":      (imagenet(27.88, None, f"{R15}, Table 2, 10-crop"), imagenet(30.24, 10.92, TORCHVISION),),
    "ResNet34V1":      (imagenet(24.52, 7.46, f"{R15}, Table 3, 10-crop"), imagenet(26.69, 8.58, TORCHVISION)),
    "ResNet50V1":      (imagenet(22.85, 6.71, f"{R15}, Table 3, 10-crop"), imagenet(25.07, 7.94, f"{KERAS} 224")),
    "ResNet101V1":     (imagenet(21.75, 6.05, f"{R15}, Table 3, 10-crop"), imagenet(23.58, 7.21, f"{KERAS} 224")),
    "ResNet152V1":     (imagenet(21.43, 5.71, f"{R15}, Table 3, 10-crop"), imagenet(23.40, 6.88, f"{KERAS} 224"),
                        imagenet(23.0, 6.7, f"{R16}, Table 5, center crop 224")),
    "ResNet200V1":     (imagenet(21.8, 6.0, f"{R16}, Table 5, center crop 320"),),
    "ResNet50V1_5":    (imagenet(23.87, 7.14, TORCHVISION),),
    "ResNet101V1_5":   (imagenet(22.63, 6.45, TORCHVISION),),
    "ResNet152V1_5":   (imagenet(21.69, 5.95, TORCHVISION),),
    "ResNet152V2":     (imagenet(21.1, 5.5, f"{R16}, Table 5, center crop 320"),),
    "ResNet200V2":     (imagenet(20.7, 5.3, f"{R16}, Table 5, center crop 320"),),
    "ResNet50V2Slim":  (imagenet(24.04, 6.97, f"{KERAS} 299"),),
    "ResNet101V2Slim": (imagenet(22.77, 6.18, f"{KERAS} 299"),),
    "ResNet152V2Slim": (imagenet(21.97, 5.84, f"{KERAS} 299"),),
    "ResNet50V2Timm":  (imagenet(19.6, None, TIMM),),
}
# fmt: on
