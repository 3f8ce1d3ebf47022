"""Bytes of images to what the network takes, a part of the batch at a time."""

from ..data import MEAN, STD


def are_pixels(x):
    """Whether x (N, H, W) are bytes of images."""
    return x.dtype == "uint8" and x.ndim == 3


def normalised(pixels, dtype):
    """(N, 1, H, W) with the numbers of data.normalise, bit by bit.

    There the batch is made the innermost axis. Here it stays the outermost: whoever copies patches out of x brings the
    pixels into another order anyway.
    """
    x = pixels.astype(dtype)
    x /= 255.0
    x -= MEAN
    x /= STD
    return x[:, None]
