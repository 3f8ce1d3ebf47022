"""From a plain Sequential on a device to one that runs as CUDA kernels and graphs, as far as they go."""

from operator import matmul

import numpy as np

from .announcement import print_to_stderr
from .captured.cublas import Cublas
from .captured.model import CapturedModel
from .launcher import CupyLauncher
from .layers.twins import with_twins
from .model import CudaModel
from .pattern import is_synann


def compile_for_cuda(model, launcher=None, announce=print_to_stderr, product=None, input_gradient=True):
    """A model that computes what `model` computes, with kernels where there are any for it.

    SynaNN as published becomes a CudaModel, whose training step is four launches. Any other model becomes a
    CapturedModel, whose training step is one CUDA graph. Layers that have a CUDA twin are replaced (layers/twins.py);
    the arrays of the parameters are shared.

    Arguments:
        model: Sequential of float32, on a GPU; any other is returned as it is.
        launcher: Launcher of the model's dtype, for tests of any other backend; None compiles for the current device.
        announce: function of a line: why a model on a GPU is returned as it is, if its kernels do not compile. The
            default prints on standard error.
        product: as in CapturedModel; None takes cuBLAS for the current device, `@` for tests.

        input_gradient: False if the gradient of the model's input is not needed: backward may return None for it.

    Returns: Sequential.
    """
    dtype = "float32" if launcher is None else launcher.dtype
    if (launcher is None and model.backend.name != "cupy") or np.dtype(model.dtype) != dtype:
        return model
    try:
        if launcher is None:
            launcher, product = _working_launcher(), product or Cublas.of_cupy(model.backend.xp)
    except Exception as error:  # NVRTC, its headers or cuBLAS missing, a chip that they do not know, a compiler's error
        reason = " ".join(str(error).split())
        announce(f"The plain layers compute: no CUDA kernels ({type(error).__name__}: {reason:.200})")
        return model
    again = compile_for_cuda, None, print_to_stderr, None, input_gradient
    layers = with_twins(model, launcher, input_gradient)
    kind = CudaModel if is_synann(model) else CapturedModel
    return kind(layers, model, launcher, announce, again, product or matmul)


def _working_launcher():
    """A CupyLauncher whose kernels are compiled. Raises: anything."""
    launcher = CupyLauncher()
    launcher.module.compile()
    return launcher
