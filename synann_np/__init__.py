"""synann_np: SynaNN, the synaptic neural network, from scratch on NumPy and CuPy."""

__version__ = "0.1.0"
