"""synann_np: SynaNN, the synaptic neural network, from scratch on NumPy and CuPy."""

from .checkpoint import load, save
from .version import __version__

__all__ = ["__version__", "load", "save"]
