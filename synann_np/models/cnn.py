"""Convolutional networks with batch-norm, and a classifier of sigmoid → synapse → batch-norm."""

from typing import Any

import numpy as np

from ..backend import BackendLike, DTypeLike
from ..layers import BatchNorm1d, BatchNorm2d, Conv2d, Flatten, Linear, LogSoftmax, MaxPool2d, ReLU, Sigmoid, Synapse
from ..sequential import Sequential
from .in_shape import image_features, number_of_classes


def SynaLeNet(
    seed: int = 5, dtype: DTypeLike = "float32", backend: BackendLike = "numpy",
    in_shape: tuple[int, ...] = (1, 28, 28), classes: int = 10,
) -> Sequential:  # fmt: skip
    """SynaNN without its dropout, with batch-norm, and a sigmoid before the synapse: what `--recipe augmented` trains.

    Its sizes are those of SynaNN: 30,822 parameters, where SynaNN has 30,762.

    Arguments, returns, raises: as SynaNN.
    """
    channels, pixels = image_features("SynaLeNet", in_shape, (-4, 2, -4, 2))
    common: dict[str, Any] = {"dtype": dtype, "backend": backend}
    options: dict[str, Any] = common | {"rng": np.random.default_rng(seed)}
    return Sequential(
        [
            ("conv1", Conv2d(channels, 10, 5, **options)),  # (N, 10, 24, 24)
            ("pool1", MaxPool2d(2)),  # (N, 10, 12, 12)
            ("relu1", ReLU()),
            ("norm1", BatchNorm2d(10, **common)),
            ("conv2", Conv2d(10, 20, 5, **options)),  # (N, 20, 8, 8)
            ("pool2", MaxPool2d(2)),  # (N, 20, 4, 4)
            ("relu2", ReLU()),
            ("norm2", BatchNorm2d(20, **common)),
            *_classifier(20 * pixels, 64, number_of_classes("SynaLeNet", classes), common, options),
        ],
        dtype,
        backend,
    )


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
