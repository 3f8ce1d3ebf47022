"""CUDA C++ for a training step of SynaNN and for large synapse layers: sources, their table, their launch."""

from .arrays import ARRAYS, PARAMETERS, parameter_views, shape_of, step_sizes
from .kernels import EVALUATE, KERNELS, SYNAPSE, TRAIN, UPDATE
from .launcher import CupyLauncher, Launcher
from .source import source

__all__ = [
    "ARRAYS",
    "EVALUATE",
    "KERNELS",
    "PARAMETERS",
    "SYNAPSE",
    "TRAIN",
    "UPDATE",
    "CupyLauncher",
    "Launcher",
    "parameter_views",
    "shape_of",
    "source",
    "step_sizes",
]
