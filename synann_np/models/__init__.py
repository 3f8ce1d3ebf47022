"""The networks, each as one list of named layers.

All of them take `in_shape`, the shape of one example without the batch axis, and `classes`: the defaults are MNIST's.
"""

from .cnn import SynaCNN, SynaLeNet, SynaSmallCNN
from .convolutional import SynaNN
from .global_pool import SynaGlobalPool
from .normalized import normalized
from .perceptron import SynaMLP
from .recurrent import SynaRNN, TanhRNN

__all__ = [
    "MODELS",
    "SynaCNN",
    "SynaGlobalPool",
    "SynaLeNet",
    "SynaMLP",
    "SynaNN",
    "SynaRNN",
    "SynaSmallCNN",
    "TanhRNN",
    "normalized",
]

# The networks by the name that scripts know them by; each takes seed, dtype, backend, in_shape and classes.
MODELS = {
    "synann": SynaNN,
    "mlp": SynaMLP,
    "rnn": SynaRNN,
    "tanh_rnn": TanhRNN,
    "lenet": SynaLeNet,
    "small_cnn": SynaSmallCNN,
    "cnn": SynaCNN,
}
