"""The layers, one file each."""

from .base import Layer
from .batchnorm import BatchNorm1d, BatchNorm2d
from .conv2d import Conv2d
from .dropout import Dropout, Dropout2d
from .flatten import Flatten
from .linear import Linear
from .logsoftmax import LogSoftmax
from .maxpool2d import MaxPool2d
from .relu import ReLU
from .softmax import Softmax
from .synapse import Synapse

__all__ = [
    "BatchNorm1d",
    "BatchNorm2d",
    "Conv2d",
    "Dropout",
    "Dropout2d",
    "Flatten",
    "Layer",
    "Linear",
    "LogSoftmax",
    "MaxPool2d",
    "ReLU",
    "Softmax",
    "Synapse",
]
