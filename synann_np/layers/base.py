"""What all layers share: the two dicts, and input checks that teach."""

import numpy as np

from ..backend import get_backend


class Layer:
    """A layer holds parameters and nothing of a call; what backward needs travels in the cache.

    Attributes:
        params: dict name -> array that training changes. buffers: dict name -> array that training does not.
        draws_masks: True where forward also takes `step`, which selects a random mask.
        mixes_rows: True where a row of y depends on the other rows of the batch, at least in training.

    Methods of every layer:
        y, cache = forward(x, train=False)      x is never modified
        dx, grads = backward(dy, cache)         grads has the keys of params
    """

    draws_masks = False
    mixes_rows = False

    def __init__(self, dtype=None, backend="numpy", **config):
        """config: the constructor's own arguments, for repr. dtype: None for a layer without weights."""
        self.params = {}
        self.buffers = {}
        self.config = config
        self.backend = get_backend(backend)
        self.dtype = None if dtype is None else np.dtype(dtype)
        if dtype is not None and self.dtype not in (np.float32, np.float64):
            raise ValueError(f"{self}: expected dtype float32 or float64, got {self.dtype}")

    def __repr__(self):
        return f"{type(self).__name__}({', '.join(f'{k}={v!r}' for k, v in self.config.items())})"

    def check_input(self, x, *shape):
        """Refuse x unless it has this shape (a letter stands for any size) and the dtype of the weights.

        Raises: ValueError (shape), TypeError (dtype).
        """
        fits = len(x.shape) == len(shape) and all(
            isinstance(s, str) or s == d for s, d in zip(shape, x.shape, strict=True)
        )
        if not fits:
            raise ValueError(f"{self}: expected input ({', '.join(map(str, shape))}), got {tuple(x.shape)}")
        if self.dtype is not None and x.dtype != self.dtype:
            raise TypeError(f"{self}: expected {self.dtype} input as its weights are, got {x.dtype}")


def pair(value):
    """3 -> (3, 3); (3, 5) -> (3, 5): sizes along height and width."""
    return (value, value) if isinstance(value, int) else tuple(value)
