"""The geometry of deformed pictures: where their pixels come from, and the values there."""

import math

import numpy as np

from ..backend import array_module

SPACING = 1.4  # of the nodes, in units of smoothness: leaves correlations along an axis within 0.02 of a Gaussian


def inverse_affine(
    shift: np.ndarray, angle: np.ndarray, scale: np.ndarray, shear: np.ndarray, shape: tuple[int, ...]
) -> np.ndarray:
    """Where the pixels of moved pictures come from: c + S⁻¹ K⁻¹ R⁻¹ (q − t) as coefficients of 1, x, y.

    Arguments: shift (2, N), scale (2, N): along x and along y; angle (N,): radians; shear (N,). shape: (H, W).

    Returns: (2, N, 3), of the source's x and of its y, in pixels from the middle of the first pixel.
    """
    xp = array_module(shift)
    cos, sin = xp.cos(angle), xp.sin(angle)
    x_by_x, x_by_y = (cos - shear * sin) / scale[0], (-sin - shear * cos) / scale[0]
    y_by_x, y_by_y = sin / scale[1], cos / scale[1]
    H, W = shape
    x_at_centre = (W - 1) / 2 - x_by_x * shift[0] - x_by_y * shift[1]
    y_at_centre = (H - 1) / 2 - y_by_x * shift[0] - y_by_y * shift[1]
    rows = [xp.stack([x_at_centre, x_by_x, x_by_y], axis=1), xp.stack([y_at_centre, y_by_x, y_by_y], axis=1)]
    return xp.stack(rows)


def smooth_basis(length: int, smoothness: float) -> np.ndarray:
    """Gaussians along one axis, on nodes 1.4 σ apart that reach over both ends: host array (nodes, length), float64.

    The squares sum to 1 at every pixel: coefficients of variance 1 give a field of variance 1.
    """
    spacing = SPACING * smoothness
    nodes = math.ceil((length - 1) / spacing) + 2
    pixel = np.arange(length) - (length - 1) / 2
    node = spacing * (np.arange(nodes) - (nodes - 1) / 2)
    exponent = ((pixel - node[:, None]) / smoothness) ** 2 / 2
    basis = np.exp(-np.minimum(exponent, 20))  # 2e-9: nothing underflows, and nobody sees it
    return basis / np.sqrt((basis**2).sum(axis=0))


def sample(images: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Pictures with the values at given places: bilinear between the four pixels around, 0 outside, rounded.

    Arguments: images (N, H, W) uint8; x, y (N, ...): float32, column and row, in pixels.

    Returns: uint8, of the shape of x.
    """
    xp = array_module(images)
    N, H, W = images.shape
    stride = W + 3
    padded = xp.zeros((N, H + 3, stride), "float32")  # a pixel before and two behind
    padded[:, 1:-2, 1:-2] = images
    flat = padded.ravel()
    x, y = x.clip(-1, W) + 1.0, y.clip(-1, H) + 1.0  # places in padded: not negative, and a right and lower one exist
    left, upper = x.astype("int32"), y.astype("int32")
    first = xp.arange(N).reshape(N, *[1] * (x.ndim - 1)) * ((H + 3) * stride)
    corner = upper * stride + left + first
    x -= left.astype("float32")
    y -= upper.astype("float32")
    above = _between(flat.take(corner), flat[1:].take(corner), x)
    below = _between(flat[stride:].take(corner), flat[stride + 1 :].take(corner), x)
    between = _between(above, below, y)
    between += 0.5
    return between.astype("uint8")


def _between(a, b, weight):
    """a + weight (b − a), in the memory of b."""
    b -= a
    b *= weight
    b += a
    return b
