"""synann_np: SynaNN, the synaptic neural network, from scratch on NumPy and CuPy.

Public: the modules below, `save` and `load` for whole models, and `register_layer` for models with layers of your own.
"""

from . import backend, data, fast, gradcheck, layers, losses, models, optim, train
from .storage.checkpoint import load, save
from .storage.layer_registry import register_layer
from .version import __version__

__all__ = [
    "__version__",
    "backend",
    "data",
    "fast",
    "gradcheck",
    "layers",
    "load",
    "losses",
    "models",
    "optim",
    "register_layer",
    "save",
    "train",
]
