"""synann_np: SynaNN, the synaptic neural network, from scratch on NumPy and CuPy."""

__version__ = "0.1.0"

from .checkpoint import load, save

__all__ = ["load", "save"]
