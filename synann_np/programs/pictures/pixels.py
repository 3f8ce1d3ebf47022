"""Images of any number of channels as matplotlib draws them."""

from typing import Any

import numpy as np


def to_pixels(images: Any) -> np.ndarray:
    """Host array (N, H, W) uint8 to draw in grey, or (N, H, W, 3) in colour.

    Arguments: images: array or list (N, H, W) or (N, C, H, W), bytes or other numbers, which are stretched to 0..255.
        Of channels that are neither one nor three the mean is drawn.
    """
    images = np.asarray(images)
    if images.dtype != np.uint8:
        low, high = images.min(), images.max()
        images = ((images - low) * (255.0 / ((high - low) or 1))).astype("uint8")
    if images.ndim == 3:
        return images
    if images.shape[1] == 3:
        return images.transpose(0, 2, 3, 1)
    return images.mean(axis=1).astype("uint8")
