"""Batch-norm, linear and log-softmax as one against the three layers."""

import numpy as np
import pytest

from synann_np.fast import compile
from synann_np.fast.head import Head, as_head
from synann_np.layers import BatchNorm1d, Linear, LogSoftmax, ReLU
from synann_np.models import SynaNN
from synann_np.sequential import Sequential


def plain(dtype="float64", C=7, K=4):
    rng = np.random.default_rng(3)
    norm = BatchNorm1d(C, dtype=dtype)
    norm.params["weight"][...] = rng.uniform(0.5, 2, C)
    norm.params["bias"][...] = rng.standard_normal(C)
    return Sequential([("bn", norm), ("fc", Linear(C, K, rng=rng, dtype=dtype)), ("log", LogSoftmax())], dtype)


@pytest.mark.parametrize("train", [True, False])
@pytest.mark.parametrize(("dtype", "tolerance"), [("float64", 1e-12), ("float32", 1e-5)])
def test_numbers_equal_those_of_the_layers(train, dtype, tolerance, rng):
    expected, found = [], []
    for model, results in ((plain(dtype), expected), (as_head(plain(dtype)), found)):
        rng = np.random.default_rng(0)
        for N in (5, 2, 100):
            x, dy = (3 * rng.standard_normal((N, n)).astype(dtype) + 1 for n in (7, 4))
            before = x.copy(), dy.copy()
            y, caches = model.forward(x, train)
            dx, grads = model.backward(dy, caches)
            assert np.array_equal(x, before[0])
            assert np.array_equal(dy, before[1])
            results += [y, dx, *(grads[name] for name in sorted(grads)), *model.buffers.values()]
    assert isinstance(model, Head)
    assert len(expected) == len(found) == 3 * 8
    for a, b in zip(expected, found, strict=True):
        assert b.dtype == dtype
        assert a.shape == b.shape
        assert np.abs(a - b).max() <= tolerance * max(1, np.abs(a).max())


def test_what_the_layers_refuse_is_refused(rng):
    head = as_head(plain())
    with pytest.raises(ValueError, match="more than one value"):
        head.forward(rng.standard_normal((1, 7)), train=True)
    with pytest.raises(ValueError, match="BatchNorm1d"):
        head.forward(rng.standard_normal((5, 8)), train=True)
    with pytest.raises(TypeError, match="float64"):
        head.forward(rng.standard_normal((5, 7)).astype("float32"), train=True)


def test_large_numbers_do_not_overflow():
    head, x = as_head(plain()), np.random.default_rng(0).standard_normal((5, 7))
    head.layers["fc"].params["weight"] *= 1e4
    with np.errstate(under="ignore"):
        y, _ = head.forward(x, train=True)
    assert np.isfinite(y).all()


def test_the_head_of_the_network_is_recognised_and_nothing_else():
    assert isinstance(compile(SynaNN(), threads=1).joint, Head)
    layers = list(plain().layers.items())
    for others in (layers[:2], [*layers[:1], ("relu", ReLU()), *layers[1:]]):
        model = Sequential(others, "float64")
        assert as_head(model) is model
