"""What captured steps need on a faked device: kernels from the emulator, and products that a capture holds."""

from types import SimpleNamespace

import numpy as np

import strict_device
from cuda_emulator import EmulatorLauncher
from fake_cuda import FakeCuda
from fast.cuda.plain_launcher import PlainLauncher


class StrictEmulator(EmulatorLauncher):
    """The emulator over strict arrays, launched through a FakeCuda."""

    array_type = strict_device.ndarray

    def __init__(self, cuda, dtype):
        super().__init__(dtype, guard=False)
        self.cuda = cuda

    def _start(self, kernel, grid, block, arguments):
        inside = [a._device if isinstance(a, strict_device.ndarray) else a for a in arguments]
        launch = super()._start(kernel, grid, block, inside)
        return lambda: self.cuda.launch(launch)


def product_on(cuda):
    """A function (a, b) -> a @ b, as one launch of a kernel."""

    def product(a, b):
        out = strict_device.empty((*a.shape[:-1], b.shape[-1]), a.dtype)
        left, right, result = a._device, b._device, out._device
        cuda.launch(lambda: np.matmul(left, right, out=result))
        return out

    return product


def captured_device(monkeypatch, dtype="float64", emulated=False):
    """backend, cuda, launcher, product of a new faked device. emulated: real kernels run, else NumPy in their place."""
    cuda = FakeCuda()
    monkeypatch.setattr(strict_device, "cuda", cuda)
    if emulated:
        launcher = StrictEmulator(cuda, dtype)
    else:
        launcher = PlainLauncher(cuda, strict_device.ndarray, lambda a: a._device, dtype)
    return SimpleNamespace(backend=strict_device.backend(), cuda=cuda, launcher=launcher, product=product_on(cuda))
