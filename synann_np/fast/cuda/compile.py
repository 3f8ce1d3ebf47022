"""From a plain Sequential on a device to one that runs as CUDA kernels, as far as they go."""

import numpy as np

from ...layers import Synapse
from ...sequential import Sequential
from .launcher import CupyLauncher
from .model import CudaModel
from .pattern import is_synann
from .synapse import CudaSynapse


def compile_for_cuda(model, launcher=None, announce=print):
    """A model that computes what `model` computes, with kernels where there are any for it.

    SynaNN as published becomes a CudaModel, whose training step is four launches. In any other model the synapse layers
    become CudaSynapse, which needs no memory for their factors. The arrays of the parameters are shared.

    Arguments:
        model: Sequential of float32, on a GPU; any other is returned as it is.
        launcher: Launcher, for tests of any other backend; None compiles for the current device.
        announce: function of a line.

    Returns: Sequential.
    """
    has_synapse = any(type(layer) is Synapse for layer in model.layers.values())
    on_gpu = launcher is not None or model.backend.name == "cupy"
    if not has_synapse or not on_gpu or np.dtype(model.dtype) != "float32":
        return model
    launcher = launcher or CupyLauncher()
    if is_synann(model):
        return CudaModel(model, launcher, announce)
    layers = [
        (name, CudaSynapse(layer, launcher) if type(layer) is Synapse else layer)
        for name, layer in model.layers.items()
    ]
    return Sequential(layers, model.dtype, model.backend)
