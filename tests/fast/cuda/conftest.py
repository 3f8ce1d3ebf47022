"""A device whose kernels are the plain layers: strict arrays, faked streams and graphs."""

from types import SimpleNamespace

import pytest

import strict_device
from fake_cuda import FakeCuda
from fast.cuda.captured_device import product_on
from fast.cuda.plain_launcher import PlainLauncher


@pytest.fixture
def device(monkeypatch):
    """backend, cuda, launcher, product; transfers: how often an array came to the host and went there (asarray)."""
    cuda = FakeCuda()
    monkeypatch.setattr(strict_device, "cuda", cuda)
    backend = strict_device.backend()
    transfers = {"to_host": 0, "asarray": 0}

    def counted(name):
        method = getattr(backend, name)

        def call(*args, **kwargs):
            transfers[name] += 1
            return method(*args, **kwargs)

        return call

    for name in transfers:
        setattr(backend, name, counted(name))
    launcher = PlainLauncher(cuda, strict_device.ndarray, lambda a: a._device)
    return SimpleNamespace(backend=backend, cuda=cuda, launcher=launcher, product=product_on(cuda), transfers=transfers)
