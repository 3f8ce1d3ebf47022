"""Loops in C on arrays. C cannot check shape, dtype or memory order, so this file and the layers do."""

import ctypes
import math
import struct
import sys

import numpy as np

from .compiler import POOL, library

REAL = {"float32": "float", "float64": "double"}  # what C calls a dtype
CACHE_LINE = 64  # bytes; no vector is longer


class Loops:
    """The kernels of a C source (vectors.h), compiled for one dtype. lanes: numbers in a vector."""

    def __init__(self, kernels, pool):
        self.kernels, self.on_threads = kernels, pool["run"]
        self.lanes = self.constant("lanes")
        self.on_threads.argtypes = [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_int64, ctypes.c_int64]

    def constant(self, name):
        """The value of an int64_t of the source."""
        return ctypes.c_int64.in_dll(self.kernels, name).value

    def run(self, name, threads, parts, *job):
        """Call the kernel `name` for every part, 0 .. parts − 1, on at most this number of threads.

        job: the fields of its struct in their order: int (int64_t), float (double), array (pointer) or None (NULL).
        """
        fields = [_address(a) if isinstance(a, np.ndarray) else 0 if a is None else a for a in job]
        layout = "".join("d" if isinstance(a, float) else "q" for a in fields)
        self.on_threads(getattr(self.kernels, name), struct.pack(layout, *fields), parts, threads)


def loops(dtype, source, *constants):
    """The Loops of a C source, or None: it cannot be compiled here, or dtype is neither float32 nor float64.

    constants: pairs (name, integer), compiled in.
    """
    found = _loaded.get((source, dtype, constants))
    if found is None and (real := REAL.get(np.dtype(dtype).name)):
        kernels, pool = library(source, REAL=real, **dict(constants)), library(POOL)
        if kernels and pool:
            found = _loaded[source, dtype, constants] = Loops(kernels, pool)
    return found


_loaded = {}


def scratch(*shape, dtype):
    """An array of any content, at a multiple of CACHE_LINE: a vector across two lines takes twice as long to load."""
    a = np.empty(math.prod(shape) * np.dtype(dtype).itemsize + CACHE_LINE, np.uint8)
    start = -_address(a) % CACHE_LINE
    return a[start : a.size - CACHE_LINE + start].view(dtype).reshape(shape)


def contiguous(a, shape, dtype):
    """`a` in C order and of this dtype; a copy only where needed.

    Raises: ValueError for another shape.
    """
    if a.shape != tuple(shape):
        raise ValueError(f"expected an array of shape {tuple(shape)}, got {tuple(a.shape)}")
    return np.ascontiguousarray(a, dtype)


def batch_innermost(x):
    """(N, C, ...) -> (C, ..., N), contiguous: a view where x already has this order in memory."""
    return np.ascontiguousarray(x.transpose(*range(1, x.ndim), 0))


def strided(a):
    """`a` and its strides, in elements; a copy where they are no multiples of the item size or data is not aligned."""
    a = a if a.flags.aligned and not any(s % a.itemsize for s in a.strides) else np.ascontiguousarray(a)
    return a, *(s // a.itemsize for s in a.strides)


def _address_in_struct(a):
    """What `a.ctypes.data` returns, in a fifth of its time: `data` is the first field of NumPy's PyArrayObject."""
    return _pointer_at(id(a) + object.__basicsize__).value


_pointer_at = ctypes.c_void_p.from_address
_has_struct = sys.implementation.name == "cpython" and _address_in_struct(_probe := np.empty(1)) == _probe.ctypes.data
_address = _address_in_struct if _has_struct else lambda a: a.ctypes.data
