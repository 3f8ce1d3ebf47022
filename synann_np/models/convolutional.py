"""Convolutional networks whose classifier has a synapse."""

from typing import Any

import numpy as np

from ..backend import BackendLike, DTypeLike
from ..layers import (
    BatchNorm1d,
    BatchNorm2d,
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


def SynaLeNet(
    seed: int = 5, dtype: DTypeLike = "float32", backend: BackendLike = "numpy",
    in_shape: tuple[int, ...] = (1, 28, 28), classes: int = 10,
) -> Sequential:  # fmt: skip
    """SynaNN without its dropout and without the relu before the softmax: what `--recipe augmented` trains.

    Arguments, returns, raises: as SynaNN.
    """
    layers = SynaNN(seed, dtype, backend, in_shape=in_shape, classes=classes).layers
    left_out = {"conv2_drop", "relu3", "fc1_drop"}
    return Sequential([(name, layer) for name, layer in layers.items() if name not in left_out], dtype, backend)


def SynaSmallCNN(
    seed: int = 5, dtype: DTypeLike = "float32", backend: BackendLike = "numpy",
    in_shape: tuple[int, ...] = (1, 28, 28), classes: int = 10,
) -> Sequential:  # fmt: skip
    """Three convolutions with batch-norm and the classifier of SynaCNN: what `--recipe quick` trains.

    1.2 million multiplications an image, a seventh of SynaCNN's.

    Arguments, returns, raises: as SynaNN.
    """
    channels, pixels = image_features("SynaSmallCNN", in_shape, (-4, 2, -2, -2, 2))
    common: dict[str, Any] = {"dtype": dtype, "backend": backend}
    options: dict[str, Any] = common | {"rng": np.random.default_rng(seed)}
    return Sequential(
        [
            ("conv1", Conv2d(channels, 16, 5, **options)),  # (N, 16, 24, 24)
            ("pool1", MaxPool2d(2)),  # (N, 16, 12, 12)
            ("relu1", ReLU()),
            ("norm1", BatchNorm2d(16, **common)),
            ("conv2", Conv2d(16, 24, 3, bias=False, **options)),  # (N, 24, 10, 10)
            ("norm2", BatchNorm2d(24, **common)),
            ("relu2", ReLU()),
            ("conv3", Conv2d(24, 48, 3, bias=False, **options)),  # (N, 48, 8, 8)
            ("pool3", MaxPool2d(2)),  # (N, 48, 4, 4)
            ("norm3", BatchNorm2d(48, **common)),
            ("relu3", ReLU()),
            *_classifier(48 * pixels, 64, number_of_classes("SynaSmallCNN", classes), common, options),
        ],
        dtype,
        backend,
    )


def SynaCNN(
    seed: int = 5, dtype: DTypeLike = "float32", backend: BackendLike = "numpy",
    in_shape: tuple[int, ...] = (1, 28, 28), classes: int = 10,
) -> Sequential:  # fmt: skip
    """Five convolutions with batch-norm, and a classifier of sigmoid → synapse → batch-norm, without dropout.

    The pooling windows come early, where the images are large: 8.4 million multiplications an image. A convolution
    whose mean batch-norm takes away at once has no bias.

    Arguments, returns, raises: as SynaNN, with images of at least 24×24.
    """
    channels, pixels = image_features("SynaCNN", in_shape, (-4, 2, -2, -2, 2, -2))
    common: dict[str, Any] = {"dtype": dtype, "backend": backend}
    options: dict[str, Any] = common | {"rng": np.random.default_rng(seed)}
    return Sequential(
        [
            ("conv1", Conv2d(channels, 32, 5, **options)),  # (N, 32, 24, 24)
            ("pool1", MaxPool2d(2)),  # (N, 32, 12, 12)
            ("relu1", ReLU()),
            ("norm1", BatchNorm2d(32, **common)),
            ("conv2", Conv2d(32, 64, 3, bias=False, **options)),  # (N, 64, 10, 10)
            ("norm2", BatchNorm2d(64, **common)),
            ("relu2", ReLU()),
            ("conv3", Conv2d(64, 96, 3, bias=False, **options)),  # (N, 96, 8, 8)
            ("pool3", MaxPool2d(2)),  # (N, 96, 4, 4)
            ("norm3", BatchNorm2d(96, **common)),
            ("relu3", ReLU()),
            ("conv4", Conv2d(96, 128, 3, padding=1, bias=False, **options)),  # (N, 128, 4, 4)
            ("norm4", BatchNorm2d(128, **common)),
            ("relu4", ReLU()),
            ("conv5", Conv2d(128, 160, 3, bias=False, **options)),  # (N, 160, 2, 2)
            ("norm5", BatchNorm2d(160, **common)),
            ("relu5", ReLU()),
            *_classifier(160 * pixels, 128, number_of_classes("SynaCNN", classes), common, options),
        ],
        dtype,
        backend,
    )


def _classifier(features, hidden, classes, common, options):
    """Layers from features (N, C, H, W) to log probabilities (N, K)."""
    return [
        ("flatten", Flatten()),  # (N, features)
        ("fc1", Linear(features, hidden, **options)),
        ("sigmoid", Sigmoid()),
        ("fcn", Synapse(hidden, **options)),
        ("fcb", BatchNorm1d(hidden, **common)),
        ("fc2", Linear(hidden, classes, **options)),  # (N, K)
        ("log_softmax", LogSoftmax()),
    ]
