"""The normalisation of a data set, as the first layer of a model, so that it travels with it."""

from typing import Any

import numpy as np

from ..backend import Array, BackendLike, DTypeLike, Rng
from .base import Layer


class Normalize(Layer):
    """y_nc = (x_nc − mean_c) / std_c

    x (N, C) or (N, C, ...), y the same; mean, std (C,) are buffers: saved with the model, not trained. A model that
    begins with this layer gets uint8 images as x / 255, so mean and std are those of pixels scaled to 0..1.

    Backward: dx_nc = dy_nc / std_c.

    Arguments: num_features: C. Start: mean 0, std 1; `Normalize.from_data` measures them.

    Raises: ValueError, TypeError (forward) if x has another number of features or another dtype.
    """

    normalizes = True

    def __init__(
        self,
        num_features: int,
        *,
        rng: Rng = None,
        dtype: DTypeLike = "float32",
        backend: BackendLike = "numpy",
    ) -> None:
        super().__init__(dtype, backend, num_features=num_features)
        self.num_features = self.integer("num_features")
        self.buffers = {
            "mean": self.backend.xp.zeros(self.num_features, self.dtype),
            "std": self.backend.xp.ones(self.num_features, self.dtype),
        }

    @classmethod
    def from_data(cls, x: Array, dtype: DTypeLike = "float32", backend: BackendLike = "numpy") -> "Normalize":
        """The layer with mean and standard deviation of every feature of a table, or of every channel of images.

        Take the training data only: what is known of the test set must not enter the model. A feature that is constant
        is only shifted (std 1).

        Arguments: x: host array (N, C) or (N, C, ...) of numbers; uint8 images may also be (N, H, W), and their pixels
            are scaled to 0..1.

        Raises: ValueError: x is empty, has one axis only, or a feature is not finite.
        """
        x = np.asarray(x)
        if x.dtype == np.uint8 and x.ndim == 3:
            x = x[:, None]
        if x.ndim < 2 or x.size == 0:
            raise ValueError(f"Normalize.from_data: expected data (N, C, ...) with N > 0, got {x.shape}")
        scale = 255.0 if x.dtype == np.uint8 else 1.0
        axes = (0, *range(2, x.ndim))
        mean = x.mean(axis=axes, dtype="float64") / scale
        std = x.std(axis=axes, dtype="float64") / scale
        if not (np.isfinite(mean).all() and np.isfinite(std).all()):
            raise ValueError(f"Normalize.from_data: feature {np.isfinite(mean + std).argmin()} holds NaN or infinity")
        layer = cls(x.shape[1], dtype=dtype, backend=backend)
        constant = std <= 1e-12 * np.abs(mean)  # rounding of the mean leaves a little
        for name, value in (("mean", mean), ("std", np.where(constant, 1.0, std))):
            layer.buffers[name][...] = layer.backend.asarray(value, layer.dtype)
        return layer

    def forward(self, x: Array, train: bool = False) -> tuple[Array, Any]:
        self.check_input(x, "N", self.num_features, ...)
        mean, std = (self.buffers[name].reshape(-1, *[1] * (len(x.shape) - 2)) for name in ("mean", "std"))
        return (x - mean) / std, (x.shape, std)

    def backward(self, dy: Array, cache: Any) -> tuple[Any, dict[str, Array]]:
        x_shape, std = cache
        self.check_gradient(dy, x_shape)
        return dy / std, {}
