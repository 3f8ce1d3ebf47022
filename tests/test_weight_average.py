import math

import numpy as np
import pytest

import strict_device
from synann_np.layers import BatchNorm1d, Linear
from synann_np.sequential import Sequential
from synann_np.training.weight_average import WeightAverage


def network(backend="numpy", dtype="float64"):
    rng = np.random.default_rng(1)
    options = {"dtype": dtype, "backend": backend}
    return Sequential([("fc", Linear(2, 3, rng=rng, **options)), ("bn", BatchNorm1d(3, **options))], dtype, backend)


def move(model, rng):
    """New weights, as an optimiser and batch-norm make them: in place."""
    for a in (model.params | model.buffers).values():
        a[...] = model.backend.asarray(rng.uniform(0.1, 1, a.shape), dtype=a.dtype)


@pytest.mark.parametrize("decay", [0.0, 0.3, 0.9, 0.999])
def test_the_average_of_every_number_follows_the_formula(decay, rng):
    model = network()
    average = WeightAverage(model, decay)
    expected = model.state_dict()
    assert set(expected) == {"fc.weight", "fc.bias", "bn.weight", "bn.bias", "bn.running_mean", "bn.running_var"}
    for t in range(12):
        move(model, rng)
        average.update()
        d = min(decay, (1 + t) / (10 + t))
        for name, weight in model.state_dict().items():
            expected[name] = d * expected[name] + (1 - d) * weight
    assert average.updates == 12
    for name, a in average.arrays.items():
        np.testing.assert_allclose(a, expected[name], rtol=1e-13, atol=1e-15)


def test_without_decay_the_average_is_the_weights(rng):
    model = network()
    average = WeightAverage(model, 0.0)
    move(model, rng)
    average.update()
    for name, a in model.state_dict().items():
        np.testing.assert_allclose(average.arrays[name], a, rtol=1e-13)


def test_inside_the_model_has_the_average_and_afterwards_its_weights_to_the_bit(rng):
    model = network()
    average = WeightAverage(model, 0.9)
    arrays = model.params | model.buffers
    move(model, rng)
    average.update()
    weights, averages = model.state_dict(), {name: a.copy() for name, a in average.arrays.items()}
    x = rng.normal(size=(4, 2))
    outside = model.forward(x)[0]
    with average.in_place():
        assert all(np.array_equal(a, averages[name]) for name, a in model.state_dict().items())
        assert not np.allclose(model.forward(x)[0], outside)
    with pytest.raises(KeyError), average.in_place():
        raise KeyError
    assert all(np.array_equal(a, weights[name]) for name, a in model.state_dict().items())
    assert all(np.array_equal(a, averages[name]) for name, a in average.arrays.items())
    assert all(a is arrays[name] for name, a in (model.params | model.buffers).items())


def test_float32_stays_float32_and_a_device_agrees_with_the_host(rng):
    device = strict_device.backend()
    here, there = network(dtype="float32"), network(device, "float32")
    averages = WeightAverage(here, 0.9), WeightAverage(there, 0.9)
    for seed in range(3):
        for model, average in zip((here, there), averages, strict=True):
            move(model, np.random.default_rng(seed))
            average.update()
    for name, a in averages[0].arrays.items():
        assert a.dtype == np.float32
        np.testing.assert_array_equal(device.to_host(averages[1].arrays[name]), a)
    with averages[1].in_place():
        np.testing.assert_array_equal(there.state_dict()["fc.weight"], averages[0].arrays["fc.weight"])


@pytest.mark.parametrize("decay", [-0.1, 1.0, math.nan])
def test_a_decay_out_of_range_is_refused(decay):
    with pytest.raises(ValueError, match=r"WeightAverage: expected decay in \[0, 1\)"):
        WeightAverage(network(), decay)
