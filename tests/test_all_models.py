"""What holds for every network that `--model` offers."""

import numpy as np
import pytest

from synann_np import fast
from synann_np.losses import nll_loss
from synann_np.models import MODELS
from synann_np.storage import checkpoint

every_model = pytest.mark.parametrize("name", MODELS)


def batch(N, dtype="float64"):
    rng = np.random.default_rng(3)
    return rng.standard_normal((N, 1, 28, 28)).astype(dtype), rng.integers(0, 10, N)


@every_model
@pytest.mark.parametrize("train", [False, True])
def test_the_gradient_of_the_loss_equals_numeric_gradients(name, train):
    """Two elements of every parameter, of those with the largest gradients; dropout's masks are held by the step."""
    model = MODELS[name](dtype="float64")
    x, labels = batch(4)

    def loss():
        log_probs, caches = model.forward(x, train=train, step=1)
        return *nll_loss(log_probs, labels), caches

    _, dlog_probs, caches = loss()
    _, grads = model.backward(dlog_probs, caches)
    assert grads.keys() == model.params.keys()
    largest = max(np.abs(g).max() for g in grads.values())
    for key, p in model.params.items():
        for i in np.argsort(np.abs(grads[key]), axis=None)[-2:]:
            index, h = np.unravel_index(i, p.shape), 1e-6
            kept = p[index]
            p[index] = kept + h
            above = loss()[0]
            p[index] = kept - h
            below = loss()[0]
            p[index] = kept
            numeric = (above - below) / (2 * h)
            assert abs(numeric - grads[key][index]) <= 1e-5 * abs(numeric) + 1e-6 * largest, key


@every_model
def test_the_compiled_network_computes_the_same(name):
    plain, copy = (MODELS[name](seed=2, dtype="float64") for _ in range(2))
    x, labels = batch(9)
    results = []
    for model in (plain, fast.compile(copy, threads=1)):
        log_probs, caches = model.forward(x, train=True, step=3)
        dx, grads = model.backward(nll_loss(log_probs, labels)[1], caches)
        results.append({"y": log_probs, "dx": dx, "evaluated": model.forward(x)[0]} | grads)
    assert results[0].keys() == results[1].keys()
    for key, a in results[0].items():
        assert np.abs(a - results[1][key]).max() <= 1e-6 * np.abs(a).max() + 1e-12, key


@every_model
def test_a_saved_network_is_rebuilt_from_its_file(name, tmp_path):
    model = MODELS[name](seed=4)
    checkpoint.save(tmp_path / "model.safetensors", model)
    x, _ = batch(3, "float32")
    np.testing.assert_array_equal(checkpoint.load(tmp_path / "model.safetensors").forward(x)[0], model.forward(x)[0])


@every_model
def test_another_seed_gives_other_weights(name):
    first, second, again = (MODELS[name](seed=seed).state_dict() for seed in (1, 2, 1))
    assert any(not np.array_equal(first[key], a) for key, a in second.items())
    for key, a in again.items():
        np.testing.assert_array_equal(a, first[key])
