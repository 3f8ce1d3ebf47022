import math

import numpy as np
import pytest

from synann_np.gradcheck import numeric_gradient
from synann_np.losses import nll_loss


def log_probs(rng, N, K):
    """Logarithms of random probabilities."""
    p = rng.uniform(0.1, 1, (N, K))
    return np.log(p / p.sum(axis=1, keepdims=True))


@pytest.mark.parametrize(("N", "K"), [(1, 3), (4, 3), (5, 1), (7, 10)])
def test_loss_is_the_mean_of_minus_the_logarithm_at_the_label(N, K, rng):
    x, labels = log_probs(rng, N, K), rng.integers(K, size=N)
    expected = sum(-float(x[n, labels[n]]) for n in range(N)) / N
    loss, _ = nll_loss(x, labels)
    assert float(loss) == pytest.approx(expected, rel=1e-14)


def test_a_guess_among_ten_costs_log_10():
    loss, _ = nll_loss(np.full((3, 10), -math.log(10)), np.array([0, 5, 9]))
    assert float(loss) == pytest.approx(math.log(10), rel=1e-15)


@pytest.mark.parametrize(("N", "K"), [(1, 3), (4, 3), (5, 1)])
def test_gradient_equals_the_numeric_gradient(N, K, rng):
    x, labels = log_probs(rng, N, K), rng.integers(K, size=N)
    _, dx = nll_loss(x, labels)
    np.testing.assert_allclose(dx, numeric_gradient(lambda: float(nll_loss(x, labels)[0]), x), rtol=1e-9, atol=1e-10)


def test_gradient_is_minus_one_over_n_at_the_label_and_zero_elsewhere():
    _, dx = nll_loss(np.full((2, 3), -1.0), np.array([2, 0]))
    np.testing.assert_array_equal(dx, [[0, 0, -0.5], [-0.5, 0, 0]])


def test_float32_stays_float32():
    loss, dx = nll_loss(np.full((2, 3), -1, "float32"), np.array([2, 0]))
    assert loss.dtype == np.float32
    assert dx.dtype == np.float32


@pytest.mark.parametrize("dtype", ["uint8", "int32", "int64"])
def test_labels_of_every_integer_type_are_accepted(dtype, rng):
    x = log_probs(rng, 3, 4)
    expected = nll_loss(x, np.array([3, 0, 1]))
    loss, dx = nll_loss(x, np.array([3, 0, 1], dtype))
    assert loss == expected[0]
    np.testing.assert_array_equal(dx, expected[1])


def test_inputs_are_not_modified(rng):
    x, labels = log_probs(rng, 3, 4), np.array([3, 0, 1])
    x.flags.writeable = labels.flags.writeable = False
    nll_loss(x, labels)


def test_non_contiguous_input_is_right(rng):
    x, labels = log_probs(rng, 6, 4), rng.integers(4, size=6)
    loss, dx = nll_loss(np.asfortranarray(x)[::2], labels[::2])
    expected_loss, expected_dx = nll_loss(x[::2].copy(), labels[::2].copy())
    assert loss == pytest.approx(float(expected_loss), rel=1e-15)
    np.testing.assert_array_equal(dx, expected_dx)


@pytest.mark.parametrize("wrong", [-1, 4, 255])
def test_a_label_out_of_range_is_refused_and_named(wrong, rng):
    with pytest.raises(ValueError, match=rf"labels in 0\.\.3, got .*{wrong}"):
        nll_loss(log_probs(rng, 3, 4), np.array([1, wrong, 2]))


@pytest.mark.parametrize(
    ("x", "labels"),
    [
        ((3, 4), (4,)),
        ((3, 4), (1,)),
        ((3, 4), (3, 1)),
        ((3, 4), ()),
        ((4,), (4,)),
        ((3, 4, 1), (3,)),
    ],
)
def test_shapes_that_do_not_fit_are_refused_not_broadcast(x, labels):
    with pytest.raises(ValueError, match="expected log_probs"):
        nll_loss(np.zeros(x), np.zeros(labels, int))


def test_an_empty_batch_is_refused():
    with pytest.raises(ValueError, match="N > 0"):
        nll_loss(np.zeros((0, 4)), np.zeros(0, int))


@pytest.mark.parametrize("dtype", ["float32", "float64", "bool"])
def test_labels_that_are_no_integers_are_refused(dtype):
    with pytest.raises(TypeError, match=f"expected integer labels, got {dtype}"):
        nll_loss(np.zeros((2, 4)), np.zeros(2, dtype))


def test_nan_is_refused_with_what_to_do_and_infinity_is_a_loss():
    log_probs = np.log(np.full((3, 4), 0.25))
    log_probs[1, 2] = np.nan
    with pytest.raises(FloatingPointError, match=r"log_probs holds NaN \(row 1\).*smaller learning rate"):
        nll_loss(log_probs, np.array([0, 1, 2]))
    log_probs[1, 2] = -np.inf
    assert nll_loss(log_probs, np.array([0, 2, 1]))[0] == np.inf


# Label smoothing


@pytest.mark.parametrize("smoothing", [0.1, 0.5, 1.0])
@pytest.mark.parametrize(("N", "K"), [(1, 3), (4, 3), (5, 1), (7, 10)])
def test_smoothed_loss_is_the_mean_over_smoothed_targets(N, K, smoothing, rng):
    x, labels = log_probs(rng, N, K), rng.integers(K, size=N)
    expected = 0.0
    for n in range(N):
        for k in range(K):
            target = smoothing / K + (1 - smoothing) * (k == labels[n])
            expected -= target * float(x[n, k]) / N
    assert float(nll_loss(x, labels, smoothing)[0]) == pytest.approx(expected, rel=1e-13)


@pytest.mark.parametrize("smoothing", [0.1, 1.0])
def test_smoothed_gradient_equals_the_numeric_gradient_and_sums_to_minus_one(smoothing, rng):
    x, labels = log_probs(rng, 4, 3), rng.integers(3, size=4)
    _, dx = nll_loss(x, labels, smoothing)
    expected = numeric_gradient(lambda: float(nll_loss(x, labels, smoothing)[0]), x)
    np.testing.assert_allclose(dx, expected, rtol=1e-8, atol=1e-10)
    assert dx.sum() == pytest.approx(-1, rel=1e-14)


def test_smoothing_keeps_float32_and_none_changes_no_bit(rng):
    x, labels = log_probs(rng, 6, 4).astype("float32"), rng.integers(4, size=6)
    loss, dx = nll_loss(x, labels, 0.1)
    assert {loss.dtype, dx.dtype} == {np.dtype("float32")}
    for a, b in zip(nll_loss(x, labels, 0.0), nll_loss(x, labels), strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("smoothing", [-0.1, 1.1, math.nan])
def test_smoothing_out_of_range_is_refused(smoothing):
    with pytest.raises(ValueError, match=r"expected label_smoothing in 0\.\.1"):
        nll_loss(np.zeros((2, 4)), np.zeros(2, int), smoothing)
