"""What a user hands in as data: arrays of numbers, or a refusal that says what to do."""

from typing import Any

import numpy as np

BLOCK = 1 << 22  # elements looked at in one go: a memory-mapped file is never held in memory whole
HOST = 1  # kDLCPU of the DLPack standard
# How arrays of other libraries become NumPy's, by the name of the library.
CURES = {
    "torch": "pass x.detach().cpu().numpy()",
    "tensorflow": "pass x.numpy()",
    "jax": "pass numpy.asarray(x)",
    "jaxlib": "pass numpy.asarray(x)",
    "scipy": "pass x.toarray()",
}


def as_numbers(x: Any, name: str, backend: Any = None) -> np.ndarray:
    """x as an array of finite numbers, without a copy where it is one.

    Arguments:
        x: NumPy array (read-only and memory-mapped ones too), nested list of numbers, pandas or polars object, an array
            of another library in the memory of the host (DLPack: a CPU tensor of PyTorch, an array of JAX), or an
            array of `backend`, which is returned as it is.
        name: for messages.

    Returns: array of bool, integers or floats, at least one row.

    Raises: TypeError: tensors on a GPU or with gradients, text, objects, complex numbers. ValueError: rows of different
        lengths, no rows, masked values, NaN or infinity. The values of a device are not looked at.
    """
    if backend is not None and backend.xp is not np and isinstance(x, backend.xp.ndarray):
        return _checked_shape(x, name)
    if hasattr(x, "to_numpy"):
        x = x.to_numpy()
    if not isinstance(x, np.ndarray | list | tuple | range) and (shared := _from_dlpack(x)) is not None:
        x = shared
    if not isinstance(x, np.ndarray | list | tuple | range):
        kind = type(x)
        cure = CURES.get(kind.__module__.partition(".")[0], "convert it to a NumPy array")
        raise TypeError(f"{name}: expected a NumPy array, got {kind.__module__}.{kind.__qualname__}: {cure}")
    if np.ma.is_masked(x):
        raise ValueError(f"{name}: some values are masked: fill or drop them")
    try:
        a = np.asarray(x)
    except ValueError as error:
        raise ValueError(f"{name}: the rows have different lengths: {error!s:.100}") from error
    if a.dtype.kind not in "biuf":
        raise TypeError(f"{name}: expected numbers, got {a.dtype}{_cure_of_dtype(a)}")
    _checked_shape(a, name)
    if a.dtype.kind == "f":
        _check_finite(a, name)
    return a


def _from_dlpack(x):
    """The memory of an array of another library as a NumPy array, None where it would have to be copied."""
    try:
        return np.from_dlpack(x, copy=False) if x.__dlpack_device__()[0] == HOST else None
    except (AttributeError, BufferError, RuntimeError, TypeError, ValueError):  # each library has its own
        return None


def as_labels(
    labels: Any, name: str, classes: int | None = None, ignore_index: int | None = None, backend: Any = None
) -> np.ndarray:
    """Class labels as integers: host array (N,), int64.

    Arguments: labels: whole numbers of any type. classes: K, then 0 ≤ label < K or label = ignore_index must hold.

    Raises: TypeError, ValueError as as_numbers; ValueError: not one label per row, fractions, out of range.
    """
    if backend is not None and backend.xp is not np and isinstance(labels, backend.xp.ndarray):
        labels = backend.to_host(labels)  # a few bytes a row, once
    a = as_numbers(labels, name)
    if a.ndim != 1:
        cure = ": use labels.argmax(axis=1)" if a.ndim == 2 and a.shape[1] > 1 else ": use labels.ravel()"
        raise ValueError(f"{name}: expected one label per row, (N,), got {tuple(a.shape)}{cure}")
    if a.dtype.kind == "f" and bool((a != a.round()).any()):
        raise ValueError(f"{name}: expected whole numbers, got {float(a[(a != a.round()).argmax()])!r}")
    a = a.astype("int64")
    if classes is not None:
        counted = a if ignore_index is None else a[a != ignore_index]
        if len(counted) == 0:
            raise ValueError(f"{name}: every label is {ignore_index}, which is ignored")
        low, high = int(counted.min()), int(counted.max())
        if low < 0 or high >= classes:
            raise ValueError(
                f"{name}: label {low if low < 0 else high} found, but the model has {classes} classes, "
                f"0..{classes - 1}{_cure_of_range(low, high, classes)}"
            )
    return a


def _cure_of_range(low, high, classes):
    if low == 1 and high == classes:
        return ": they count from 1, use labels - 1"
    return ": number the classes from 0 without gaps: names, labels = numpy.unique(labels, return_inverse=True)"


def _cure_of_dtype(a):
    if a.dtype.kind in "USO" and a.ndim == 1:
        return ": if these are names of classes, use names, labels = numpy.unique(labels, return_inverse=True)"
    return ": convert it to numbers first"


def _checked_shape(a, name):
    if a.ndim == 0 or a.shape[0] == 0 or a.size == 0:
        raise ValueError(f"{name}: expected at least one row, got shape {tuple(a.shape)}")
    return a


def _check_finite(a, name):
    rows = max(1, BLOCK // max(1, a.size // len(a)))
    for start in range(0, len(a), rows):
        finite = np.isfinite(a[start : start + rows])
        if not finite.all():
            row = start + int(finite.reshape(len(finite), -1).all(axis=1).argmin())
            raise ValueError(f"{name}: NaN or infinity in row {row}: drop such rows, or fill the gaps")
