"""A network of the zoo against the same one in Keras' own layers: measured in turns in one process, compared in pairs."""

import dataclasses
import gc
import platform
import statistics
import time

import keras
import numpy as np

import keras_resnet
from keras_resnet import variants
from keras_resnet.errors import UserError, choices
from keras_resnet.options import Options

COLUMNS = ("", "ours", "stock Keras", "ratio, median of pairs", "smallest", "largest")


@dataclasses.dataclass(frozen=True)
class BenchmarkConfig:
    """what: a key of `MEASURES`. batch_size: images per step. steps: per measurement. rounds: pairs of measurements."""

    what: str
    model: str
    block: str | None = None
    unit: str | None = None
    shortcut: str | None = None
    options: Options = dataclasses.field(default_factory=Options)
    batch_size: int = 128
    steps: int = 4
    rounds: int = 7

    def __post_init__(self):
        if self.what not in MEASURES:
            raise UserError(f"unknown --what {self.what!r}; it is one of {choices(MEASURES)}")


@dataclasses.dataclass(frozen=True)
class Result:
    """ours, stock: one figure a round, in `unit`. ratios: how many times faster ours was, round by round."""

    config: BenchmarkConfig
    unit: str
    ours: tuple
    stock: tuple
    ratios: tuple
    machine: str

    def rows(self):
        medians = (f"{statistics.median(figures):.4g}" for figures in (self.ours, self.stock))
        ratios = (f"{figure:.2f}x" for figure in (statistics.median(self.ratios), min(self.ratios), max(self.ratios)))
        return [(self.unit, *medians, *ratios)]

    def verdict(self):
        options = {key: getattr(self.config, key) for key in ("block", "unit", "shortcut") if getattr(self.config, key)}
        given = "".join(f", {key} {value}" for key, value in options.items())
        return f"{self.config.model}{given}: {len(self.ratios)} pairs, {self.machine}"


def benchmark(config):
    """Measures what `config` says; returns a `Result`."""
    unit, prepare, more_is_better = MEASURES[config.what]
    ours_once, stock_once = prepare(config)
    ours_once(), stock_once()  # warm up: tracing, and the first use of everything
    ours, stock = [], []
    for round_ in range(config.rounds):
        pair = ((ours, ours_once), (stock, stock_once))
        for figures, once in pair if round_ % 2 else pair[::-1]:
            gc.collect()
            figures.append(once())
    ratios = [(a / b) if more_is_better else (b / a) for a, b in zip(ours, stock, strict=True)]
    machine = f"{versions()}, {platform.machine()}"
    return Result(config, unit, tuple(ours), tuple(stock), tuple(ratios), machine)


def versions():
    import tensorflow as tf

    return f"TensorFlow {tf.__version__}, Keras {keras.__version__}"


def network(config, **options):
    """The network under measurement, as its constructor makes it."""
    names = ("block", "unit", "shortcut")
    given = {**{name: getattr(config, name) for name in names}, **dataclasses.asdict(config.options), **options}
    return getattr(keras_resnet, config.model)(**given)


def prepare_train(config):
    """Images per second under `model.fit`: forward, backward and SGD with momentum, on random images."""
    family = variants.FAMILIES[variants.find(config.model).family]
    rng = np.random.default_rng(0)
    count = config.batch_size * config.steps
    images = rng.normal(size=(count, family.image_size, family.image_size, 3)).astype("float32")
    labels = rng.integers(0, family.classes, count)
    model = network(config, classifier_activation=None)

    def measured(model):
        model.compile(keras.optimizers.SGD(0.01, momentum=0.9), keras.losses.SparseCategoricalCrossentropy(from_logits=True))

        def once():
            start = time.perf_counter()
            model.fit(images, labels, batch_size=config.batch_size, verbose=0)
            return count / (time.perf_counter() - start)

        return once

    return measured(model), measured(keras_resnet.to_stock(model))


def prepare_build(config):
    """Seconds to build the network; for stock Keras, to build the same graph of stock layers, layer by layer."""
    stock = keras_resnet.to_stock(network(config))

    def timed(build):
        start = time.perf_counter()
        build()
        return time.perf_counter() - start

    return lambda: timed(lambda: network(config)), lambda: timed(lambda: keras.models.clone_model(stock))


MEASURES = {
    "train": ("images/s under fit", prepare_train, True),
    "build": ("seconds to build", prepare_build, False),
}
