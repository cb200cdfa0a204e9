"""Every use of LiteRT Quantizer's internal API, in one place: an upgrade breaks this file, and `tests/test_export_internals.py`
says where.

Written for litert-quantizer 0.11.
"""

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from litert_quantizer.calibrator import Calibrator
from litert_quantizer.recipe_manager import RecipeManager
from litert_quantizer.utils.qsv_utils import min_max_update


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
