"""With this folder on the path, `import cupy` gives the faked device of the tests, for processes that are rehearsed.

Arrays are those of strict_device, streams and graphs those of fake_cuda, kernels the plain layers. What waits for the
device is allowed, as CuPy allows it.
"""

import sys
from types import SimpleNamespace

import strict_device
from fake_cuda import FakeCuda
from fast.cuda.captured_device import product_on
from fast.cuda.plain_launcher import PlainLauncher
from synann_np.fast.cuda.captured.cublas import Cublas

_cuda = FakeCuda()
_attributes = {"MultiProcessorCount": 132, "ClockRate": 1_980_000}
_cuda.Device = lambda: SimpleNamespace(
    id=0, compute_capability="90", attributes=_attributes, synchronize=_cuda.wait
)  # fmt: skip
_cuda.runtime = SimpleNamespace(
    CUDARuntimeError=RuntimeError,
    driverGetVersion=lambda: 13000,
    getDevice=lambda: 0,
    getDeviceCount=lambda: 1,
    getDeviceProperties=lambda number: {"name": b"Faked device"},
    runtimeGetVersion=lambda: 13000,
)


class RawModule:
    """Kernels that are the plain layers, whatever the code says."""

    def __init__(self, code, options):
        self.launcher = PlainLauncher(_cuda, strict_device.ndarray, lambda a: a._device)

    def compile(self):
        print("CUDA kernels are compiled")  # as a compiler may: on standard output

    def get_function(self, name):
        return lambda grid, block, arguments: self.launcher._start(name, grid, block, arguments)()


Cublas.of_cupy = lambda xp: product_on(_cuda)
strict_device.cuda = _cuda
strict_device.RawModule = RawModule
strict_device.__version__ = "faked"
strict_device.get_default_memory_pool = lambda: SimpleNamespace(free_all_blocks=lambda: None)
strict_device._allowed = 1
sys.modules[__name__] = strict_device
