"""synann_np: SynaNN, the synaptic neural network, from scratch on NumPy and CuPy.

Public: the modules below and `save` and `load` for whole models.
"""

from . import backend, data, fast, gradcheck, layers, losses, models, optim, train
from .storage.checkpoint import load, save
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
    "save",
    "train",
]
