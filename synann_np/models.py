"""The networks, each as one list of named layers."""

import numpy as np

from .layers import (
    BatchNorm1d,
    Conv2d,
    Dropout,
    Dropout2d,
    Flatten,
    Linear,
    LogSoftmax,
    MaxPool2d,
    ReLU,
    Softmax,
    Synapse,
)
from .sequential import Sequential


def SynaNN(seed=5, dtype="float32", backend="numpy"):
    """The network of the seed: a small convolutional network whose classifier is softmax → synapse → batch-norm.

    Arguments:
        seed: of the weights and the dropout masks.
        dtype: "float32" or "float64". backend: a name or a Backend.

    Returns: Sequential, x (N, 1, 28, 28) -> log probabilities (N, 10).
    """
    rng = np.random.default_rng(seed)
    options = {"rng": rng, "dtype": dtype, "backend": backend}
    layers = [
        ("conv1", Conv2d(1, 10, 5, **options)),  # (N, 10, 24, 24)
        ("pool1", MaxPool2d(2)),  # (N, 10, 12, 12)
        ("relu1", ReLU()),
        ("conv2", Conv2d(10, 20, 5, **options)),  # (N, 20, 8, 8)
        ("conv2_drop", Dropout2d(0.5, rng=rng)),
        ("pool2", MaxPool2d(2)),  # (N, 20, 4, 4)
        ("relu2", ReLU()),
        ("flatten", Flatten()),  # (N, 320)
        ("fc1", Linear(320, 64, **options)),
        ("relu3", ReLU()),
        ("fc1_drop", Dropout(0.5, rng=rng)),
        ("softmax", Softmax()),
        ("fcn", Synapse(64, **options)),
        ("fcb", BatchNorm1d(64, **options)),
        ("fc2", Linear(64, 10, **options)),  # (N, 10)
        ("log_softmax", LogSoftmax()),
    ]
    return Sequential(layers, dtype, backend)
