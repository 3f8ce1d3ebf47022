"""The CUDA path, rehearsed: CPU tensors in the place of CUDA tensors, kernels on the emulator of threads and blocks."""

import contextlib
from types import SimpleNamespace

import numpy as np
import pytest

from cuda_emulator import EmulatorLauncher, require
from synann_np.layers import SynapseGraph

pytest.importorskip("torch")

import torch

from synann_np.bridges.torch import cuda


@pytest.fixture
def streams(monkeypatch):
    """The streams that kernels were launched on."""
    require()
    entered = []

    @contextlib.contextmanager
    def external_stream(pointer):
        entered.append(pointer)
        with np.errstate(all="ignore"):
            yield

    xp = SimpleNamespace(
        from_dlpack=np.from_dlpack,
        cuda=SimpleNamespace(Device=lambda index: contextlib.nullcontext(), ExternalStream=external_stream),
    )
    monkeypatch.setattr(cuda, "get_backend", lambda name: SimpleNamespace(xp=xp))
    monkeypatch.setattr(cuda, "_launcher", EmulatorLauncher)
    monkeypatch.setattr(torch.cuda, "current_stream", lambda device: SimpleNamespace(cuda_stream=1234))
    return entered


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(("N", "n", "m"), [(5, 4, 7), (3, 6, 2), (1, 1, 1)])
def test_the_kernels_compute_the_layer_on_tensors_of_any_strides(rng, streams, dtype, N, n, m):
    layer = SynapseGraph(n, m, rng=rng, dtype=dtype)
    layer.params["beta"][...] = rng.choice([0.5, -2, 1], (n, m))
    x, v, dy = (rng.choice([0, 0.25, 0.5, 1], shape).astype(dtype) for shape in ((N, n), (N, m), (N, n)))
    y, cache = layer.forward(x, v)
    (dx, dv), grads = layer.backward(dy, cache)
    x, v, dy, alpha, beta = (strided(a) for a in (x, v, dy, layer.params["alpha"], layer.params["beta"]))
    found, R, zeros = cuda.forward(x, v, alpha, beta)
    results = found, *cuda.backward(dy, x, v, alpha, beta, R, zeros)
    assert zeros.dtype == torch.uint8
    for a, b in zip(results, (y, dx, dv, grads["alpha"], grads["beta"]), strict=True):
        assert a.dtype == getattr(torch, dtype)
        np.testing.assert_allclose(a.numpy(), b, rtol=1e-5 if dtype == "float32" else 1e-12, atol=1e-7)
    assert streams == [1234, 1234]


def strided(a):
    """A tensor with gaps between its elements, which begins where no kernel may read four values at a time."""
    wide = np.full((*a.shape[:-1], 2 * a.shape[-1] + 1), np.nan, a.dtype)
    wide[..., 1::2] = a
    return torch.from_numpy(wide)[..., 1::2].requires_grad_()


def test_memory_that_begins_elsewhere_is_copied_to_where_kernels_may_read():
    a = torch.arange(9.0)[1:]
    assert a.is_contiguous()
    readable = cuda._readable(a)
    assert readable.data_ptr() % 16 == 0
    assert torch.equal(readable, a)
    whole = torch.arange(8.0)
    assert cuda._readable(whole).data_ptr() == whole.data_ptr()


def test_no_rows_launch_nothing(streams):
    y, _, _ = cuda.forward(torch.zeros(0, 4), torch.zeros(0, 3), torch.ones(4), torch.ones(4, 3))
    assert y.shape == (0, 4)
    assert not streams
