"""The layers, one file each."""

from .base import Layer
from .batchnorm import BatchNorm1d, BatchNorm2d
from .conv2d import Conv2d
from .dropout import Dropout, Dropout2d
from .flatten import Flatten
from .linear import Linear
from .logsoftmax import LogSoftmax
from .maxpool2d import MaxPool2d
from .normalize import Normalize
from .relu import ReLU
from .rnn import RNN
from .rows import Rows
from .sigmoid import Sigmoid
from .softmax import Softmax
from .synapse import Synapse, SynapseGraph
from .synapse_rnn import SynapseRNN
from .synapse_tensor import SynapseTensor

__all__ = [
    "RNN",
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
    "Normalize",
    "ReLU",
    "Rows",
    "Sigmoid",
    "Softmax",
    "Synapse",
    "SynapseGraph",
    "SynapseRNN",
    "SynapseTensor",
]
