"""Dropout masks drawn for several steps, against those that the layers draw."""

import numpy as np
import pytest

from synann_np.fast import masks_ahead
from synann_np.fast.masks_ahead import STEPS, dropout_mask
from synann_np.layers import Dropout, Dropout2d


@pytest.mark.parametrize("p", [0.0, 0.3, 0.5, 1.0])
@pytest.mark.parametrize(("kind", "shape"), [(Dropout, (7, 5)), (Dropout2d, (6, 3, 4, 4)), (Dropout, (130, 128))])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_masks_are_those_of_the_layer(kind, shape, p, dtype):
    dropout, x = kind(p, seed=2**62 + 11), np.zeros(shape, dtype)
    for step in (0, 1, STEPS - 1, STEPS, 10**6 + 3):
        for first_row in (0, 50):
            expected = dropout.mask(x, step, first_row)
            mask = dropout_mask(dropout, dropout.mask_shape(x), x.dtype, step, first_row)
            assert mask.dtype == dtype
            assert np.array_equal(mask, expected), (step, first_row)


def test_small_and_large_masks_are_both_among_the_cases():
    assert 7 * 5 <= masks_ahead.SMALL < 130 * 128


def test_settings_that_change_are_noticed():
    dropout, x = Dropout(0.5, seed=3), np.zeros((20, 8))
    before = dropout_mask(dropout, x.shape, x.dtype, 0, 0)
    dropout.p, dropout.scale = 0.0, 1.0
    assert (before == 0).any()
    assert (dropout_mask(dropout, x.shape, x.dtype, 0, 0) == 1).all()


def test_a_mask_cannot_be_changed_under_the_feet_of_the_next_call():
    mask = dropout_mask(Dropout(0.5, seed=3), (4, 4), "float32", 0, 0)
    with pytest.raises(ValueError, match="read-only"):
        mask *= 2
