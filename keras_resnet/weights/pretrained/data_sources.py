"""What the trained weights were trained on: where the images are from, and under which license."""

import dataclasses


@dataclasses.dataclass(frozen=True)
class DataSource:
    """A data set, as the model cards describe it.

    Attributes:
        about: what the images are, in sentences.
        reference: who made them, and where they are.
        license: of the images.
        caution: what to know before the accuracy is compared, or the network is used; "" for nothing.
    """

    about: str
    reference: str
    license: str
    caution: str = ""

    def __str__(self) -> str:
        return f"{self.about} Source: {self.reference}. License of the data: {self.license}."


DATA_SOURCES = {  # by the name of the weights
    "digits": DataSource(
        about="1,797 handwritten digits by 13 people, 8x8 gray pixels. They come with this package.",
        reference=(
            "E. Alpaydin and C. Kaynak, *Optical Recognition of Handwritten Digits*, UCI Machine Learning Repository, 1998, "
            "[doi:10.24432/C50P49](https://doi.org/10.24432/C50P49), test part"
        ),
        license="[CC BY 4.0](https://creativecommons.org/licenses/by/4.0/)",
        caution=(
            "The test split holds other digits by the same 13 people. How well the network reads the handwriting of others was "
            "not measured."
        ),
    ),
    "fashion_mnist": DataSource(
        about="70,000 pictures of clothes from a shop's catalog, 28x28 gray pixels, bright on black.",
        reference=(
            "H. Xiao, K. Rasul and R. Vollgraf, *Fashion-MNIST*, 2017, [arXiv:1708.07747](https://arxiv.org/abs/1708.07747); "
            "[github.com/zalandoresearch/fashion-mnist](https://github.com/zalandoresearch/fashion-mnist)"
        ),
        license="[MIT](https://github.com/zalandoresearch/fashion-mnist/blob/master/LICENSE), Zalando SE",
        caution=(
            "The images were cut out, turned to gray and inverted. How well the network does on photographs as a camera takes "
            "them was not measured."
        ),
    ),
    "cifar10_jpeg": DataSource(
        about=(
            "The 60,000 images of CIFAR-10, 32x32 RGB, each stored again as a JPEG file in a folder of its class "
            "(`train/<class>/NNNN.jpg`, `test/<class>/NNNN.jpg`)."
        ),
        reference=(
            "A. Krizhevsky, *Learning Multiple Layers of Features from Tiny Images*, 2009; "
            "[cs.toronto.edu/~kriz/cifar.html](https://www.cs.toronto.edu/~kriz/cifar.html)"
        ),
        license="none is stated by its authors, who ask to cite the report",
        caution=(
            "The compression took detail away from the images that the network was trained and tested on: its accuracy is not "
            "one on CIFAR-10, and compares only with others on these files. On the original images it was not measured."
        ),
    ),
}
