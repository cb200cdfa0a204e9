"""The recipe table: how a network is trained, each row with its source."""

import dataclasses
import math

from keras_resnet.errors import UserError, choices

CHOICES = {
    "optimizer": ("sgd", "adamw", "muon"),
    "schedule": ("cosine", "step"),
    "weight_decay_mode": ("decoupled", "coupled"),
    "norms": ("as_stage", "frozen", "trained"),
    "class_weights": ("none", "balanced"),
}
PARTS = ("stem", "stage1", "stage2", "stage3", "stage4", "head")  # of a network, as `freeze` names them


@dataclasses.dataclass(frozen=True)
class Recipe:
    """How a network is trained. Every field is also a flag of `keras-resnet train`.

    batch_size: images per step, over all replicas and workers. epochs: passes over the training part.
    accumulate: pieces in which each replica goes through its part of the batch; for batches that do not fit in memory.
    optimizer: "sgd" or "muon", with `momentum` and `nesterov`, or "adamw", where `momentum` is its first beta.
    learning_rate: its peak. schedule: "cosine" to zero behind a linear warm-up, or "step": a tenth after each of `drops`,
        which are shares of the whole run, behind a warm-up at a tenth (He et al. 2015, section 4.2).
    warmup: share of the whole run.
    weight_decay_mode: "decoupled", `w -= lr * decay * w` beside the momentum (Keras; Loshchilov & Hutter 2019); "coupled",
        `decay * w` added to the gradient before the momentum (the papers' and Torch's SGD). Both on every weight. At
        momentum 0.9 the same number decays about ten times as much in the second.
    clip_norm: largest norm of the whole gradient, summed over the replicas; 0: any.
    ema: decay of the moving average of all weights that is then evaluated and kept; 0: none.
    label_smoothing: share of a label that is spread over all classes. class_weights: "balanced" weighs each class by the
        inverse of its frequency.
    pad, flip, cutout: augmentation by padding so many pixels and cropping back at random, by mirroring, by covering a
        square of so many pixels. resized_crop: least share of a picture that a random resized crop takes; 0: none.
    mixup, cutmix: alpha of the Beta distribution of the shares in which two images of one replica's batch are mixed; 0: none.
    freeze: the parts that stay as they are, of `PARTS`. norms: "as_stage" leaves the normalisations of frozen parts as they
        are, statistics too; "frozen" those of the whole network; "trained" none.
    part_rate: each part of the network learns at this share of the rate of the part behind it; 1: all alike.
    """

    source: str
    batch_size: int
    epochs: int
    learning_rate: float
    schedule: str
    weight_decay: float
    weight_decay_mode: str
    accumulate: int = 1
    optimizer: str = "sgd"
    warmup: float = 0.0
    drops: tuple = ()
    momentum: float = 0.9
    nesterov: bool = False
    clip_norm: float = 0.0
    ema: float = 0.0
    label_smoothing: float = 0.0
    class_weights: str = "none"
    pad: int = 0
    flip: bool = False
    cutout: int = 0
    resized_crop: float = 0.0
    mixup: float = 0.0
    cutmix: float = 0.0
    freeze: tuple = ()
    norms: str = "as_stage"
    part_rate: float = 1.0

    def __post_init__(self):
        for field, valid in CHOICES.items():
            if getattr(self, field) not in valid:
                raise UserError(f"unknown {field} {getattr(self, field)!r}; it is one of {choices(valid)}")
        for field in ("batch_size", "epochs", "accumulate"):
            if getattr(self, field) < 1:
                raise UserError(f"{field} is {getattr(self, field)}; it is at least 1")
        for field in ("learning_rate", "weight_decay", "clip_norm", "pad", "cutout", "mixup", "cutmix"):
            if not 0 <= getattr(self, field) < math.inf:
                raise UserError(f"{field} is {getattr(self, field)}; it is a number from 0 up")
        for field in ("warmup", "momentum", "ema", "label_smoothing", "resized_crop"):
            if not 0 <= getattr(self, field) < 1:
                raise UserError(f"{field} is {getattr(self, field)}; it is a share, at least 0 and below 1")
        if not 0 < self.part_rate <= 1:
            raise UserError(f"part_rate is {self.part_rate}; it is above 0 and at most 1")
        if self.weight_decay_mode == "coupled" and self.optimizer != "sgd":
            raise UserError("coupled weight decay goes with the optimizer sgd only")
        unknown = [part for part in self.freeze if part not in PARTS]
        if unknown:
            raise UserError(f"freeze names {choices(unknown)}; the parts of a network are {choices(PARTS)}")
        if set(self.drops) - {share for share in self.drops if 0 <= share < 1}:
            raise UserError(f"drops are {choices(self.drops)}; each is a share, at least 0 and below 1")
        if self.schedule == "step" and list(self.drops) != sorted(s for s in {*self.drops} if s > self.warmup):
            raise UserError(f"drops are {choices(self.drops)}; they go up and begin behind the warmup of {self.warmup}")


# fmt: off
RECIPES = {
    "digits": Recipe(
        source="ours: test accuracy 98.6 to 99.7 % with ResNet20V2, seeds 0 to 2, 16 s of training on two CPU cores",
        batch_size=64, epochs=30, learning_rate=0.1, schedule="cosine", warmup=0.1, nesterov=True,
        weight_decay=5e-3, weight_decay_mode="decoupled",
    ),
    "he2015_cifar": Recipe(  # 64k steps of 128 on 45k images are 182 epochs, with drops at 32k and 48k.
        source="He et al. 2015, arXiv:1512.03385, section 4.2, but for the mean, which is per channel here",
        batch_size=128, epochs=182, learning_rate=0.1, schedule="step", drops=(0.5, 0.75),
        weight_decay=1e-4, weight_decay_mode="coupled", pad=4, flip=True,
    ),
    "he2016_cifar": Recipe(  # ... and 400 of the steps at 0.01 before them.
        source="He et al. 2016, arXiv:1603.05027, appendix, but for the mean, which is per channel here",
        batch_size=128, epochs=182, learning_rate=0.1, schedule="step", warmup=0.00625, drops=(0.5, 0.75),
        weight_decay=1e-4, weight_decay_mode="coupled", pad=4, flip=True,
    ),
    "he_imagenet": Recipe(
        source="He et al. 2016, arXiv:1603.05027, section 5: crops of the scale and aspect ratio augmentation, 256 images, "
               "90 epochs with drops after 30 and 60 as in fb.resnet.torch; its changes of colour are left out",
        batch_size=256, epochs=90, learning_rate=0.1, schedule="step", drops=(1 / 3, 2 / 3),
        weight_decay=1e-4, weight_decay_mode="coupled", resized_crop=0.08, flip=True,
    ),
    "short": Recipe(
        source="ours, for images of CIFAR's size; after Jordan et al. 2024 (Muon), Loshchilov & Hutter 2017 (cosine) and, in "
               "its augmentation, Jordan 2024, arXiv:2404.00498",
        batch_size=64, epochs=20, optimizer="muon", learning_rate=0.003, schedule="cosine", warmup=0.05, nesterov=True,
        weight_decay=0.03, weight_decay_mode="decoupled", pad=2, flip=True,
    ),
    "finetune": Recipe(
        source="ours; after Kolesnikov et al. 2020, arXiv:1912.11370 (BiT): SGD at a low rate, no weight decay",
        batch_size=32, epochs=10, learning_rate=0.01, schedule="cosine", warmup=0.1, nesterov=True,
        weight_decay=0.0, weight_decay_mode="decoupled", resized_crop=0.35, flip=True, part_rate=0.7,
    ),
}
# fmt: on


def find(name, **overrides):
    """A row of the table with some of its fields replaced; None leaves a field as it is."""
    if name not in RECIPES:
        raise UserError(f"unknown recipe {name!r}; the recipes are {choices(RECIPES)}")
    given = {key: value for key, value in overrides.items() if value is not None}
    return dataclasses.replace(RECIPES[name], **given)
