"""Arrays as loops in C take them: by address, so that nobody there would notice another shape, dtype or order."""

import numpy as np

REAL = {"float32": "float", "float64": "double"}  # what C calls a dtype


def contiguous(a, shape, dtype):
    """`a`, or a copy, in this shape and dtype and the order of C. Raises: ValueError if it cannot have this shape."""
    if a.shape != shape:
        a = np.broadcast_to(a, shape)
    return np.ascontiguousarray(a, dtype)


def whole_strides(a):
    """`a`, or a copy if elements do not lie whole numbers of elements apart."""
    return a if all(s % a.itemsize == 0 for s in a.strides) else np.ascontiguousarray(a)


def strided(a):
    """Address and strides, in elements."""
    return a.ctypes.data, *(s // a.itemsize for s in a.strides)


def address(a):
    """Of the first element; None, which is NULL, for None."""
    return None if a is None else a.ctypes.data
