"""Kernels of the table, launched with arguments that were checked: what CUDA itself would take silently and misread."""

import numpy as np

from .arrays import ARRAYS, shape_of
from .kernels import KERNELS
from .source import source

MAY_BE_0 = ("offset", "rules", "top", "left", "relu", "cut", "is_log", "class_weighted", "sample_weighted")


class Launcher:
    """Binds kernels to arrays. A subclass says how arrays look (array_type) and how a kernel is started (_start).

    Arguments: dtype: of "real" arrays, "float32" or, for tests, "float64".
    """

    array_type = None
    kernels = KERNELS

    def __init__(self, dtype="float32"):
        self.dtype = np.dtype(dtype)

    def numpy_dtype(self, name):
        """dtype of an array of the table."""
        kind = ARRAYS[name][0]
        return self.dtype if kind == "real" else np.dtype(kind)

    def array_names(self, kernels):
        """Names of all arrays that these kernels read or write, each once."""
        return list(dict.fromkeys(name for kernel in kernels for name in self.kernels[kernel].arrays))

    def bind(self, kernel, sizes, arrays):
        """A function without arguments that launches the kernel on these arrays.

        Arguments:
            kernel: name of an entry point.
            sizes: dict of int, and of float for the kernel's numbers; may hold more than is needed.
            arrays: dict name -> array; may hold more than is needed. They are kept, not copied.

        Raises: KeyError (kernel, size or array missing); TypeError, ValueError for an array of another type, dtype or
        shape, or one that is not C-contiguous.
        """
        entry = self.kernels[kernel]
        if missing := [name for name in entry.arrays if name not in arrays]:
            raise KeyError(f"{kernel}: missing arrays {missing}")
        if missing := [name for name in entry.sizes + entry.numbers if name not in sizes]:
            raise KeyError(f"{kernel}: missing sizes {missing}")
        for name in entry.arrays:
            self._check(kernel, name, arrays[name], shape_of(name, sizes))
        for name in entry.sizes:
            if not 0 <= sizes[name] < 2**31 or (sizes[name] == 0 and name not in MAY_BE_0):
                raise ValueError(f"{kernel}: size {name} = {sizes[name]}, expected a positive int32")
        if kernel == "train_head" and sizes["N"] < 2:
            raise ValueError("train_head: batch-norm in training needs more than one row")
        arguments = [arrays[name] for name in entry.arrays]
        arguments += [np.int32(sizes[name]) for name in entry.sizes]
        arguments += [self.dtype.type(sizes[name]) for name in entry.numbers]
        return self._start(kernel, entry.grid(sizes), entry.block, arguments)

    def launch(self, kernel, sizes, arrays):
        """bind, and launch once."""
        self.bind(kernel, sizes, arrays)()

    def _check(self, kernel, name, array, shape):
        if not isinstance(array, self.array_type):
            raise TypeError(f"{kernel}: {name} is {type(array).__name__}, expected {self.array_type.__name__}")
        if array.dtype != self.numpy_dtype(name):
            raise TypeError(f"{kernel}: {name} is {array.dtype}, expected {self.numpy_dtype(name)}")
        if tuple(array.shape) != shape:
            raise ValueError(f"{kernel}: {name} has shape {tuple(array.shape)}, expected {shape}")
        if not array.flags.c_contiguous:
            raise ValueError(f"{kernel}: {name} is not C-contiguous")

    def _start(self, kernel, grid, block, arguments):
        raise NotImplementedError


class CupyLauncher(Launcher):
    """Launches on the current device and the current stream. Compiles once, with NVRTC, on the first kernel."""

    def __init__(self, dtype="float32"):
        import cupy

        super().__init__(dtype)
        self.array_type, self.current_device = cupy.ndarray, cupy.cuda.runtime.getDevice
        self.module = cupy.RawModule(code=source(dtype), options=("-std=c++17",))
        self.functions = {}

    def _start(self, kernel, grid, block, arguments):
        # CuPy keeps no handles: it makes a new one in about 25 µs, and a synapse layer binds four kernels a step.
        key = self.current_device(), kernel
        if key not in self.functions:
            self.functions[key] = self.module.get_function(kernel)
        function, arguments = self.functions[key], tuple(arguments)
        return lambda: function(grid, (block,), arguments)
