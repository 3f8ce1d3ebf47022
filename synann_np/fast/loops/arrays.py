"""Arrays as loops in C take them: by address. C cannot check shape, dtype or memory order, so this file does."""

import ctypes
import sys

import numpy as np

from .compiler import library

REAL = {"float32": "float", "float64": "double"}  # what C calls a dtype


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


def whole_strides(a):
    """`a`, or a copy where its strides are not multiples of the item size or its data is not aligned."""
    fits = a.flags.aligned and all(s % a.itemsize == 0 for s in a.strides)
    return a if fits else np.ascontiguousarray(a)


def strided(a):
    """`a` and its strides, in elements."""
    return a, *(s // a.itemsize for s in a.strides)


def _address_in_struct(a):
    """What `a.ctypes.data` returns, in a fifth of its time: `data` is the first field of NumPy's PyArrayObject."""
    return _pointer_at(id(a) + object.__basicsize__).value


def _knows_struct():
    a = np.empty(1)
    return sys.implementation.name == "cpython" and _address_in_struct(a) == a.ctypes.data


_pointer_at = ctypes.c_void_p.from_address
_address = _address_in_struct if _knows_struct() else lambda a: a.ctypes.data


def call(function, *arguments):
    """A function of a library in C; arrays among the arguments, which it keeps alive, are handed over by address.

    Returns: what the function returns. Raises: MemoryError if that is 0: no memory for its scratch space.
    """
    result = function(*[_address(a) if isinstance(a, np.ndarray) else a for a in arguments])
    if result == 0:
        raise MemoryError("synann_np.fast: no memory for the scratch space of a layer")
    return result


def loops(source, signatures, dtype):
    """A C source compiled for float32 or float64, its functions with their argument types.

    Arguments: signatures: dict function name -> list of ctypes types.

    Returns: ctypes.CDLL, or None: it cannot be compiled here, or dtype is another one.
    """
    found = _loaded.get((source, dtype))
    if found is None and (real := REAL.get(np.dtype(dtype).name)) and (found := library(source, REAL=real)):
        for name, types in signatures.items():
            getattr(found, name).argtypes = types
        _loaded[source, dtype] = found
    return found


_loaded = {}
