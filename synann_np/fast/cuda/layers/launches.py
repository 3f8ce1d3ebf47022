"""Kernels of a layer, launched over given arrays and new ones."""

from ....backend import array_module
from ..arrays import shape_of


def arrays_of(layer, prefix, kernels, sizes, given):
    """Launch kernels, and return the dict of all arrays that they use.

    Arguments:
        layer: has launcher and backend. prefix: of the arrays' names in the table (arrays.py); names here are without.
        kernels: names of entry points. sizes: dict of int. given: dict name -> array; the others are new.
    """
    launcher, xp = layer.launcher, layer.backend.xp
    arrays = {f"{prefix}.{name}": a for name, a in given.items()}
    for name in launcher.array_names(kernels):
        if name not in arrays:
            arrays[name] = xp.empty(shape_of(name, sizes), launcher.numpy_dtype(name))
    for kernel in kernels:
        launcher.launch(kernel, sizes, arrays)
    return {name.removeprefix(f"{prefix}."): a for name, a in arrays.items()}


def batch_innermost(x):
    """x (N, C, H, W) as a contiguous array (C, H, W, N); no copy where it lies so already."""
    return array_module(x).ascontiguousarray(x.transpose(1, 2, 3, 0))
