"""Augmentation of small grey images: shift, rotation, scale, shear, elastic deformation, erasing; new in every step.

Everything is a function of (seed, step, row of the batch): no generator is carried along, a resumed run sees the
pictures that the uninterrupted one would have seen, and both backends draw the same numbers.
"""

import math
from typing import Any

import numpy as np

from ..backend import array_module
from ..counter_random import random_bits, splitmix64
from ..product import product
from .deformation import inverse_affine, sample, smooth_basis


class Augment:
    """Pictures of a batch, each moved and bent in its own way: new = augment(images, step).

    With q = (x, y) a pixel of the new picture counted from the centre c (x to the right, y down), every new pixel asks
    where it comes from, and takes the value there (`sample`):

        source(q) = c + S⁻¹ K⁻¹ R⁻¹ (q − t) + u(q)

        R = [ cos θ  sin θ ; −sin θ  cos θ ]    K = [ 1  k ; 0  1 ]    S = diag(s_x, s_y)

        t_x, t_y uniform in ± shift             pixels
        θ        uniform in ± rotate            degrees, positive anticlockwise
        s_x, s_y uniform in 1 ± scale           a fraction, below 1; width and height on their own
        k        uniform in ± shear             pixels to the side for one pixel down
        u_x, u_y smooth noise of standard deviation `elastic`, pixels, at every pixel

    The noise is Simard's (Simard, Steinkraus and Platt, 2003), white noise smoothed by a Gaussian of standard deviation
    σ = smoothness, in pixels, from a grid of nodes g that are 1.4 σ apart instead of from every pixel:

        u(q) = elastic √3 Σ_g c_g B_g(q),    c_g uniform in ±1,    B_g(q) = e^(−|q − g|²/2σ²) / √(Σ_h e^(−|q − h|²/σ²))

    so that the correlation of u at a distance of d pixels is nearly e^(−d²/4σ²), as his. Simard's α (uniform noise of
    every pixel, times α) is elastic = α / (σ √(12 π)): his α = 34, σ = 4 are 1.38 pixels. Where u changes by more than
    a pixel a pixel the picture folds: of 28×28 pictures 0.1 % fold somewhere at elastic = σ/3, 2 % at 0.4 σ, and at σ/2
    between a quarter and a half.

    Source is linear in what is drawn, so one matrix product of the coefficients (2 N, 3 + nodes) with the functions
    1, x, y, B_g (3 + nodes, H W) gives the coordinates of all pixels.

    With `erase`, a square at a uniformly drawn place inside the deformed picture is then set to 0, so that a network
    cannot rely on one small part (Cutout: DeVries and Taylor, 2017, whose square may cross the border).

    Arguments:
        seed: int ≥ 0.
        shift, rotate, scale, shear, elastic: strengths as above, ≥ 0; what is 0 is left out.
        smoothness: of the elastic field, pixels, ≥ 1.
        erase: side of the square, a whole number of pixels; 0: nothing is erased. Images must be at least as large.

    augment(images, step, first_row=0)
        images: (N, H, W) or (N, C, H, W) uint8, of either backend. step: int ≥ 0. first_row: where images begin, if
        they are a part of a batch. Returns uint8 of the same shape on the same backend, a new array unless every
        strength is 0. The channels of a picture change in the same way. Nothing is copied to the host or waited for.
        Two backends round products and sines differently: now and then a pixel differs by one level.

    Raises: ValueError for other strengths, seeds, steps and images.
    """

    def __init__(
        self, seed: int, shift: float = 0.0, rotate: float = 0.0, scale: float = 0.0, shear: float = 0.0,
        elastic: float = 0.0, smoothness: float = 5.0, erase: int = 0,
    ) -> None:  # fmt: skip
        for name, value, least in (
            ("seed", seed, 0), ("shift", shift, 0), ("rotate", rotate, 0), ("scale", scale, 0), ("shear", shear, 0),
            ("elastic", elastic, 0), ("smoothness", smoothness, 1), ("erase", erase, 0),
        ):  # fmt: skip
            if not least <= value < math.inf:  # false for NaN too
                raise ValueError(f"Augment: {name} must be a finite number of at least {least}, got {value}")
        if scale >= 1:
            raise ValueError(f"Augment: scale is a fraction below 1 (0.1: from 90 % to 110 %), got {scale}")
        if erase != int(erase):
            raise ValueError(f"Augment: erase is a whole number of pixels, got {erase}")
        self.seed, self.shift, self.rotate, self.scale, self.shear = seed, shift, rotate, scale, shear
        self.elastic, self.smoothness, self.erase = elastic, smoothness, int(erase)
        self._bases: dict[int, Any] = {}

    def __repr__(self):
        names = ("seed", "shift", "rotate", "scale", "shear", "elastic", "smoothness", "erase")
        return f"Augment({', '.join(f'{name}={getattr(self, name)}' for name in names)})"

    def __call__(self, images, step, first_row=0):
        if images.ndim not in (3, 4) or images.dtype != "uint8":
            raise ValueError(
                f"Augment needs uint8 images (N, H, W) or (N, C, H, W), got {images.dtype} {tuple(images.shape)}"
            )
        if step < 0 or first_row < 0:
            raise ValueError(f"Augment: step and first_row count from 0, got {step} and {first_row}")
        if self.erase > min(images.shape[-2:]):
            raise ValueError(f"Augment: a square of {self.erase} pixels does not fit into images {images.shape[-2:]}")
        deforms = any((self.shift, self.rotate, self.scale, self.shear, self.elastic))
        if not (deforms or self.erase):
            return images
        channels = [images] if images.ndim == 3 else [images[:, c] for c in range(images.shape[1])]
        if deforms:
            source = self._source(channels[0], step, first_row)
            channels = [sample(channel, source[0], source[1]) for channel in channels]
        if self.erase:
            kept = self._outside_of_square(channels[0], step, first_row)
            channels = [channel * kept for channel in channels]
        return channels[0] if images.ndim == 3 else array_module(images).stack(channels, axis=1)

    def _source(self, images, step, first_row):
        """Where the pixels come from: (2, N, H, W)."""
        (N, H, W), basis = images.shape, self._basis(images)
        coefficients = array_module(images).concatenate(
            [self._affine(images, step, first_row), self._nodes(images, step, first_row, len(basis) - 3)], axis=2
        )
        return product(coefficients.reshape(2 * N, len(basis)), basis).reshape(2, N, H, W)

    def _affine(self, images, step, first_row):
        """Coefficients of 1, x, y in the source: (2, N, 3)."""
        N, H, W = images.shape
        r = _uniform((N, 6), splitmix64(self.seed), step, images, first_row).T  # by quantity, not by switched-on
        return inverse_affine(
            shift=r[:2] * float(self.shift), angle=r[2] * math.radians(self.rotate),
            scale=r[3:5] * float(self.scale) + 1.0, shear=r[5] * float(self.shear), shape=(H, W),
        )  # fmt: skip

    def _nodes(self, images, step, first_row, nodes):
        """Coefficients of the functions B_g: (2, N, nodes)."""
        r = _uniform((len(images), 2, nodes), splitmix64(splitmix64(self.seed)), step, images, first_row)
        return r.transpose(1, 0, 2) * (self.elastic * math.sqrt(3))

    def _outside_of_square(self, images, step, first_row):
        """False in the square of each picture: bool (N, H, W)."""
        xp, (N, H, W) = array_module(images), images.shape
        seed = splitmix64(splitmix64(splitmix64(self.seed)))
        bits = random_bits((N, 2, 1), seed, step, images, first_row * 2) >> 16
        inside = []
        for axis, length in enumerate((H, W)):
            start = bits[:, axis] * (length + 1 - self.erase) >> 16  # uniform in 0..length − erase, in integers
            pixel = xp.arange(length, dtype="uint32")
            inside.append((pixel >= start) & (pixel < start + self.erase))
        return ~(inside[0][:, :, None] & inside[1][:, None, :])

    def _basis(self, images):
        """The functions 1, x, y and, if there is an elastic field, B_g at every pixel: (3 + nodes, H W)."""
        xp, (_, H, W) = array_module(images), images.shape
        key = (xp.__name__, H, W)
        if key not in self._bases:
            y, x = (axis.ravel() for axis in np.mgrid[:H, :W])
            functions = [np.ones((1, H * W)), [x - (W - 1) / 2, y - (H - 1) / 2]]
            if self.elastic:
                functions.append(np.kron(smooth_basis(H, self.smoothness), smooth_basis(W, self.smoothness)))
            self._bases[key] = xp.asarray(np.concatenate(functions), dtype="float32")
        return self._bases[key]


def _uniform(shape, seed, step, like, first_row):
    """Numbers in [−1, 1), float32, exact on every backend: 24 bits each."""
    bits = random_bits(shape, seed, step, like, first_row * math.prod(shape[1:]))
    return (bits >> 8).astype("float32") * 2.0**-23 - 1.0
