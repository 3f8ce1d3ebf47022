"""What all tests share: arithmetic is stricter than users have it, and chance is seeded."""

import numpy as np
import pytest

pytest.register_assert_rewrite("layers.standard")


@pytest.fixture(autouse=True)
def strict_arithmetic():
    """Overflow, underflow, division by zero and NaN from numbers raise FloatingPointError in every test."""
    with np.errstate(all="raise"):
        yield


@pytest.fixture
def rng():
    return np.random.default_rng(5)
