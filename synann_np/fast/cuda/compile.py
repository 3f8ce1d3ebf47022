"""From a plain Sequential on a device to one that runs as CUDA kernels, as far as they go."""

import numpy as np

from ...layers import Synapse
from ..compiled import Compiled
from .announcement import print_to_stderr
from .launcher import CupyLauncher
from .model import CudaModel
from .pattern import is_synann
from .synapse import CudaSynapse


def compile_for_cuda(model, launcher=None, announce=print_to_stderr):
    """A model that computes what `model` computes, with kernels where there are any for it.

    SynaNN as published becomes a CudaModel, whose training step is four launches. In any other model the synapse layers
    become CudaSynapse, which needs no memory for their factors. The arrays of the parameters are shared.

    Arguments:
        model: Sequential of float32, on a GPU; any other is returned as it is.
        launcher: Launcher, for tests of any other backend; None compiles for the current device.
        announce: function of a line: why a model on a GPU is returned as it is, if its kernels do not compile. The
            default prints on standard error.

    Returns: Sequential.
    """
    has_synapse = any(type(layer) is Synapse for layer in model.layers.values())
    on_gpu = launcher is not None or model.backend.name == "cupy"
    if not has_synapse or not on_gpu or np.dtype(model.dtype) != "float32":
        return model
    launcher = launcher or _working_launcher(announce)
    if launcher is None:
        return model
    if is_synann(model):
        return CudaModel(model, launcher, announce, (compile_for_cuda,))
    layers = [
        (name, CudaSynapse(layer, launcher) if type(layer) is Synapse else layer)
        for name, layer in model.layers.items()
    ]
    return Compiled(layers, model, (compile_for_cuda,))


def _working_launcher(announce):
    """A CupyLauncher whose kernels are compiled, or None."""
    try:
        launcher = CupyLauncher()
        launcher.module.compile()
    except Exception as error:  # NVRTC or its headers missing, a chip that they do not know, an error of the compiler
        reason = " ".join(str(error).split())
        announce(f"The plain layers compute: no CUDA kernels ({type(error).__name__}: {reason:.200})")
        return None
    return launcher
