import itertools

import numpy as np
import pytest

import synann_np
from layers.standard import LayerTests
from synann_np.layers import Synapse, SynapseRNN, SynapseTensor
from synann_np.sequential import Sequential

CASES = {
    "no-hidden-layer": (lambda **options: SynapseTensor(3, **options), (4, 3)),
    "one-hidden-layer": (lambda **options: SynapseTensor(3, (2,), **options), (4, 3)),
    "two-hidden-layers": (lambda **options: SynapseTensor(3, (4, 2), **options), (5, 3)),
    "three-of-one-unit": (lambda **options: SynapseTensor(1, (1, 1, 1), **options), (1, 1)),
    "surprisal-parameters": (lambda **options: SynapseTensor(2, (3,), "surprisal", **options), (4, 2)),
    "fixed-alpha": (lambda **options: SynapseTensor(2, (3,), "free", False, **options), (4, 2)),
}


class TestSynapseTensor(LayerTests):
    cases = CASES

    def draw(self, rng, shape):
        return rng.uniform(0, 1, shape)

    def randomise(self, layer, rng):
        """Not so far from 0 that the products of many normal factors cancel all digits."""
        for p in layer.params.values():
            p[...] = rng.uniform(-1, 1, p.shape)

    def formula(self, layer, x, train):
        N, n = x.shape
        y = np.zeros((N, n))
        for row in range(N):
            known = list(x[row])
            for name, graph in layer.current_parts().items():
                alpha, beta = graph.coefficients()
                units = []
                for i in range(graph.features):
                    u = alpha[i] * (x[row, i] if name == "output." else 1.0)
                    for j in range(len(known)):
                        u *= 1 - beta[i, j] * known[j]
                    units.append(u)
                known += units
            y[row] = known[-n:]
        return y


def test_names_and_shapes():
    params = SynapseTensor(3, (4, 2)).params
    assert {name: p.shape for name, p in params.items()} == {
        "hidden1.alpha": (4,), "hidden1.beta": (4, 3),
        "hidden2.alpha": (2,), "hidden2.beta": (2, 7),
        "output.alpha": (3,), "output.beta": (3, 9),
    }  # fmt: skip


def test_fixed_alphas_are_buffers():
    tensor = SynapseTensor(3, (4,), "surprisal", False)
    assert set(tensor.params) == {"hidden1.log_gamma", "output.log_gamma"}
    assert set(tensor.buffers) == {"hidden1.theta", "output.theta"}


def test_without_hidden_layers_it_is_the_synapse(rng):
    tensor, synapse = (make(5, rng=np.random.default_rng(3), dtype="float64") for make in (SynapseTensor, Synapse))
    x, dy = rng.uniform(0, 1, (4, 5)), rng.standard_normal((4, 5))
    y, cache = tensor.forward(x)
    expected, synapse_cache = synapse.forward(x)
    np.testing.assert_array_equal(y, expected)
    dx, grads = tensor.backward(dy, cache)
    expected_dx, expected = synapse.backward(dy, synapse_cache)
    np.testing.assert_array_equal(dx, expected_dx)
    for name, g in expected.items():
        np.testing.assert_array_equal(grads[f"output.{name}"], g)


def test_hidden_units_that_inhibit_nothing_leave_the_synapse(rng):
    tensor, synapse = SynapseTensor(4, (3, 2), dtype="float64"), Synapse(4, dtype="float64")
    tensor.params["output.beta"][:, 4:] = 0
    synapse.params["beta"][...] = tensor.params["output.beta"][:, :4]
    x = rng.uniform(0, 1, (5, 4))
    np.testing.assert_allclose(tensor.forward(x)[0], synapse.forward(x)[0], rtol=1e-13)


@pytest.mark.parametrize("table", list(itertools.product([0, 1], repeat=4)), ids=str)
def test_two_hidden_layers_compute_every_boolean_function_of_two_inputs(table):
    """As a conjunction of clauses, one hidden unit for each row of the truth table that is 0. No Synapse computes XOR.

    Inputs (1, a, b); the first hidden layer has NOT a, NOT b, the second is 1 in the rows that must give 0.
    """
    tensor = SynapseTensor(3, (2, 4), dtype="float64")
    for name, p in tensor.params.items():
        p[...] = 1.0 if name.endswith("alpha") else 0.0
    tensor.params["hidden1.beta"][[0, 1], [1, 2]] = 1
    rows = list(itertools.product([0, 1], repeat=2))
    a, b, not_a, not_b = 1, 2, 3, 4
    for unit, (at_a, at_b) in enumerate(rows):  # NOR of what is 0 in this row
        tensor.params["hidden2.beta"][unit, [not_a if at_a else a, not_b if at_b else b]] = 1
        tensor.params["output.beta"][0, 5 + unit] = 1 - table[unit]
    x = np.array([(1, *row) for row in rows], "float64")
    np.testing.assert_array_equal(tensor.forward(x)[0][:, 0], table)


def test_it_is_rebuilt_from_its_file(tmp_path, rng):
    model = Sequential([("fcn", SynapseTensor(4, [3, 2], "logistic", False, rng=rng))])
    synann_np.save(tmp_path / "m.safetensors", model)
    loaded = synann_np.load(tmp_path / "m.safetensors")
    assert repr(loaded) == repr(model)
    x = rng.uniform(0, 1, (3, 4)).astype("float32")
    np.testing.assert_array_equal(loaded.forward(x)[0], model.forward(x)[0])


@pytest.mark.parametrize("shape", [(2, 2), (2, 4), (3,), (2, 3, 1)])
def test_a_wrong_width_is_refused_not_broadcast(shape):
    with pytest.raises(ValueError, match=r"SynapseTensor.*expected input"):
        SynapseTensor(3, (2,)).forward(np.zeros(shape, "float32"))


@pytest.mark.parametrize(
    "make",
    [
        lambda: SynapseTensor(3, (2, 4), rng=np.random.default_rng(0), dtype="float64"),
        lambda: SynapseRNN(3, 4, rng=np.random.default_rng(0), dtype="float64"),
    ],
    ids=["SynapseTensor", "SynapseRNN"],
)
def test_an_array_that_replaces_another_in_params_is_the_one_that_counts(make, rng):
    """Also in layers made of layers, whose parts hold the arrays too."""
    replaced, written = make(), make()
    for name, p in written.params.items():
        p *= rng.uniform(0.5, 1, p.shape)
        replaced.params[name] = p.copy()
    x = rng.uniform(size=(2, 3) if isinstance(written, SynapseTensor) else (2, 5, 3))
    (y, cache), (expected, expected_cache) = replaced.forward(x), written.forward(x)
    np.testing.assert_array_equal(y, expected)
    dy = rng.standard_normal(y.shape)
    (dx, grads), (expected_dx, expected_grads) = replaced.backward(dy, cache), written.backward(dy, expected_cache)
    np.testing.assert_array_equal(dx, expected_dx)
    assert grads.keys() == expected_grads.keys()
    for name, g in expected_grads.items():
        np.testing.assert_array_equal(grads[name], g, err_msg=name)
