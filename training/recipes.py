"""The recipe table: how a network is trained, each row with its reference."""

import dataclasses
import math
from typing import Any, NamedTuple

from keras_resnet.errors import MAX_COUNT, UserError, check_at_most, check_count, comma_join
from keras_resnet.models.naming import PARTS


class JpegDecoding(NamedTuple):
    """accurate_dct: Whether JPEGs are decoded exactly. antialias: Whether pixels are averaged where a crop shrinks."""

    accurate_dct: bool
    antialias: bool


JPEG_DECODINGS = {
    "exact": JpegDecoding(accurate_dct=True, antialias=True),
    "no_antialias": JpegDecoding(accurate_dct=True, antialias=False),
    "fast_dct": JpegDecoding(accurate_dct=False, antialias=True),
    "fast": JpegDecoding(accurate_dct=False, antialias=False),  # TensorFlow's own defaults
}
CHOICES = {
    "jpeg_decoding": tuple(JPEG_DECODINGS),
    "optimizer": ("sgd", "adamw", "muon"),
    "schedule": ("cosine", "step"),
    "weight_decay_mode": ("decoupled", "coupled"),
    "norm_layers": ("with_parts", "frozen", "trained"),
    "class_weights": ("none", "balanced"),
}
MAX_VALUES = 100  # of a list


@dataclasses.dataclass(frozen=True)
class Recipe:
    """How a network is trained. Every field but `reference` is also a flag of `keras-resnet train`.

    Attributes:
        reference: where the recipe is from.
        batch_size: images per step, over all replicas and workers.
        epochs: passes over the training split.
        learning_rate: the peak of the schedule.
        schedule: "cosine" to zero after a linear warm-up, or "step": a tenth after each of `milestones`, after a warm-up at
            a tenth (He et al. 2015, section 4.2).
        weight_decay: factor on the weights; applied to every weight.
        weight_decay_mode: "decoupled", `w -= lr * decay * w` outside the momentum (Keras; Loshchilov & Hutter 2019), or
            "coupled", `decay * w` added to the gradient before the momentum (the papers' and PyTorch's SGD). At momentum 0.9
            the same number decays about ten times as much in the second.
        gradient_accumulation_steps: pieces that each replica divides its share of a batch into, to save memory.
        optimizer: "sgd" or "muon", with `momentum` and `nesterov`, or "adamw", where `momentum` is its first beta.
        warmup: share of the whole run.
        milestones: shares of the whole run after which the "step" schedule divides the rate by ten.
        momentum: of the optimizer.
        nesterov: whether the momentum is Nesterov's.
        global_clipnorm: largest norm of the whole gradient, summed over the replicas; 0 for no limit.
        ema_momentum: of the moving average of all weights, which is then evaluated and kept; 0 for none.
        label_smoothing: share of a label that is spread over all classes.
        class_weights: "none", or "balanced", which weights each class by the inverse of its frequency.
        crop_padding: pixels to pad an image by before cropping it back at a random place.
        flip: whether to mirror images at random.
        cutout: side in pixels of the square that is covered.
        min_crop_area: smallest share of an image that a random resized crop takes; 0 for no such crops.
        jpeg_decoding: how random resized crops are decoded and resized: "exact"; "no_antialias", by plain bilinear
            interpolation; "fast_dct", with a decoder that is off by some grey levels; or "fast", both.
        mixup, cutmix: alpha of the Beta distribution of the shares in which two images of one replica's batch are mixed; 0
            for none.
        freeze: parts of the network that keep their weights, of `PARTS`.
        norm_layers: "with_parts" freezes the normalizations of frozen parts, moving statistics included; "frozen" those of
            the whole network; "trained" none.
        layer_decay: the learning rate of each part of the network, as a share of that of the part after it; 1 for the same.
    """

    reference: str
    batch_size: int
    epochs: int
    learning_rate: float
    schedule: str
    weight_decay: float
    weight_decay_mode: str
    gradient_accumulation_steps: int = 1
    optimizer: str = "sgd"
    warmup: float = 0.0
    milestones: tuple[float, ...] = ()
    momentum: float = 0.9
    nesterov: bool = False
    global_clipnorm: float = 0.0
    ema_momentum: float = 0.0
    label_smoothing: float = 0.0
    class_weights: str = "none"
    crop_padding: int = 0
    flip: bool = False
    cutout: int = 0
    min_crop_area: float = 0.0
    mixup: float = 0.0
    cutmix: float = 0.0
    freeze: tuple[str, ...] = ()
    norm_layers: str = "with_parts"
    layer_decay: float = 1.0
    jpeg_decoding: str = "exact"

    def __post_init__(self) -> None:
        for field, valid in CHOICES.items():
            if getattr(self, field) not in valid:
                raise UserError(f"unknown {field} {getattr(self, field)!r}; it must be one of {comma_join(valid)}")
        for field in ("batch_size", "epochs", "gradient_accumulation_steps"):
            if getattr(self, field) < 1:
                raise UserError(f"{field} is {getattr(self, field)}; it must be at least 1")
            check_at_most(field, getattr(self, field), MAX_COUNT)
        for field in ("milestones", "freeze"):
            check_count(field, getattr(self, field), MAX_VALUES)
        for field in ("learning_rate", "weight_decay", "global_clipnorm", "crop_padding", "cutout", "mixup", "cutmix"):
            if not 0 <= getattr(self, field) < math.inf:
                raise UserError(f"{field} is {getattr(self, field)}; it must be finite and at least 0")
        for field in ("warmup", "momentum", "ema_momentum", "label_smoothing", "min_crop_area"):
            if not 0 <= getattr(self, field) < 1:
                raise UserError(f"{field} is {getattr(self, field)}; it must be at least 0 and below 1")
        if not 0 < self.layer_decay <= 1:
            raise UserError(f"layer_decay is {self.layer_decay}; it must be above 0 and at most 1")
        if self.weight_decay_mode == "coupled" and self.optimizer != "sgd":
            raise UserError("coupled weight decay is for the optimizer sgd only")
        unknown = [part for part in self.freeze if part not in PARTS]
        if unknown:
            raise UserError(f"freeze names {comma_join(unknown)}; the parts of a network are {comma_join(PARTS)}")
        if set(self.milestones) - {share for share in self.milestones if 0 <= share < 1}:
            raise UserError(f"milestones are {comma_join(self.milestones)}; each must be at least 0 and below 1")
        if self.schedule == "step" and list(self.milestones) != sorted(s for s in {*self.milestones} if s > self.warmup):
            raise UserError(
                f"milestones are {comma_join(self.milestones)}; they must increase and come after the warmup of {self.warmup}"
            )


# fmt: off
RECIPES = {
    "digits": Recipe(
        reference="this package: test accuracy 98.6 to 99.7 % with ResNet20V2, seeds 0 to 2, 16 s of training on two CPU cores",
        batch_size=64, epochs=30, learning_rate=0.1, schedule="cosine", warmup=0.1, nesterov=True,
        weight_decay=5e-3, weight_decay_mode="decoupled",
    ),
    "he2015_cifar": Recipe(  # 64k steps of 128 on 45k images are 182 epochs, with drops at 32k and 48k.
        reference="He et al. 2015, arXiv:1512.03385, section 4.2, except that the mean is per channel here",
        batch_size=128, epochs=182, learning_rate=0.1, schedule="step", milestones=(0.5, 0.75),
        weight_decay=1e-4, weight_decay_mode="coupled", crop_padding=4, flip=True,
    ),
    "he2016_cifar": Recipe(  # ... and 400 of the steps at 0.01 before them.
        reference="He et al. 2016, arXiv:1603.05027, appendix, except that the mean is per channel here",
        batch_size=128, epochs=182, learning_rate=0.1, schedule="step", warmup=0.00625, milestones=(0.5, 0.75),
        weight_decay=1e-4, weight_decay_mode="coupled", crop_padding=4, flip=True,
    ),
    "he2016_imagenet": Recipe(
        reference="He et al. 2016, arXiv:1603.05027, section 5: crops of the scale and aspect ratio augmentation, 256 images, "
                  "90 epochs with drops after 30 and 60 as in fb.resnet.torch; without its color augmentation",
        batch_size=256, epochs=90, learning_rate=0.1, schedule="step", milestones=(1 / 3, 2 / 3),
        weight_decay=1e-4, weight_decay_mode="coupled", min_crop_area=0.08, flip=True,
    ),
    "short": Recipe(
        reference="this package, for images of CIFAR's size; after Jordan et al. 2024 (Muon), Loshchilov & Hutter 2017 "
                  "(cosine) and, in its augmentation, Jordan 2024, arXiv:2404.00498",
        batch_size=64, epochs=20, optimizer="muon", learning_rate=0.003, schedule="cosine", warmup=0.05, nesterov=True,
        weight_decay=0.03, weight_decay_mode="decoupled", crop_padding=2, flip=True,
    ),
    "finetune": Recipe(
        reference="this package; after Kolesnikov et al. 2020, arXiv:1912.11370 (BiT): SGD at a low rate, no weight decay",
        batch_size=32, epochs=10, learning_rate=0.01, schedule="cosine", warmup=0.1, nesterov=True,
        weight_decay=0.0, weight_decay_mode="decoupled", min_crop_area=0.35, flip=True, layer_decay=0.7,
    ),
}
# fmt: on


def get_recipe(name: str, **overrides: Any) -> Recipe:
    """Returns a row of the table with some of its fields replaced; None leaves a field as it is."""
    if name not in RECIPES:
        raise UserError(f"unknown recipe {name!r}; the recipes are {comma_join(RECIPES)}")
    fields = [field.name for field in dataclasses.fields(Recipe)]
    if unknown := [key for key in overrides if key not in fields]:
        raise UserError(f"a recipe has no {comma_join(unknown)}; its fields are {comma_join(fields)}")
    given = {key: value for key, value in overrides.items() if value is not None}
    return dataclasses.replace(RECIPES[name], **given)
