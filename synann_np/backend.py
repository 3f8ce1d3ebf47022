"""Where arrays live: NumPy on the CPU or CuPy on an NVIDIA GPU. Outside the GPU rooms, the only file that names CuPy.

A backend is an array namespace (`xp`) and the three things that differ between host and device: bringing data
in, taking results out and waiting for work to finish. Everything else in the package is written against `xp`.
"""

import sys
from functools import cache
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import DTypeLike

Array: TypeAlias = Any  # numpy.ndarray or cupy.ndarray
BackendLike: TypeAlias = "Backend | str"
Rng: TypeAlias = "np.random.Generator | None"

__all__ = ["Array", "Backend", "BackendError", "BackendLike", "DTypeLike", "Rng", "array_module", "get_backend"]

INSTALL = "python -m pip install 'cupy-cuda12x[ctk]' (CUDA 12) or 'cupy-cuda13x[ctk]' (CUDA 13), never both"


class BackendError(RuntimeError):
    """The backend that was asked for cannot run here; the message says why and what to do."""


class Backend:
    """Arrays in host memory, computed by NumPy.

    Attributes: name (str), xp (the array namespace, here the module `numpy`).
    """

    def __init__(self, name: str = "numpy", xp: Any = np) -> None:
        self.name = name
        self.xp = xp

    def __repr__(self):
        return f"get_backend({self.name!r})"

    def __reduce__(self):
        return get_backend, (self.name,)  # a pickle holds the name: modules cannot be pickled

    def __deepcopy__(self, memo):
        return self

    def asarray(self, x: Array, dtype: DTypeLike | None = None) -> Array:
        """x (array or nested sequence, on the host or already here) as an array of this backend."""
        return self.xp.asarray(x, dtype=dtype)

    def to_host(self, x: Array) -> np.ndarray:
        """x (array of this backend) as a NumPy array."""
        return np.asarray(x)

    def synchronize(self) -> None:
        """Wait until all work that was asked for is done. Nothing to wait for on the host."""


class CupyBackend(Backend):
    """Arrays in the memory of the current CUDA device, computed by CuPy."""

    def to_host(self, x: Array) -> np.ndarray:
        return self.xp.asnumpy(x)

    def synchronize(self) -> None:
        self.xp.cuda.Device().synchronize()


def get_backend(name: BackendLike = "auto") -> "Backend":
    """The backend of that name.

    Arguments:
        name: "numpy", "cupy", "auto" (cupy where a GPU answers, else numpy), or a Backend, which is returned.

    Raises:
        BackendError: "cupy" was asked for and cannot run; it is never replaced silently by NumPy.
        ValueError: no backend has that name.
    """
    if isinstance(name, Backend):
        return name
    if name == "auto":
        try:
            return _cupy_backend()
        except BackendError:
            return _numpy_backend()
    if name == "numpy":
        return _numpy_backend()
    if name == "cupy":
        return _cupy_backend()
    raise ValueError(f"get_backend: expected 'numpy', 'cupy' or 'auto', got {name!r}")


def array_module(x: Array) -> Any:
    """The namespace that x belongs to: `numpy` or `cupy`.

    It is found by the module of x's type, so CuPy is never imported for the sake of a NumPy array.

    Raises:
        TypeError: x is not an array (a list, a tensor of another library).
    """
    module = sys.modules.get(type(x).__module__.partition(".")[0])
    if not hasattr(module, "ndarray"):
        raise TypeError(f"expected a NumPy or CuPy array, got {type(x).__name__}: convert with backend.asarray(x)")
    return module


@cache
def _numpy_backend():
    return Backend()


@cache
def _cupy_backend():
    """CuPy, after it has proved on one small sum and one small product that it works."""
    try:
        import cupy
    except ModuleNotFoundError as error:
        if error.name != "cupy":
            raise BackendError(f"CuPy cannot load its libraries ({error}): reinstall with {INSTALL}") from error
        raise BackendError(f"CuPy is not installed: {INSTALL}") from error
    except Exception as error:  # a broken installation may raise anything while it loads shared libraries
        raise BackendError(f"CuPy cannot load its libraries ({error}): reinstall with {INSTALL}") from error

    runtime = cupy.cuda.runtime
    driver = runtime.driverGetVersion()  # 1000 major + 10 minor of the newest CUDA that it can run; 0 without driver
    if driver == 0:
        raise BackendError("no NVIDIA driver was found: install one (nvidia-smi shows it), or use the numpy backend")
    try:
        count = runtime.getDeviceCount()
    except runtime.CUDARuntimeError as error:
        if "InsufficientDriver" in str(error):
            raise BackendError(
                f"the NVIDIA driver is too old: it runs CUDA {driver // 1000}.{driver % 1000 // 10} at most and CuPy "
                f"{cupy.__version__} was built for a newer one: update the driver, or install another of {INSTALL}"
            ) from error
        count = 0
    if count == 0:
        raise BackendError("the NVIDIA driver sees no GPU: check CUDA_VISIBLE_DEVICES, or use the numpy backend")

    try:
        ones = cupy.ones((2, 2), dtype="float32")
        works = float(((ones + ones) @ ones).sum()) == 16.0
    except Exception as error:  # a missing NVRTC or cuBLAS shows as ImportError, OSError or CuPy's own errors
        raise BackendError(f"CuPy cannot load its libraries ({error}): reinstall with {INSTALL}") from error
    if not works:
        raise BackendError("CuPy computed a wrong product on this GPU: reinstall it, or use the numpy backend")
    return CupyBackend("cupy", cupy)
