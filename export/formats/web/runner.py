"""The page on images: in a browser, by the function that the page itself calls, or, without a browser, its model in LiteRT."""

import base64
import io
from pathlib import Path

import numpy as np

from keras_resnet.errors import UserError

from ..tflite.runner import LiteRTRunner
from .application import png_bytes
from .browser import VARIABLE, find_browser
from .chromium import BrowserUnavailableError, Page
from .reading import Application

CHECKED_SIZES = ((37, 53), (5, 3), (300, 90))  # of the images that the page is to prepare as evaluation does

CLASSIFY = """
async (base64, count) => {
  const classifier = await globalThis.classifier;
  const pixels = Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));
  const size = pixels.length / count;
  const outputs = {};
  const begin = performance.now();
  for (let start = 0; start < pixels.length; start += size) {
    for (const [name, values] of Object.entries(await classifier.run(pixels.subarray(start, start + size)))) {
      (outputs[name] ??= []).push(Array.from(values));
    }
  }
  return { outputs, seconds: (performance.now() - begin) / 1000 };
}
"""
PREPARE = """
async (base64) => {
  const classifier = await globalThis.classifier;
  const bytes = Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));
  return Array.from(await classifier.prepare(new Blob([bytes], { type: "image/png" })));
}
"""


class WebRunner:
    """A page.

    Attributes:
        outputs: The names of its outputs.
        note: What it was run in, for reports.
        seconds: How long the last images took, by the browser's clock; missing where there is no browser.

    Raises:
        UserError: The page does not load, or prepares images otherwise than evaluation does.
    """

    def __init__(self, folder: Path) -> None:
        self._application, self._page = Application(folder), None
        self.outputs = list(self._application.outputs)
        program = find_browser()
        if program is None:
            self._run_model_alone(f"no browser was found ({VARIABLE} names one)")
        elif not self._application.has_runtime:
            self._run_model_alone("it has no runtime yet (--web_runtime copies it)")
        else:
            self._open_page(program)

    def _open_page(self, program: Path) -> None:
        page = Page(program, self._application)
        try:
            self._page = page.__enter__()
        except BrowserUnavailableError as error:
            self._run_model_alone(str(error))
            return
        self.note = f"The page was run in {page.version.replace('/', ' ')}."
        try:
            self._check_preparation(page)
        except BaseException:
            self.close()
            raise

    def run(self, images: np.ndarray) -> dict[str, np.ndarray]:
        """Computes uint8 (N, H, W, C) -> {output: float32 (N, ...)}."""
        return self._litert.run(images) if self._page is None else self._run_in_page(self._page, images)

    def _run_in_page(self, page: Page, images: np.ndarray) -> dict[str, np.ndarray]:
        pixels = base64.b64encode(np.ascontiguousarray(images).data).decode()
        answer = page.evaluate(CLASSIFY, pixels, len(images))
        self.seconds = answer["seconds"]
        return {
            name: np.asarray(answer["outputs"][name], np.float32).reshape(len(images), *described["shape"])
            for name, described in self._application.outputs.items()
        }

    def close(self) -> None:
        """Ends the browser, which otherwise ends with this process."""
        if self._page is not None:
            self._page.__exit__()

    def _run_model_alone(self, reason: str) -> None:
        self._litert = LiteRTRunner(model_content=self._application.model)
        self.note = f"The page was not run in a browser: {reason}. Its model was run in LiteRT."

    def _check_preparation(self, page: Page) -> None:
        """Raises a `UserError` unless the page makes of PNG files the pixels that evaluation does."""
        preprocessing, generator = self._application.metadata.preprocessing, np.random.default_rng(0)
        for height, width in CHECKED_SIZES:
            content = png_bytes(generator.integers(0, 256, (height, width, 3)).astype(np.uint8))
            found = np.asarray(page.evaluate(PREPARE, base64.b64encode(content).decode()))
            difference = np.abs(found - preprocessing.load_image(io.BytesIO(content)).ravel().astype(int)).max()
            if difference:
                raise UserError(f"the page prepares a {width}x{height} image otherwise than evaluation, by {difference} of 255")
