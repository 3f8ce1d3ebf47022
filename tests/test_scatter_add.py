import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import strict_device
from synann_np.backend import get_backend
from synann_np.mathematics.circuit.scatter_add import ScatterAdd


@settings(deadline=None, max_examples=100)
@given(st.lists(st.integers(0, 5), max_size=40))
def test_repeated_rows_are_added_up(targets):
    rng = np.random.default_rng(len(targets))
    values, out = rng.standard_normal((len(targets), 3)), rng.standard_normal((6, 3))
    expected = out.copy()
    np.add.at(expected, np.array(targets, dtype=int), values)
    for backend in (get_backend("numpy"), strict_device.backend()):  # the device refuses repeated rows
        there = backend.asarray(out.copy())
        ScatterAdd(targets, backend).add(there, backend.asarray(values.copy()))
        np.testing.assert_allclose(backend.to_host(there), expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(("readers", "rounds"), [(1, 0), (2, 1), (3, 2), (1024, 10), (1025, 11)])
def test_the_rounds_grow_with_the_logarithm_of_the_readers(readers, rounds):
    assert len(ScatterAdd([7] * readers + [2], get_backend("numpy")).rounds) == rounds
