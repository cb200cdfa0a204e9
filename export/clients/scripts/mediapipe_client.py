"""MediaPipe Tasks' ImageClassifier: one color image at a time, and the answers by class names, which are put in order here."""
# pyright: reportMissingImports=false

from typing import Any

import mediapipe
import numpy as np
from mediapipe.tasks.python import vision
from mediapipe.tasks.python.core.base_options import BaseOptions
from protocol import Outputs, Run, answer


def load(artifact: dict[str, Any], size: int) -> Run:
    options = vision.ImageClassifierOptions(base_options=BaseOptions(model_asset_path=artifact["path"]))
    classifier = vision.ImageClassifier.create_from_options(options)
    order = {name: index for index, name in enumerate(artifact["labels"])}

    def run(images: np.ndarray) -> Outputs:
        (image,) = images
        found = classifier.classify(mediapipe.Image(mediapipe.ImageFormat.SRGB, np.ascontiguousarray(image)))
        scores = np.full((1, len(order)), np.nan, np.float32)
        for category in found.classifications[0].categories:
            scores[0, order[category.category_name]] = category.score
        return {"probabilities": scores}

    return run


answer({"mediapipe": mediapipe.__version__}, load)
