import math

import numpy as np
import pytest

from layers.recurrent_reference import assert_truncated_gradients, naive_states
from layers.standard import LayerTests, assert_close
from synann_np.layers import SynapseGraph, SynapseRNN

CASES = {
    "last-state": (lambda **options: SynapseRNN(3, 4, **options), (2, 5, 3)),
    "all-states": (lambda **options: SynapseRNN(4, 3, True, **options), (3, 4, 4)),
    "free": (lambda **options: SynapseRNN(2, 3, parametrisation="free", **options), (2, 4, 2)),
    "surprisal-all-states": (lambda **options: SynapseRNN(2, 3, True, None, "surprisal", **options), (2, 4, 2)),
    "bare": (lambda **options: SynapseRNN(3, 4, leak=False, **options), (2, 3, 3)),
    "fixed-alpha": (lambda **options: SynapseRNN(3, 2, train_alpha=False, **options), (2, 3, 3)),
    "one-row": (lambda **options: SynapseRNN(2, 4, **options), (1, 5, 2)),
    "one-step": (lambda **options: SynapseRNN(3, 2, **options), (4, 1, 3)),
    "one-unit-all-states": (lambda **options: SynapseRNN(2, 1, True, **options), (2, 3, 2)),
    "gains": (lambda **options: SynapseRNN(3, 4, True, gain=3.0, beta_gain=2.5, **options), (2, 5, 3)),
    "gains-free": (
        lambda **options: SynapseRNN(2, 3, False, None, "free", gain=0.5, beta_gain=0.3, **options),
        (2, 4, 2),
    ),
    "gains-surprisal": (
        lambda **options: SynapseRNN(2, 3, True, None, "surprisal", beta_gain=0.5, **options),
        (2, 4, 2),
    ),
    "truncated-beyond-its-length": (lambda **options: SynapseRNN(3, 2, truncate=7, **options), (2, 4, 3)),
}


def sigma(value):
    return 1 / (1 + math.exp(-value))


def cell_of(layer):
    """One step for one row, from the formulas of the docstrings."""
    arrays = layer.params | layer.buffers
    W, b, k, k_beta = arrays["weight"], arrays["bias"], layer.config["gain"], layer.config["beta_gain"]

    def alpha(i):
        return math.exp(-arrays["theta"][i]) if "theta" in arrays else arrays["alpha"][i]

    def beta(i, j):
        if "beta" in arrays:
            return k_beta * arrays["beta"][i, j]
        if "beta_logit" in arrays:
            return sigma(k_beta * arrays["beta_logit"][i, j])
        return math.exp(-math.exp(k_beta * arrays["log_gamma"][i, j]))

    def cell(x, h):
        new = []
        for i in range(len(b)):
            before = 0.0 if h is None else h[i]
            S = alpha(i) * sigma(k * (b[i] + sum(W[i, j] * x[j] for j in range(len(x)))))
            for j in range(len(b)):
                S *= 1 - beta(i, j) * (0.0 if h is None else h[j])
            g = sigma(arrays["leak_logit"][i]) if "leak_logit" in arrays else 1.0
            new.append((1 - g) * before + g * S)
        return np.array(new)

    return cell


class TestSynapseRNN(LayerTests):
    cases = CASES

    def randomise(self, layer, rng):
        for name, p in layer.params.items():
            p[...] = rng.uniform(0.5, 1.5, p.shape) if name == "alpha" else 0.7 * rng.standard_normal(p.shape)

    def formula(self, layer, x, train):
        states = naive_states(cell_of(layer), x)
        return states if layer.return_sequences else states[:, -1]


@pytest.mark.parametrize("return_sequences", [False, True])
@pytest.mark.parametrize("leak", [False, True])
@pytest.mark.parametrize("truncate", [1, 2, 3, 4, 5])
def test_truncated_gradients_take_the_states_at_the_cuts_for_constants(truncate, leak, return_sequences, rng):
    layer = SynapseRNN(2, 3, return_sequences, truncate, leak=leak, rng=rng, dtype="float64")
    layer.params["alpha"][...] = rng.uniform(0.5, 1.5, 3)
    dx = assert_truncated_gradients(layer, cell_of(layer), rng.standard_normal((2, 5, 2)), rng)
    if not return_sequences:
        reached = np.abs(dx).max(axis=(0, 2)) > 0
        np.testing.assert_array_equal(reached, [t >= 5 - truncate for t in range(5)])


def test_a_bare_step_is_the_synapse_graph_of_excitation_and_state(rng):
    layer = SynapseRNN(3, 4, leak=False, rng=rng, dtype="float64")
    graph = SynapseGraph(4, 4, "logistic", dtype="float64")
    for name, p in graph.params.items():
        p[...] = layer.params[name]
    x = rng.standard_normal((2, 2, 3))
    e = 1 / (1 + np.exp(-(x @ layer.params["weight"].T + layer.params["bias"])))
    first, _ = graph.forward(e[:, 0], np.zeros((2, 4)))
    second, _ = graph.forward(e[:, 1], first)
    assert_close(layer.forward(x)[0], second)


def test_the_state_before_inhibits_and_never_excites_but_through_the_leak(rng):
    """With β in (0, 1) and no leak, no state falls when an input of the step before closes all its channels."""
    layer = SynapseRNN(2, 3, leak=False, rng=rng, dtype="float64")
    x = rng.standard_normal((4, 2, 2))
    closed = x.copy()
    closed[:, 0] = 0
    layer.params["bias"][...] = -1.0
    layer.params["weight"][...] = np.abs(layer.params["weight"])
    x[:, 0] = np.abs(x[:, 0])
    assert (layer.forward(closed)[0] > layer.forward(x)[0]).all()


@pytest.mark.parametrize("leak", [False, True])
@pytest.mark.parametrize("parametrisation", ["logistic", "surprisal"])
def test_with_alpha_of_one_all_states_are_probabilities(parametrisation, leak, rng):
    layer = SynapseRNN(3, 8, True, None, parametrisation, leak, False, rng=rng)
    for p in layer.params.values():
        p[...] = 3 * rng.standard_normal(p.shape)
    y, _ = layer.forward(rng.normal(0, 5, (6, 20, 3)).astype("float32"))
    assert y.min() >= 0
    assert y.max() <= 1
    assert np.ptp(y[:, -1]) > 0.2


def test_leaking_rates_start_between_one_in_32_steps_and_nearly_every_step():
    layer = SynapseRNN(2, 500, rng=np.random.default_rng(5))
    g = 1 / (1 + np.exp(-layer.params["leak_logit"]))
    assert 1 / 32 <= g.min() < 0.04
    assert 0.88 < g.max() <= 0.9


@pytest.mark.parametrize("parametrisation", ["free", "logistic", "surprisal"])
def test_beta_starts_the_same_for_all_gains(parametrisation):
    plain, steep = (
        SynapseRNN(3, 4, parametrisation=parametrisation, rng=np.random.default_rng(5), dtype="float64", beta_gain=gain)
        for gain in (1.0, 100.0)
    )
    name = next(name for name in plain.params if name in ("beta", "beta_logit", "log_gamma"))
    assert_close(100 * steep.params[name], plain.params[name])
    coefficients = [layer.current_parts()[""].coefficients() for layer in (plain, steep)]
    assert_close(coefficients[1][1], coefficients[0][1])


def test_without_a_leak_it_has_as_many_weights_as_the_plain_layer_but_names_of_its_own():
    layer = SynapseRNN(28, 64, leak=False)
    assert {name: p.shape for name, p in layer.params.items()} == {
        "weight": (64, 28), "bias": (64,), "alpha": (64,), "beta_logit": (64, 64),
    }  # fmt: skip
    assert SynapseRNN(28, 64).params["leak_logit"].shape == (64,)
    assert SynapseRNN(28, 64, train_alpha=False).buffers.keys() == {"alpha"}


@pytest.mark.parametrize("shape", [(2, 5, 4), (2, 5, 1), (5, 3), (2, 5, 3, 1), (2, 0, 3)])
def test_a_wrong_shape_is_refused_not_broadcast(shape):
    with pytest.raises(ValueError, match=r"SynapseRNN\(.*(expected input|expected one step)"):
        SynapseRNN(3, 4).forward(np.zeros(shape, "float32"))


def test_an_unknown_parametrisation_is_refused():
    with pytest.raises(ValueError, match="expected parametrisation"):
        SynapseRNN(3, 4, parametrisation="softplus")


def test_arrays_that_replace_those_in_params_are_the_ones_used(rng):
    """As where the weights are moved to shared memory."""
    layer, other = (SynapseRNN(3, 4, rng=np.random.default_rng(seed), dtype="float64") for seed in (1, 2))
    x = rng.standard_normal((2, 5, 3))
    for name, p in other.params.items():
        layer.params[name] = p.copy()
    y, cache = other.forward(x)
    dy = rng.standard_normal(y.shape)
    np.testing.assert_array_equal(layer.forward(x)[0], y)
    (dx, grads), (dx2, grads2) = other.backward(dy, cache), layer.backward(dy, cache)
    for a, b in [(dx, dx2), *((grads[name], grads2[name]) for name in grads)]:
        np.testing.assert_array_equal(a, b)
