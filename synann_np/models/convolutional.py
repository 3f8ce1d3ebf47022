"""The convolutional network of the seed, whose classifier has a synapse."""

from typing import Any

import numpy as np

from ..backend import BackendLike, DTypeLike
from ..layers import (
    BatchNorm1d,
    Conv2d,
    Dropout,
    Dropout2d,
    Flatten,
    Linear,
    LogSoftmax,
    MaxPool2d,
    ReLU,
    Sigmoid,
    Softmax,
    Synapse,
)  # fmt: skip
from ..sequential import Sequential
from .in_shape import image_features, number_of_classes

SQUASHES: dict[str, Any] = {"softmax": Softmax, "sigmoid": Sigmoid, "none": None}


def SynaNN(
    seed: int = 5, dtype: DTypeLike = "float32", backend: BackendLike = "numpy", synapse: str = "free",
    squash: str = "softmax", in_shape: tuple[int, ...] = (1, 28, 28), classes: int = 10,
) -> Sequential:  # fmt: skip
    """The network of the seed: a small convolutional network whose classifier is softmax → synapse → batch-norm.

    Arguments:
        seed: of the weights and the dropout masks.
        dtype: "float32" or "float64". backend: a name or a Backend.
        synapse: "free", "logistic", "surprisal" (see Synapse), or "none": batch-norm follows at once.
        squash: "softmax", or "sigmoid" for probabilities that do not share a sum of 1, or "none", without synapse only.
        in_shape: (C, H, W), channels and size of the images, at least 16×16. classes: K.

    Networks of one seed have equal weights and masks at the start, whatever synapse and squash, but for the synapse's.

    Returns: Sequential, x (N, C, H, W) -> log probabilities (N, K). Raises: ValueError for any other word, shape or
        number.
    """
    if squash not in SQUASHES or (squash == "none" and synapse != "none"):
        raise ValueError(f"SynaNN: squash {squash!r} with synapse {synapse!r}: expected softmax or sigmoid")
    channels, pixels = image_features("SynaNN", in_shape, (-4, 2, -4, 2))
    rng = np.random.default_rng(seed)
    options: dict[str, Any] = {"rng": rng, "dtype": dtype, "backend": backend}
    layers: list[tuple[str, Any]] = [  # the shapes are those of images of 28×28
        ("conv1", Conv2d(channels, 10, 5, **options)),  # (N, 10, 24, 24)
        ("pool1", MaxPool2d(2)),  # (N, 10, 12, 12)
        ("relu1", ReLU()),
        ("conv2", Conv2d(10, 20, 5, **options)),  # (N, 20, 8, 8)
        ("conv2_drop", Dropout2d(0.5, rng=rng)),
        ("pool2", MaxPool2d(2)),  # (N, 20, 4, 4)
        ("relu2", ReLU()),
        ("flatten", Flatten()),  # (N, 320)
        ("fc1", Linear(20 * pixels, 64, **options)),
        ("relu3", ReLU()),
        ("fc1_drop", Dropout(0.5, rng=rng)),
        (squash, SQUASHES[squash]() if squash != "none" else None),
        ("fcn", Synapse(64, "free" if synapse == "none" else synapse, **options)),
        ("fcb", BatchNorm1d(64, **options)),
        ("fc2", Linear(64, number_of_classes("SynaNN", classes), **options)),  # (N, K)
        ("log_softmax", LogSoftmax()),
    ]
    left_out = {"none"} | ({"fcn"} if synapse == "none" else set())  # made all the same: it draws random numbers
    return Sequential([(name, layer) for name, layer in layers if name not in left_out], dtype, backend)
