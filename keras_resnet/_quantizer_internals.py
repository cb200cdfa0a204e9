"""Every use of LiteRT Quantizer's internal API, in one place: an upgrade breaks this file, and `tests/test_export_internals.py`
says where.

Written for litert-quantizer 0.11.
"""

import contextlib
import dataclasses
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np
from litert_quantizer.algorithms.uniform_quantize import uniform_quantize_tensor
from litert_quantizer.calibrator import Calibrator
from litert_quantizer.recipe_manager import RecipeManager
from litert_quantizer.utils.qsv_utils import min_max_update

LARGE = 32 * 1024 * 1024  # bytes of a tensor, above which LiteRT Quantizer goes on in parts


@contextlib.contextmanager
def large_kernels_in_parts() -> Iterator[None]:
    """Inside, kernels of convolutions are quantized whatever their size.

    Wrong there: the parts of more than 32 MiB have two dimensions, and the scales of the kernel four. Seen with WideResNet50_2.
    """
    original = uniform_quantize_tensor.uniform_quantize

    def in_parts(values: np.ndarray, parameters: Any, *rest: Any, **options: Any) -> np.ndarray:
        if values.nbytes <= LARGE or values.ndim < 3:
            return original(values, parameters, *rest, **options)
        axis = parameters.quantized_dimension or 0

        def of_rows(rows: np.ndarray) -> np.ndarray:
            def part(given: np.ndarray) -> np.ndarray:
                return given if given.size == 1 else np.take(given, rows, axis if given.ndim > 1 else 0)

            own = {"scale": part(parameters.scale), "zero_point": part(parameters.zero_point)}
            return original(np.take(values, rows, axis), dataclasses.replace(parameters, **own), *rest, **options)

        count = min(values.nbytes // LARGE + 2, values.shape[axis])  # so that none is above it
        return np.concatenate([*map(of_rows, np.array_split(np.arange(values.shape[axis]), count))], axis)

    uniform_quantize_tensor.uniform_quantize = in_parts
    try:
        yield
    finally:
        uniform_quantize_tensor.uniform_quantize = original


def calibrate_min_max(
    content: bytes, recipe: list[dict[str, Any]], batches: Mapping[str, Iterable[Mapping[str, np.ndarray]]], num_threads: int
) -> dict[str, dict[str, np.ndarray]]:
    """Measures the least and the largest value of each tensor, over all batches of all signatures.

    Missing: `Quantizer.calibrate` has no choice of the statistics; it takes a moving average over the batches, which cuts off
    what few images reach.

    Args:
        content: The bytes of a float `.tflite` file.
        recipe: Which tensors to measure, as `Quantizer.get_quantization_recipe` has it.
        batches: The inputs by name, of each batch, of each signature.
        num_threads: Of the interpreter.

    Returns:
        `{tensor: {"min": array, "max": array}}`, as `Quantizer.quantize` takes it.
    """
    manager = RecipeManager()
    manager.load_quantization_recipe(recipe)
    calibrator = Calibrator(content, num_threads, qsv_update_func=min_max_update)
    calibrator.calibrate(batches, manager)  # pyright: ignore[reportArgumentType]
    return calibrator.get_model_qsvs()  # pyright: ignore[reportReturnType]
