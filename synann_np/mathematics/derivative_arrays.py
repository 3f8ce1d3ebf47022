"""Derivatives of a function of k variables, gathered into one array: gradients (..., k), Hessians (..., k, k)."""

from typing import Any

import numpy as np

from ..backend import Array, array_module


def gradient_array(variables: Any, derivatives: Any) -> Array:
    """The first derivatives as the last axis.

    Arguments:
        variables: what the function was called with, arrays or Python numbers, at least one array; their shapes
            broadcast to the leading axes of the result, their dtypes promote to its dtype.
        derivatives: one array or number a variable, in the same order.

    Returns: (..., k) on the backend of the variables.

    Raises: TypeError if no variable is an array; ValueError if the shapes do not broadcast.
    """
    gradient = _zeros(variables, (len(variables),))
    for k, derivative in enumerate(derivatives):
        gradient[..., k] = derivative
    return gradient


def hessian_array(variables: Any, derivatives: Any) -> Array:
    """The second derivatives as the last two axes, symmetric.

    Arguments:
        variables: as of gradient_array.
        derivatives: dict (row, column) -> array or number, one of each symmetric pair; what is left out is 0.

    Returns: (..., k, k). Raises: as gradient_array.
    """
    hessian = _zeros(variables, (len(variables), len(variables)))
    for (row, column), derivative in derivatives.items():
        hessian[..., row, column] = derivative
        hessian[..., column, row] = derivative
    return hessian


def _zeros(variables, axes):
    arrays = [v for v in variables if hasattr(v, "dtype")]
    xp = array_module(arrays[0] if arrays else variables[0])
    # Of dtypes and Python numbers, not of arrays: a Python number is weak, so float32 stays float32.
    dtype = np.result_type(*(v.dtype if hasattr(v, "dtype") else v for v in variables))
    return xp.zeros((*np.broadcast_shapes(*(a.shape for a in arrays)), *axes), dtype)
