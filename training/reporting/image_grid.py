"""Many images side by side in one."""

import numpy as np


def contact_sheet(images: np.ndarray, columns: int = 8, tile: int = 64) -> np.ndarray:
    """Puts images side by side, (N, H, W, C) -> (rows * h, columns * w, C), small ones enlarged to about `tile` pixels."""
    zoom = max(1, tile // max(images.shape[1:3]))
    images = images.repeat(zoom, axis=1).repeat(zoom, axis=2)
    count, height, width, channels = images.shape
    columns = min(columns, count)
    rows = -(-count // columns)
    sheet = np.zeros((rows * columns, height, width, channels), images.dtype)
    sheet[:count] = images
    return (
        sheet.reshape(rows, columns, height, width, channels).swapaxes(1, 2).reshape(rows * height, columns * width, channels)
    )
