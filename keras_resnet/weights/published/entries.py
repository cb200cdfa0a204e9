"""What is published about trained weights, as a record, and where it was published."""

import dataclasses
from collections.abc import Iterator

PACKAGE = "keras_resnet"  # the source of the weights that come with this package

REFERENCES = {  # where the accuracy of a source's weights was published, and how it was measured
    "timm": "timm, results/results-imagenet.csv at commit aa4b585: ImageNet's validation set, center crop of this size",
    "torchvision": "torchvision 0.29, `_metrics` of each `Weights`: ImageNet's validation set, center crop of this size",
    "keras.applications": "keras.io/api/applications: ImageNet's validation set",
    "BiT": "github.com/google-research/big_transfer, README.md: ImageNet's validation set",
    "TF-Slim": "github.com/tensorflow/models, research/slim/README.md: ImageNet's validation set, one crop",
    "Model Garden": "github.com/tensorflow/models, official/vision/MODEL_GARDEN.md: ImageNet's validation set",
    PACKAGE: "docs/pretrained.md: the test images of its data set",
}


@dataclasses.dataclass(frozen=True, repr=False)
class PublishedWeights:
    """Facts about trained weights: a row of `list_pretrained("*")`.

    Attributes:
        name: what `weights=` and `--weights` take: a repository of the Hugging Face Hub, a name such as "imagenet", or the name
            that a file or a folder is published under.
        architecture: the network's name in its own library.
        model: the network here; "" if there is none.
        refused: why there is none; "" if there is one.
        source: whose weights they are: "timm", "torchvision" ...
        license: of the weights, by its identifier on the hub; "" where its publisher's statement was not at hand.
        input_shape: (height, width, channels) of the images that the accuracy is for, or else of those of the training.
        classes: how many; 0 without a classifier.
        top1, top5: published accuracy in percent; None where none was published.
    """

    name: str
    architecture: str
    model: str
    refused: str
    source: str
    license: str
    input_shape: tuple[int, int, int]
    classes: int
    top1: float | None = None
    top5: float | None = None

    def __repr__(self) -> str:
        size, model = "x".join(map(str, self.input_shape)), self.model or f"refused: {self.refused}"
        measured = "" if self.top1 is None else f", {self.top1:.2f}%"
        return f"<{self.name}: {model}, {size}, {self.classes} classes{measured}, {self.source}, {self.license or 'license ?'}>"

    @property
    def reference(self) -> str:
        """Where the accuracy was published, and how it was measured; "" without one."""
        return "" if self.top1 is None else REFERENCES[self.source]

    def names(self) -> Iterator[str]:
        """What a pattern is compared with: the name, what of it follows the last slash, and the network, there and here."""
        yield from (self.name, self.name.rpartition("/")[2], self.architecture)
        if self.model:
            yield self.model
