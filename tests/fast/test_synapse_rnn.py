"""The recurrent synapse as products of powers, against the plain layer."""

import numpy as np
import pytest

from synann_np.fast import compile
from synann_np.fast.synapse_rnn import MOST_TERMS, FastSynapseRNN, Products, Series, powers_of, terms
from synann_np.gradcheck import check_layer
from synann_np.layers import BatchNorm1d, Rows, SynapseRNN
from synann_np.sequential import Sequential

CASES = {
    "as it starts": {},
    "all states": {"return_sequences": True},
    "truncated": {"truncate": 4},
    "truncated, all states": {"truncate": 3, "return_sequences": True},
    "bare": {"leak": False},
    "fixed alpha": {"train_alpha": False},
    "surprisal": {"parametrisation": "surprisal"},
    "free": {"parametrisation": "free"},
}


def build(dtype, n=24, strength=1.0, **arguments):
    rng = np.random.default_rng(7)
    layer = SynapseRNN(6, n, rng=rng, dtype=dtype, **arguments)
    if "alpha" in layer.params:
        layer.params["alpha"][...] = rng.uniform(0.6, 1.4, n)
    if "beta" in layer.params:
        layer.params["beta"] *= strength
    x = rng.standard_normal((9, 10, 6)).astype(dtype)
    return layer, x, rng


def both(layer, x, rng):
    """dict of what the fast layer computes, and of what the plain one does."""
    fast = FastSynapseRNN(layer)
    y, cache = layer.forward(x, True)
    dy = rng.standard_normal(y.shape).astype(x.dtype)
    dx, grads = layer.backward(dy, cache)
    y2, cache2 = fast.forward(x, True)
    dx2, grads2 = fast.backward(dy, cache2)
    assert list(grads2) == list(grads)
    return {"y": y2, "dx": dx2, **grads2}, {"y": y, "dx": dx, **grads}, cache2


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize(("dtype", "tolerance"), [("float32", 2e-5), ("float64", 1e-12)])
def test_it_equals_the_plain_layer(case, dtype, tolerance):
    fast, plain, cache = both(*build(dtype, **CASES[case]))
    if dtype == "float32":
        assert cache[0] is not None, "the plain layer was compared with itself"
    for name, a in plain.items():
        assert fast[name].dtype == a.dtype, name
        assert fast[name].shape == a.shape, name
        assert np.abs(fast[name] - a).max() <= tolerance * np.abs(a).max(), name


@pytest.mark.parametrize(("dtype", "tolerance"), [("float32", 2e-5), ("float64", 1e-12)])
@pytest.mark.parametrize("logit", [2.0, 5.0, 20.0])
def test_strong_inhibition_takes_the_products_of_all_factors(logit, dtype, tolerance):
    layer, x, rng = build(dtype, return_sequences=True)
    layer.params["weight"] *= 3
    layer.params["beta_logit"][::3, ::2] = logit
    fast, plain, cache = both(layer, x, rng)
    ways = {type(way) for *_, way in cache[1][2]}
    assert Products in ways
    for name, a in plain.items():
        assert fast[name].dtype == a.dtype, name
        assert np.abs(fast[name] - a).max() <= tolerance * np.abs(a).max(), name


@pytest.mark.parametrize("case", [case for case in CASES if "truncated" not in case])
def test_backward_equals_numeric_gradients(case):
    layer, x, rng = build("float64", n=4, strength=0.1, **CASES[case])
    for name in ("beta_logit", "log_gamma"):
        if name in layer.params:  # so weak that few terms are exact to the last digits
            layer.params[name] += -4 if name == "beta_logit" else 1
    fast = FastSynapseRNN(layer)
    assert fast.forward(x[:2])[1][0] is not None
    check_layer(fast, x[:2], rng)


@pytest.mark.parametrize("spread", [1.0, 1e-3], ids=["any states", "states alike in all rows"])
@pytest.mark.parametrize("beta", [2.5, 10.0, np.inf])
def test_where_the_series_would_not_be_accurate_the_plain_layer_computes(beta, spread):
    layer, x, rng = build("float32", parametrisation="free")
    layer.params["weight"] *= spread
    layer.params["bias"][...] = 5.0
    layer.params["beta"][0, :2] = beta
    with np.errstate(invalid="ignore" if np.isinf(beta) else "raise"):  # inf · 0
        fast, plain, cache = both(layer, x, rng)
    assert cache[0] is None
    for name, a in plain.items():
        np.testing.assert_array_equal(fast[name], a, err_msg=name)


def test_powers_stand_below_each_other_and_side_by_side_without_what_is_next_to_nothing():
    h = np.array([[0.5, 1e-11], [0.25, 1.0]], "float32")
    below = [[0.5, 1e-11], [0.25, 1], [0.25, 1e-22], [0.0625, 1], [0.125, 0], [0.015625, 1]]
    beside = [[0.5, 1e-11, 0.25, 1e-22, 0.125, 0], [0.25, 1, 0.0625, 1, 0.015625, 1]]
    np.testing.assert_allclose(powers_of(h, 3, axis=0), below, rtol=1e-6)
    np.testing.assert_allclose(powers_of(h, 3, axis=1), beside, rtol=1e-6)


def test_compile_recognises_the_layer_and_keeps_names_and_numbers(rng):
    layer = SynapseRNN(28, 16, rng=rng)
    model = Sequential([("rows", Rows()), ("rnn", layer), ("bn", BatchNorm1d(16))])
    fast = compile(model, threads=1)
    assert isinstance(fast.by_rows[1].layer, FastSynapseRNN)
    x = rng.standard_normal((130, 1, 28, 28)).astype("float32")
    y, caches = model.forward(x)
    y2, caches2 = fast.forward(x)
    dy = rng.standard_normal(y.shape).astype("float32")
    (dx, grads), (dx2, grads2) = model.backward(dy, caches), fast.backward(dy, caches2)
    assert grads2.keys() == grads.keys()
    for a, b in [(y2, y), (dx2, dx), *((grads2[name], grads[name]) for name in grads)]:
        assert np.abs(a - b).max() <= 2e-5 * np.abs(b).max()


def test_more_terms_are_taken_for_stronger_inhibition():
    layer, x, _ = build("float32")
    K = []
    for strength in (-6, -2, 2):
        layer.params["beta_logit"][...] = strength
        K.append(len(FastSynapseRNN(layer).forward(x)[1][1][2][-1][3].powers_of_x) // 24)
    assert 1 < K[0] < K[1] < K[2] <= MOST_TERMS


@pytest.mark.parametrize("r", [1e-9, 0.05, 0.2, 0.3, 0.5])
def test_terms_keep_both_errors_below_the_tolerance(r, monkeypatch):
    monkeypatch.setattr("synann_np.fast.synapse_rnn.MOST_TERMS", 24)  # the bound holds beyond what pays
    K, H = terms(r, 40, 1e-6), 40
    for sign in (1, -1):  # the worst: all factors at the end of the range
        z = sign * r
        assert H * abs(np.log1p(-z) + sum(z**k / k for k in range(1, K + 1))) <= 1e-6
        assert abs(sum(z**k for k in range(K)) * (1 - z) - 1) <= 1e-6 * (1 + 1e-6)
    assert K == 1 or r ** (K - 1) > 1e-6 or H * r**K / (K * (1 - r)) > 1e-6


def test_no_number_of_terms_is_enough_where_a_factor_may_be_zero():
    assert terms(0.9, 1, 1e-6) is terms(1.0, 1, 1e-6) is terms(np.nan, 1, 1e-6) is None


def test_strong_inhibition_is_still_within_the_series(monkeypatch):
    monkeypatch.setattr("synann_np.fast.synapse_rnn.MOST_TERMS", 24)
    layer, x, rng = build("float32", parametrisation="free")
    layer.params["bias"][...] = 5.0
    layer.params["leak_logit"][...] = -1.0
    layer.params["beta"][0, :2] = 0.9
    fast, plain, cache = both(layer, x, rng)
    assert cache[0] is not None
    assert {type(way) for *_, way in cache[1][2]} == {Series}
    for name, a in plain.items():
        assert np.abs(fast[name] - a).max() <= 2e-5 * np.abs(a).max(), name
