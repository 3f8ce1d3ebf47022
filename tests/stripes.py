"""Images that a network learns in a few steps."""

import numpy as np


def stripes(n, seed):
    """Images (n, 28, 28) and labels (n,), uint8: ten classes, each a stripe at a height of its own.

    In noise, so that pooling windows have one largest pixel.
    """
    rng = np.random.default_rng(seed)
    images, labels = rng.integers(0, 100, (n, 28, 28), dtype="uint8"), rng.integers(0, 10, n, dtype="uint8")
    for image, label in zip(images, labels, strict=True):
        image[2 * label + 3 : 2 * label + 6] += 150
    return images, labels
