import math

import numpy as np
import pytest

from synann_np.layers.initializers import fan_in_uniform


@pytest.mark.parametrize("fan_in", [1, 25, 320])
def test_values_are_uniform_within_one_over_root_of_fan_in(fan_in, rng):
    values = fan_in_uniform(rng, (200, 500), fan_in)
    bound, n = 1 / math.sqrt(fan_in), 100_000
    assert values.shape == (200, 500)
    assert np.abs(values).max() <= bound
    assert values.max() > 0.999 * bound
    assert values.min() < -0.999 * bound
    assert abs(values.mean()) < 5 * bound / math.sqrt(3 * n)
    # The variance of U(±b) is b²/3, that of its square 4 b⁴/45.
    assert abs(values.var() - bound**2 / 3) < 5 * bound**2 * math.sqrt(4 / 45 / n)


def test_values_are_drawn_in_float64_on_the_host(rng):
    values = fan_in_uniform(rng, (3,), 4)
    assert type(values) is np.ndarray
    assert values.dtype == np.float64


def test_the_same_generator_gives_the_same_values():
    first, second = (fan_in_uniform(np.random.default_rng(5), (4, 3), 3) for _ in range(2))
    np.testing.assert_array_equal(first, second)


def test_a_generator_goes_on_and_gives_new_values(rng):
    assert not np.array_equal(fan_in_uniform(rng, (4, 3), 3), fan_in_uniform(rng, (4, 3), 3))


def test_without_generator_two_calls_differ():
    assert not np.array_equal(fan_in_uniform(None, (4, 3), 3), fan_in_uniform(None, (4, 3), 3))
