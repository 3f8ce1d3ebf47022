"""The synapse graph of two inputs. Its standard tests run on the two side by side, as one array."""

import numpy as np
import pytest

import strict_device
from layers.standard import LayerTests, assert_close
from synann_np.layers import Synapse, SynapseGraph
from synann_np.mathematics import surprisal


class SideBySide:
    """A SynapseGraph with x and v as the columns of one input."""

    def __init__(self, graph):
        self.graph = graph
        self.params, self.buffers, self.backend = graph.params, graph.buffers, graph.backend

    def forward(self, xv, train=False):
        if isinstance(xv, list):
            return self.graph.forward(xv, xv)
        n = self.graph.features
        return self.graph.forward(xv[:, :n], xv[:, n:], train)

    def backward(self, dy, cache):
        inputs, grads = self.graph.backward(dy, cache)
        return np.concatenate(inputs, axis=1), grads


CASES = {
    "sizes-all-different": (lambda **options: SideBySide(SynapseGraph(4, 3, **options)), (5, 7)),
    "more-inhibitors": (lambda **options: SideBySide(SynapseGraph(2, 6, **options)), (3, 8)),
    "one-row": (lambda **options: SideBySide(SynapseGraph(3, 2, **options)), (1, 5)),
    "one-inhibitor": (lambda **options: SideBySide(SynapseGraph(3, 1, **options)), (2, 4)),
    "one-unit": (lambda **options: SideBySide(SynapseGraph(1, 4, **options)), (2, 5)),
}


class TestSynapseGraph(LayerTests):
    cases = CASES

    def draw(self, rng, shape):
        return rng.uniform(0, 1, shape)

    def formula(self, layer, x, train):
        alpha, beta = layer.params["alpha"], layer.params["beta"]
        n, m = beta.shape
        y = np.zeros((len(x), n))
        for row in range(len(x)):
            for i in range(n):
                y[row, i] = alpha[i] * x[row, i]
                for j in range(m):
                    y[row, i] *= 1 - beta[i, j] * x[row, n + j]
        return y


def test_the_synapse_is_the_case_of_one_input_and_its_gradient_the_sum_of_two(rng):
    synapse, graph = (make(rng=np.random.default_rng(3), dtype="float64") for make in (one_input, two_inputs))
    x, dy = rng.uniform(0, 1, (6, 5)), rng.standard_normal((6, 5))
    y, cache = synapse.forward(x)
    y2, cache2 = graph.forward(x, x)
    dx, grads = synapse.backward(dy, cache)
    (dx2, dv2), grads2 = graph.backward(dy, cache2)
    np.testing.assert_array_equal(y, y2)
    np.testing.assert_array_equal(dx, dx2 + dv2)
    assert grads.keys() == grads2.keys() == {"alpha", "beta"}
    for name, g in grads.items():
        np.testing.assert_array_equal(g, grads2[name])


def one_input(**options):
    return Synapse(5, **options)


def two_inputs(**options):
    return SynapseGraph(5, 5, **options)


def test_beta_starts_within_one_over_the_root_of_the_inhibitors():
    params = SynapseGraph(300, 25, rng=np.random.default_rng(5)).params
    assert params["beta"].shape == (300, 25)
    assert 0.198 < np.abs(params["beta"]).max() <= 0.2


def test_at_zero_and_one_it_computes_x_and_none_of_v():
    graph = SynapseGraph(1, 2, dtype="float64")
    graph.params["beta"][...] = 1
    for x, v, w in np.ndindex(2, 2, 2):
        y, _ = graph.forward(np.array([[float(x)]]), np.array([[float(v), float(w)]]))
        assert y[0, 0] == (x and not (v or w))


def test_where_factors_are_zero_the_gradients_are_the_products_of_the_others():
    graph = SynapseGraph(2, 3, dtype="float64")
    graph.params["alpha"][...] = 2, 3
    graph.params["beta"][...] = [[2, 0.5, 1], [2, 1, 0]]  # one factor is zero, and two
    _, cache = graph.forward(np.array([[0.25, 0.5]]), np.array([[0.5, 1.0, 0.5]]))
    (dx, dv), grads = graph.backward(np.ones((1, 2)), cache)
    c = 2 * 0.25 * 0.5 * 0.5  # of the one zero factor
    np.testing.assert_array_equal(dx, [[0, 0]])
    np.testing.assert_array_equal(dv, [[-2 * c, 0, 0]])
    np.testing.assert_array_equal(grads["beta"], [[-0.5 * c, 0, 0], [0, 0, 0]])
    np.testing.assert_array_equal(grads["alpha"], [0, 0])


def test_its_logarithm_is_the_surprisal_graph(rng):
    """y, dx and dv against surprisal.py, whose gradient is of another form: with w = −log y, dy = −dw / y."""
    graph = SynapseGraph(4, 3, "surprisal", rng=rng, dtype="float64")
    graph.params["theta"][...] = rng.uniform(-1, 1, 4)
    theta, gamma = graph.params["theta"], np.exp(graph.params["log_gamma"])
    x, v = rng.uniform(0.1, 1, (5, 4)), rng.uniform(0.1, 1, (5, 3))
    dw = rng.standard_normal((5, 4))
    w, cache = surprisal.surprisal_graph(-np.log(x), -np.log(v), theta, gamma)
    du, dlog_v, dtheta, dgamma = surprisal.surprisal_graph_backward(dw, cache)

    y, cache = graph.forward(x, v)
    (dx, dv), grads = graph.backward(-dw / y, cache)
    assert_close(-np.log(y), w)
    assert_close(dx, -du / x)
    assert_close(dv, -dlog_v / v)
    assert_close(grads["theta"], dtheta)
    assert_close(grads["log_gamma"], dgamma * gamma)


@pytest.mark.parametrize("parametrisation", ["free", "logistic", "surprisal"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_on_the_device_it_equals_numpy_bit_for_bit(parametrisation, dtype):
    results = []
    for backend in (strict_device.backend(), "numpy"):
        rng = np.random.default_rng(11)
        graph = SynapseGraph(4, 3, parametrisation, rng=rng, dtype=dtype, backend=backend)
        x, v, dy = (graph.backend.asarray(rng.uniform(0, 1, (5, size)), dtype) for size in (4, 3, 4))
        y, cache = graph.forward(x, v)
        (dx, dv), grads = graph.backward(dy, cache)
        results.append({name: graph.backend.to_host(a) for name, a in {"y": y, "dx": dx, "dv": dv, **grads}.items()})
    for name, a in results[1].items():
        np.testing.assert_array_equal(results[0][name], a, err_msg=name, strict=True)


@pytest.mark.parametrize(
    ("x", "v"), [((5, 3), (5, 3)), ((5, 4), (5, 4)), ((5, 4), (1, 3)), ((1, 4), (5, 3)), ((5, 4), (5,))]
)
def test_wrong_sizes_are_refused_not_broadcast(x, v):
    with pytest.raises(ValueError, match="expected input"):
        SynapseGraph(4, 3).forward(np.zeros(x, "float32"), np.zeros(v, "float32"))
