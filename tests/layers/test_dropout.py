import math

import numpy as np
import pytest

from layers.standard import LayerTests
from synann_np.counter_random import keep_mask
from synann_np.layers import Dropout, Dropout2d

CASES = {
    "one-row": (lambda rng, **_: Dropout(0.5, rng=rng), (1, 7)),
    "sizes-all-different": (lambda rng, **_: Dropout(0.3, rng=rng), (4, 5)),
    "images": (lambda rng, **_: Dropout(0.75, rng=rng), (2, 3, 4, 5)),
    "nothing-dropped": (lambda rng, **_: Dropout(0.0, rng=rng), (2, 3)),
}


class TestDropout(LayerTests):
    cases = CASES

    def formula(self, layer, x, train):
        if not train:
            return x
        keep = keep_mask(x.shape, layer.p, layer.seed, 0, like=x)
        y = np.zeros(x.shape)
        for index in np.ndindex(*x.shape):
            y[index] = x[index] / (1 - layer.p) if keep[index] else 0
        return y


CHANNEL_CASES = {
    "one-row": (lambda rng, **_: Dropout2d(0.5, rng=rng), (1, 7, 2, 3)),
    "sizes-all-different": (lambda rng, **_: Dropout2d(0.3, rng=rng), (5, 4, 3, 2)),
}


class TestDropout2d(LayerTests):
    cases = CHANNEL_CASES

    def formula(self, layer, x, train):
        if not train:
            return x
        N, C, H, W = x.shape
        keep = keep_mask((N, C), layer.p, layer.seed, 0, like=x)
        y = np.zeros(x.shape)
        for n, c, h, w in np.ndindex(N, C, H, W):
            y[n, c, h, w] = x[n, c, h, w] / (1 - layer.p) if keep[n, c] else 0
        return y


def dropped(layer, shape=(20, 30), step=0):
    """Which elements of ones come out as zero."""
    return layer.forward(np.ones(shape, "float32"), train=True, step=step)[0] == 0


def layer_with_seed(seed, p=0.5):
    return Dropout(p, rng=np.random.default_rng(seed))


@pytest.mark.parametrize("p", [0.01, 0.1, 0.5, 0.9])
def test_the_rate_of_dropped_elements_is_p_within_binomial_bounds(p):
    n = 200_000
    count = dropped(layer_with_seed(5, p), (n,)).sum()
    assert abs(count - n * p) < 5 * math.sqrt(n * p * (1 - p))


def test_channels_are_dropped_at_the_rate_p_within_binomial_bounds():
    layer, n = Dropout2d(0.25, rng=np.random.default_rng(5)), 100 * 200
    count = dropped(layer, (100, 200, 1, 2))[..., 0].sum()
    assert abs(count - n * 0.25) < 5 * math.sqrt(n * 0.25 * 0.75)


def test_the_mean_is_kept():
    y, _ = layer_with_seed(5, 0.2).forward(np.full(200_000, 3.0), train=True)
    assert abs(y.mean() - 3) < 5 * 3 * math.sqrt(0.2 / 0.8 / 200_000)


def test_what_is_kept_is_divided_by_one_minus_p():
    y, _ = layer_with_seed(5, 0.75).forward(np.full(100, 3.0), train=True)
    assert set(y) == {0.0, 12.0}


def test_the_gradient_goes_through_the_same_mask():
    layer = layer_with_seed(5, 0.75)
    x = np.ones((10, 10))
    y, cache = layer.forward(x, train=True, step=3)
    dx, grads = layer.backward(2 * x, cache)
    np.testing.assert_array_equal(dx, 2 * y)
    assert grads == {}


def test_channels_are_kept_or_dropped_as_a_whole():
    gone = dropped(Dropout2d(0.5, rng=np.random.default_rng(5)), (6, 7, 4, 5))
    by_channel = gone.reshape(6, 7, 20)
    assert (by_channel.all(axis=-1) | ~by_channel.any(axis=-1)).all()
    assert 0 < gone.mean() < 1


def test_the_same_seed_and_step_give_the_same_mask():
    np.testing.assert_array_equal(dropped(layer_with_seed(5), step=3), dropped(layer_with_seed(5), step=3))


def test_a_mask_does_not_depend_on_the_masks_before_it():
    layer = layer_with_seed(5)
    for step in range(3):
        dropped(layer, step=step)
    np.testing.assert_array_equal(dropped(layer, step=3), dropped(layer_with_seed(5), step=3))


def test_another_step_gives_another_mask():
    assert (dropped(layer_with_seed(5), step=3) != dropped(layer_with_seed(5), step=4)).mean() > 0.4


def test_another_seed_gives_another_mask():
    assert (dropped(layer_with_seed(5)) != dropped(layer_with_seed(6))).mean() > 0.4


def test_two_layers_of_one_generator_have_different_masks():
    rng = np.random.default_rng(5)
    first, second = Dropout(rng=rng), Dropout(rng=rng)
    assert (dropped(first) != dropped(second)).mean() > 0.4


def test_two_layers_without_generator_have_different_masks():
    assert (dropped(Dropout()) != dropped(Dropout())).mean() > 0.3


def test_float32_and_float64_have_the_same_mask():
    x = np.ones((20, 30))
    layer = layer_with_seed(5)
    narrow, _ = layer.forward(x.astype("float32"), train=True)
    np.testing.assert_array_equal(narrow, layer.forward(x, train=True)[0])


@pytest.mark.parametrize("make", [Dropout, Dropout2d])
def test_evaluation_is_the_identity(make, rng):
    x = rng.standard_normal((2, 3, 4, 5))
    y, cache = make(0.5).forward(x)
    np.testing.assert_array_equal(y, x)
    np.testing.assert_array_equal(make(0.5).backward(x, cache)[0], x)


@pytest.mark.parametrize("make", [Dropout, Dropout2d])
def test_a_part_of_a_batch_has_the_rows_of_the_mask_of_the_whole(make):
    layer, x = make(0.5, rng=np.random.default_rng(5)), np.ones((7, 6, 2, 3), "float32")
    whole = layer.mask(x, 3)
    np.testing.assert_array_equal(layer.mask(x[2:5], 3, first_row=2), whole[2:5])
    np.testing.assert_array_equal(layer.forward(x, train=True, step=3)[0], x * whole)


def test_with_p_0_nothing_is_dropped():
    np.testing.assert_array_equal(layer_with_seed(5, 0).forward(np.full(1000, 3.0), train=True)[0], 3)


def test_with_p_1_everything_is_dropped_and_stays_finite():
    layer = layer_with_seed(5, 1)
    y, cache = layer.forward(np.full(1000, 3.0), train=True)
    assert not y.any()
    assert not layer.backward(y + 1, cache)[0].any()


@pytest.mark.parametrize("make", [Dropout, Dropout2d])
@pytest.mark.parametrize("p", [-0.1, 1.1, math.nan, math.inf])
def test_p_outside_0_to_1_is_refused(make, p):
    with pytest.raises(ValueError, match=r"expected p in 0\.\.1"):
        make(p)


@pytest.mark.parametrize("shape", [(4, 3), (4, 3, 2), (4, 3, 2, 2, 1)])
def test_dropout_of_channels_refuses_what_is_no_batch_of_images(shape):
    with pytest.raises(ValueError, match="expected input"):
        Dropout2d(0.5).forward(np.zeros(shape), train=True)
