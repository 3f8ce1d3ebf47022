import math

import numpy as np
import pytest

from layers.recurrent_reference import assert_truncated_gradients, naive_states
from layers.standard import LayerTests, assert_close
from synann_np.layers import RNN

CASES = {
    "last-state": (lambda **options: RNN(3, 4, **options), (2, 5, 3)),
    "all-states": (lambda **options: RNN(4, 3, True, **options), (3, 4, 4)),
    "one-row": (lambda **options: RNN(2, 5, **options), (1, 6, 2)),
    "one-step": (lambda **options: RNN(3, 2, **options), (4, 1, 3)),
    "one-unit-all-states": (lambda **options: RNN(2, 1, return_sequences=True, **options), (2, 3, 2)),
    "truncated-beyond-its-length": (lambda **options: RNN(3, 2, truncate=7, **options), (2, 4, 3)),
}


def cell_of(layer):
    W, R, b, c = (layer.params[f"{name}_l0"] for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh"))

    def cell(x, h):
        new = []
        for i in range(len(b)):
            total = b[i] + c[i]
            for j in range(len(x)):
                total += W[i, j] * x[j]
            for j in range(len(b)):
                total += R[i, j] * (0 if h is None else h[j])
            new.append(math.tanh(total))
        return np.array(new)

    return cell


class TestRNN(LayerTests):
    cases = CASES

    def randomise(self, layer, rng):
        for p in layer.params.values():
            p[...] = 0.6 * rng.standard_normal(p.shape)

    def formula(self, layer, x, train):
        states = naive_states(cell_of(layer), x)
        return states if layer.return_sequences else states[:, -1]


@pytest.mark.parametrize("return_sequences", [False, True])
@pytest.mark.parametrize("truncate", [1, 2, 3, 4, 5, 6])
def test_truncated_gradients_take_the_states_at_the_cuts_for_constants(truncate, return_sequences, rng):
    layer = RNN(3, 4, return_sequences, truncate, rng=rng, dtype="float64")
    dx = assert_truncated_gradients(layer, cell_of(layer), rng.standard_normal((2, 5, 3)), rng)
    if not return_sequences:
        reached = np.abs(dx).max(axis=(0, 2)) > 0
        np.testing.assert_array_equal(reached, [t >= 5 - truncate for t in range(5)])


@pytest.mark.parametrize("return_sequences", [False, True])
@pytest.mark.parametrize(("dtype", "tolerance"), [("float32", 2e-5), ("float64", 1e-12)])
def test_it_is_torchs_rnn_with_its_names_and_shapes(dtype, tolerance, return_sequences, rng):
    torch = pytest.importorskip("torch")
    module = torch.nn.RNN(5, 7, batch_first=True).to(getattr(torch, dtype))
    layer = RNN(5, 7, return_sequences, rng=rng, dtype=dtype)
    state = module.state_dict()
    assert {name: tuple(a.shape) for name, a in state.items()} == {name: p.shape for name, p in layer.params.items()}
    for name, p in layer.params.items():
        p[...] = state[name].numpy()
    x = rng.standard_normal((4, 9, 5)).astype(dtype)
    there = torch.from_numpy(x.copy()).requires_grad_()
    output, last = module(there)
    expected = output if return_sequences else last[0]
    y, cache = layer.forward(x)
    dy = rng.standard_normal(y.shape).astype(dtype)
    dx, grads = layer.backward(dy, cache)
    expected.backward(torch.from_numpy(dy))
    theirs = {"y": expected.detach(), "dx": there.grad, **{name: p.grad for name, p in module.named_parameters()}}
    for name, a in {"y": y, "dx": dx, **grads}.items():
        wanted = theirs[name].numpy()
        np.testing.assert_allclose(a, wanted, rtol=0, atol=tolerance * np.abs(wanted).max(), err_msg=name)


def test_weights_start_within_one_over_the_root_of_the_hidden_size():
    for p in RNN(9, 100, rng=np.random.default_rng(5)).params.values():
        assert 0.09 < np.abs(p).max() <= 0.1


def test_the_last_of_all_states_is_the_last_state(rng):
    last, every = (RNN(3, 4, every, rng=np.random.default_rng(1), dtype="float64") for every in (False, True))
    x = rng.standard_normal((2, 5, 3))
    assert_close(every.forward(x)[0][:, -1], last.forward(x)[0])


@pytest.mark.parametrize("shape", [(2, 5, 4), (2, 5, 1), (5, 3), (2, 5, 3, 1), (2, 0, 3)])
def test_a_wrong_shape_is_refused_not_broadcast(shape):
    with pytest.raises(ValueError, match=r"RNN\(.*(expected input|expected one step)"):
        RNN(3, 4).forward(np.zeros(shape, "float32"))


def test_float64_input_of_a_float32_layer_is_refused():
    with pytest.raises(TypeError, match="expected float32 input"):
        RNN(3, 4).forward(np.zeros((2, 5, 3)))


@pytest.mark.parametrize("truncate", [0, -1])
def test_truncation_to_no_step_is_refused(truncate):
    with pytest.raises(ValueError, match="expected truncate >= 1"):
        RNN(3, 4, truncate=truncate)
