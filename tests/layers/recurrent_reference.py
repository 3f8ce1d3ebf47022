"""Backpropagation through time, truncated, by numeric gradients: what every recurrent layer owes beside LayerTests."""

import numpy as np

from synann_np.gradcheck import numeric_gradient


def naive_states(cell, x, held=()):
    """All states (N, T, H) of h_t = cell(x_t, h_t−1), one row and one step after the other.

    held: dict t -> h_t−1 (N, H) that step t gets instead of the state that was computed.
    """
    N, T, _ = x.shape
    rows = []
    for n in range(N):
        h, states = None, []
        for t in range(T):
            before = held[t][n] if t in held else h
            h = cell(x[n, t], before)
            states.append(h)
        rows.append(states)
    return np.array(rows)


def assert_truncated_gradients(layer, cell, x, rng):
    """layer.backward against numeric gradients of the cell's loops, the states at the cuts held constant.

    The cuts are counted here, not taken from the layer: backwards from the end, in pieces of `truncate` steps.
    """
    T = x.shape[1]
    states = naive_states(cell, x)
    held = {t: states[:, t - 1].copy() for t in range(T - layer.truncate, 0, -layer.truncate)}
    y, cache = layer.forward(x)
    dy = rng.standard_normal(y.shape)
    dx, grads = layer.backward(dy, cache)

    def loss():
        found = naive_states(cell, x, held)
        return float(((found if layer.return_sequences else found[:, -1]) * dy).sum())

    for name, a, gradient in [("x", x, dx), *((name, p, grads[name]) for name, p in layer.params.items())]:
        numeric = numeric_gradient(loss, a)
        np.testing.assert_allclose(gradient, numeric, rtol=0, atol=1e-6 * np.abs(numeric).max() + 1e-9, err_msg=name)
    return dx
