"""The layers, one file each."""

from .activations import ELU, GELU, SELU, Hardtanh, LeakyReLU, Sigmoid, SiLU, Softplus, Tanh
from .adaptivepool2d import AdaptiveAvgPool2d, AdaptiveMaxPool2d
from .avgpool2d import AvgPool2d
from .base import Layer
from .batchnorm import BatchNorm1d, BatchNorm2d
from .conv2d import Conv2d
from .dropout import Dropout, Dropout2d
from .flatten import Flatten
from .groupnorm import GroupNorm
from .layernorm import LayerNorm
from .linear import Linear
from .logsoftmax import LogSoftmax
from .maxpool2d import MaxPool2d
from .normalize import Normalize
from .relu import ReLU
from .residual import Residual
from .rnn import RNN
from .rows import Rows
from .softmax import Softmax
from .synapse import Synapse, SynapseGraph
from .synapse_rnn import SynapseRNN
from .synapse_tensor import SynapseTensor

__all__ = [
    "ELU",
    "GELU",
    "RNN",
    "SELU",
    "AdaptiveAvgPool2d",
    "AdaptiveMaxPool2d",
    "AvgPool2d",
    "BatchNorm1d",
    "BatchNorm2d",
    "Conv2d",
    "Dropout",
    "Dropout2d",
    "Flatten",
    "GroupNorm",
    "Hardtanh",
    "Layer",
    "LayerNorm",
    "LeakyReLU",
    "Linear",
    "LogSoftmax",
    "MaxPool2d",
    "Normalize",
    "ReLU",
    "Residual",
    "Rows",
    "SiLU",
    "Sigmoid",
    "Softmax",
    "Softplus",
    "Synapse",
    "SynapseGraph",
    "SynapseRNN",
    "SynapseTensor",
    "Tanh",
]
