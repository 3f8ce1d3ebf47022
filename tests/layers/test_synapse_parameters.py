"""The parametrisations of the synapse: free, logistic, surprisal."""

import math

import numpy as np
import pytest

import synann_np
from layers.standard import LayerTests
from synann_np.gradcheck import check_layer
from synann_np.layers import Synapse, SynapseGraph
from synann_np.sequential import Sequential

NAMES = {"free": ("alpha", "beta"), "logistic": ("alpha", "beta_logit"), "surprisal": ("theta", "log_gamma")}


def case(parametrisation, train_alpha=True, n=4):
    return (lambda **options: Synapse(n, parametrisation, train_alpha, **options), (3, n))


CASES = {
    "logistic": case("logistic"),
    "logistic-fixed-alpha": case("logistic", False),
    "surprisal": case("surprisal"),
    "surprisal-fixed-alpha": case("surprisal", False),
    "free-fixed-alpha": case("free", False),
    "surprisal-one-unit": case("surprisal", n=1),
}


class TestParametrisations(LayerTests):
    cases = CASES

    def draw(self, rng, shape):
        return rng.uniform(0, 1, shape)

    def randomise(self, layer, rng):
        for p in (layer.params | layer.buffers).values():
            p[...] = rng.standard_normal(p.shape)

    def formula(self, layer, x, train):
        raw = layer.params | layer.buffers
        y = np.zeros(x.shape)
        for m, i in np.ndindex(*x.shape):
            y[m, i] = x[m, i] * (math.exp(-raw["theta"][i]) if "theta" in raw else raw["alpha"][i])
            for j in range(x.shape[1]):
                y[m, i] *= 1 - scalar_beta(raw, i, j) * x[m, j]
        return y


def scalar_beta(raw, i, j):
    if "beta_logit" in raw:
        return 1 / (1 + math.exp(-raw["beta_logit"][i, j]))
    return math.exp(-math.exp(raw["log_gamma"][i, j])) if "log_gamma" in raw else raw["beta"][i, j]


@pytest.mark.parametrize("train_alpha", [True, False])
@pytest.mark.parametrize("parametrisation", NAMES)
def test_a_fixed_alpha_is_a_buffer_and_has_no_gradient(parametrisation, train_alpha):
    layer = Synapse(3, parametrisation, train_alpha)
    alpha, beta = NAMES[parametrisation]
    assert set(layer.params) == ({alpha, beta} if train_alpha else {beta})
    assert set(layer.buffers) == (set() if train_alpha else {alpha})
    y, cache = layer.forward(np.full((2, 3), 0.5, "float32"))
    assert layer.backward(y, cache)[1].keys() == layer.params.keys()


@pytest.mark.parametrize("parametrisation", ["logistic", "surprisal"])
@pytest.mark.parametrize("n", [1, 2, 64, 1000])
def test_beta_starts_positive_and_about_as_large_as_the_free_one(parametrisation, n):
    layer = Synapse(n, parametrisation, rng=np.random.default_rng(5), dtype="float64")
    alpha, beta = layer.coefficients()
    np.testing.assert_array_equal(alpha, np.ones(n))
    bound = 1 / math.sqrt(n + 1)
    assert beta.min() >= 0.999 * bound / math.e**2
    assert beta.max() <= 1.001 * bound
    if n >= 64:
        free = Synapse(n, rng=np.random.default_rng(5), dtype="float64").params["beta"]
        assert 0.7 < np.abs(beta).mean() / np.abs(free).mean() < 1.3


@pytest.mark.parametrize("parametrisation", ["logistic", "surprisal"])
def test_the_start_depends_on_the_number_of_inhibitors(parametrisation):
    beta = SynapseGraph(200, 3, parametrisation, rng=np.random.default_rng(5), dtype="float64").coefficients()[1]
    assert 0.49 < beta.max() < 0.501


def test_all_parametrisations_leave_the_generator_in_the_same_state():
    after = set()
    for parametrisation in NAMES:
        rng = np.random.default_rng(5)
        Synapse(7, parametrisation, rng=rng)
        after.add(rng.random())
    assert len(after) == 1


def test_without_a_generator_the_start_is_random():
    for parametrisation in NAMES:
        first, second = (Synapse(5, parametrisation).coefficients()[1] for _ in range(2))
        assert not np.array_equal(first, second)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", ["beta_logit", "log_gamma"])
@pytest.mark.parametrize("raw", [-1e30, -800.0, -90.0, 0.0, 6.9, 7.1, 90.0, 800.0, 1e30])
def test_every_raw_number_gives_a_beta_in_range_and_finite_gradients(name, raw, dtype, rng):
    layer = Synapse(3, "logistic" if name == "beta_logit" else "surprisal", dtype=dtype)
    layer.params[name][...] = raw
    beta = layer.coefficients()[1]
    assert ((beta >= 0) & (beta <= 1)).all()
    x = rng.uniform(0, 1, (4, 3)).astype(dtype)
    x[0], x[1, 0] = 1, 0
    y, cache = layer.forward(x)
    dx, grads = layer.backward(np.ones_like(y), cache)
    assert all(np.isfinite(a).all() for a in (y, dx, *grads.values()))


def test_gamma_by_a_softplus_would_be_the_logistic_under_another_name(rng):
    raw = rng.standard_normal((4, 4))
    layer = Synapse(4, "logistic", dtype="float64")
    layer.params["beta_logit"][...] = -raw
    np.testing.assert_allclose(layer.coefficients()[1], np.exp(-np.log1p(np.exp(raw))), rtol=1e-14)


@pytest.mark.parametrize("parametrisation", ["logistic", "surprisal"])
def test_gradients_at_the_initial_values_equal_numeric_ones(parametrisation, rng):
    layer = Synapse(5, parametrisation, rng=rng, dtype="float64")
    check_layer(layer, rng.uniform(0, 1, (3, 5)), rng)


@pytest.mark.parametrize("train_alpha", [True, False])
@pytest.mark.parametrize("parametrisation", NAMES)
def test_a_saved_synapse_comes_back_with_its_parametrisation(parametrisation, train_alpha, tmp_path, rng):
    model = Sequential([("fcn", Synapse(4, parametrisation, train_alpha, rng=rng))])
    for a in (model.params | model.buffers).values():
        a += rng.uniform(0, 1, a.shape).astype("float32")
    synann_np.save(tmp_path / "m.safetensors", model)
    loaded = synann_np.load(tmp_path / "m.safetensors")
    assert repr(loaded) == repr(model)
    x = rng.uniform(0, 1, (3, 4)).astype("float32")
    np.testing.assert_array_equal(loaded.forward(x)[0], model.forward(x)[0])
    assert loaded.params.keys() == model.params.keys()


def test_an_unknown_parametrisation_is_refused_with_the_known_ones():
    with pytest.raises(
        ValueError, match=r"'squared'.*: expected parametrisation to be one of free, logistic, surprisal"
    ):
        Synapse(4, "squared")
