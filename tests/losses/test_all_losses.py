"""What every loss owes, and each one's formula written as loops."""

import math
from functools import partial

import numpy as np
import pytest

import strict_device
from synann_np.gradcheck import numeric_gradient
from synann_np.layers import LogSoftmax, Softmax
from synann_np.losses import (
    binary_cross_entropy_with_logits,
    cross_entropy,
    mse_loss,
    nll_loss,
    soft_nll_loss,
    surprisal_loss,
)
from synann_np.mathematics.surprisal import conjugate_complement

CLASS_WEIGHTS = np.array([0.5, 2.0, 0.0, 1.0])


def log_probs(rng, N, K):
    p = rng.uniform(0.1, 1, (N, K))
    return np.log(p / p.sum(axis=1, keepdims=True))


def labels(rng, N, K):
    return rng.integers(0, K, N)


def values(rng, N, K):
    return rng.uniform(0, 1, (N, K))


def distributions(rng, N, K):
    return np.exp(log_probs(rng, N, K))


def normal(rng, N, K):
    return rng.standard_normal((N, K)) * 3


def surprisals(rng, N, K):
    return rng.uniform(0.1, 3, (N, K))


# name: the loss, how to draw outputs, how to draw targets
CASES = {
    "nll": (nll_loss, log_probs, labels),
    "nll, class weights": (partial(nll_loss, class_weights=CLASS_WEIGHTS), log_probs, labels),
    "nll, ignored": (partial(nll_loss, ignore_index=1), log_probs, labels),
    "nll, smoothed": (partial(nll_loss, label_smoothing=0.2), log_probs, labels),
    "nll, all": (
        partial(nll_loss, label_smoothing=0.2, class_weights=CLASS_WEIGHTS, ignore_index=3), log_probs, labels,
    ),
    "soft nll": (soft_nll_loss, log_probs, distributions),
    "cross-entropy": (cross_entropy, normal, labels),
    "cross-entropy, all": (
        partial(cross_entropy, label_smoothing=0.3, class_weights=CLASS_WEIGHTS, ignore_index=0), normal, labels,
    ),
    "mse": (mse_loss, normal, normal),
    "binary": (binary_cross_entropy_with_logits, normal, values),
    "surprisal": (surprisal_loss, surprisals, values),
}  # fmt: skip
every_loss = pytest.mark.parametrize("name", CASES)


def draw(name, N=5, K=4):
    """outputs, targets and positive weights of the samples; every label occurs."""
    _, outputs, targets = CASES[name]
    rng = np.random.default_rng(7)
    y, t = outputs(rng, N, K), targets(rng, N, K)
    if t.ndim == 1:
        t[: min(N, K)] = np.arange(K)[: min(N, K)]
    return y, t, rng.uniform(0.5, 2, N)


@every_loss
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("N", [1, 5])
def test_gradient_equals_the_numeric_gradient(name, weighted, N):
    loss = CASES[name][0]
    y, t, s = draw(name, N)
    extra = {"sample_weights": s} if weighted else {}
    _, dy = loss(y, t, **extra)
    numeric = numeric_gradient(lambda: float(loss(np.minimum(y, 0) if "nll" in name else y, t, **extra)[0]), y)
    np.testing.assert_allclose(dy, numeric, rtol=1e-7, atol=1e-9)


@every_loss
def test_equal_weights_change_nothing_and_only_their_ratios_count(name):
    loss = CASES[name][0]
    y, t, s = draw(name)
    for weights, same in ((None, np.full(5, 3.0)), (s, 10 * s)):
        first, second = loss(y, t, sample_weights=weights), loss(y, t, sample_weights=same)
        assert float(first[0]) == pytest.approx(float(second[0]), rel=1e-12)
        np.testing.assert_allclose(first[1], second[1], rtol=1e-12)


@every_loss
def test_a_row_of_weight_0_does_not_count(name):
    loss = CASES[name][0]
    y, t, s = draw(name)
    s[2] = 0
    rest = np.arange(5) != 2
    value, dy = loss(y, t, sample_weights=s)
    expected, expected_dy = loss(y[rest], t[rest], sample_weights=s[rest])
    assert float(value) == pytest.approx(float(expected), rel=1e-12)
    np.testing.assert_allclose(dy[rest], expected_dy, rtol=1e-12)
    np.testing.assert_array_equal(dy[2], 0)


@every_loss
def test_a_batch_of_weight_0_has_the_loss_0_and_teaches_nothing(name):
    y, t, s = draw(name)
    value, dy = CASES[name][0](y, t, sample_weights=0 * s)
    assert value == 0
    np.testing.assert_array_equal(dy, 0)


@every_loss
def test_float32_stays_float32(name):
    y, t, s = draw(name)
    t = t if t.dtype.kind == "i" else t.astype("float32")
    for extra in ({}, {"sample_weights": s}):
        value, dy = CASES[name][0](y.astype("float32"), t, **extra)
        assert value.dtype == dy.dtype == np.float32


@every_loss
def test_inputs_are_not_modified(name):
    arrays = draw(name)
    for a in arrays:
        a.flags.writeable = False
    CASES[name][0](*arrays[:2], sample_weights=arrays[2])


@every_loss
def test_a_device_computes_the_same_and_is_never_left(name):
    loss, device = CASES[name][0], strict_device.backend()
    if "class_weights" in getattr(loss, "keywords", {}):
        loss = partial(loss, class_weights=device.asarray(CLASS_WEIGHTS))
    arrays = draw(name)
    y, t, s = map(device.asarray, arrays)
    there, here = loss(y, t, sample_weights=s), CASES[name][0](*arrays[:2], sample_weights=arrays[2])
    assert float(device.to_host(there[0])) == pytest.approx(float(here[0]), rel=1e-12)
    np.testing.assert_allclose(device.to_host(there[1]), here[1], rtol=1e-12)


@every_loss
@pytest.mark.parametrize("weights", [np.ones(4), np.ones((5, 1)), np.full(5, -1.0), np.full(5, np.nan)])
def test_weights_of_another_shape_or_below_0_are_refused(name, weights):
    y, t, _ = draw(name)
    with pytest.raises(ValueError, match="sample_weights"):
        CASES[name][0](y, t, sample_weights=weights)


@every_loss
def test_shapes_that_do_not_fit_are_refused_not_broadcast(name):
    y, t, _ = draw(name)
    for wrong in (t[:1], t[:-1], t[..., None], y[:, :1] if t.ndim == 2 else t[None]):
        with pytest.raises(ValueError, match="expected"):
            CASES[name][0](y, wrong)
    with pytest.raises(ValueError, match="N > 0"):
        CASES[name][0](y[:0], t[:0])


@every_loss
def test_integer_outputs_are_refused(name):
    y, t, _ = draw(name)
    with pytest.raises(TypeError, match=r"float|dtype"):
        CASES[name][0](np.zeros(y.shape, int), t)


# The formulas


def test_weighted_nll_is_the_weighted_mean_of_the_docstring():
    y, t, s = draw("nll")
    c, epsilon, K = CLASS_WEIGHTS, 0.2, 4
    s[t == 3] = 0
    total = W = 0.0
    for n in range(5):
        total -= (1 - epsilon) * s[n] * c[t[n]] * y[n, t[n]] + epsilon / K * s[n] * sum(
            c[k] * y[n, k] for k in range(K)
        )
        W += s[n] * c[t[n]]
    value, _ = CASES["nll, all"][0](y, t, sample_weights=np.where(t == 3, 9.0, s))
    assert float(value) == pytest.approx(total / W, rel=1e-12)


def test_soft_labels_that_are_certain_are_labels():
    y, t, s = draw("nll")
    for weights in (None, s):
        expected, dy = nll_loss(y, t, sample_weights=weights)
        value, found = soft_nll_loss(y, np.eye(4)[t], sample_weights=weights)
        assert float(value) == pytest.approx(float(expected), rel=1e-12)
        np.testing.assert_allclose(found, dy, rtol=1e-12)


@pytest.mark.parametrize("wrong", [-0.1, np.nan])
def test_soft_labels_that_are_no_probabilities_are_refused(wrong):
    y, t, _ = draw("soft nll")
    t[1, 2] = wrong
    with pytest.raises(ValueError, match="probabilities"):
        soft_nll_loss(y, t)


def test_an_impossible_class_costs_nothing_unless_its_soft_label_is_above_0():
    y = np.log(np.array([[0.5, 0.5, 1e-300]]))
    y[0, 2] = -np.inf
    assert soft_nll_loss(y, np.array([[0.5, 0.5, 0.0]]))[0] == pytest.approx(np.log(2))
    assert soft_nll_loss(y, np.array([[0.5, 0.4, 0.1]]))[0] == np.inf


def test_cross_entropy_is_nll_of_log_softmax():
    y, t, _ = draw("cross-entropy")
    assert cross_entropy(y, t)[0] == nll_loss(LogSoftmax().forward(y)[0], t)[0]
    e = np.exp(y)
    np.testing.assert_allclose(
        cross_entropy(y, t)[1], (e / e.sum(axis=1, keepdims=True) - np.eye(4)[t]) / 5, rtol=1e-12, atol=1e-15
    )


@pytest.mark.parametrize(
    "options", [{"class_weights": np.ones(3)}, {"sample_weights": [1.0, 1.0]}, {"ignore_index": 7}]
)
def test_an_impossible_class_costs_nothing_unless_it_is_the_right_one(options):
    logits = np.array([[1.0, -np.inf, 2.0], [0.0, 0.0, -np.inf]])
    for targets in ([2, 0], [1, 0]):
        expected = cross_entropy(logits, np.array(targets))
        loss, dlogits = cross_entropy(logits, np.array(targets), **options)
        assert loss == pytest.approx(expected[0])
        assert np.isinf(loss) == (targets[0] == 1)
        np.testing.assert_allclose(dlogits, expected[1])


def test_logits_of_any_size_give_finite_gradients():
    y = np.array([[1e4, -1e4, 0.0], [-1e4, 1e4, 0]])
    value, dy = cross_entropy(y, np.array([1, 1]))
    assert value == 1e4
    np.testing.assert_allclose(dy, [[0.5, -0.5, 0], [0, 0, 0]], atol=1e-12)
    value, dz = binary_cross_entropy_with_logits(y, (y < 0).astype(float))
    assert float(value) == pytest.approx((4e4 + 2 * math.log(2)) / 6)
    np.testing.assert_allclose(dz, [[1 / 6, -1 / 6, 1 / 12], [-1 / 6, 1 / 6, 1 / 12]], atol=1e-12)


def test_mse_is_the_mean_over_all_elements():
    y, t, _ = draw("mse")
    assert float(mse_loss(y, t)[0]) == pytest.approx(sum((y[i] - t[i]) ** 2 for i in np.ndindex(5, 4)) / 20)


def test_binary_cross_entropy_is_its_formula():
    z, t, _ = draw("binary")
    p = 1 / (1 + np.exp(-z))
    expected = -(t * np.log(p) + (1 - t) * np.log(1 - p)).mean()
    assert float(binary_cross_entropy_with_logits(z, t)[0]) == pytest.approx(expected, rel=1e-12)


def test_the_surprisal_loss_is_the_cross_entropy_of_the_probabilities():
    u, t, _ = draw("surprisal")
    y = np.exp(-u)
    expected = -(t * np.log(y) + (1 - t) * np.log(1 - y)).sum() / 5
    assert float(surprisal_loss(u, t)[0]) == pytest.approx(expected, rel=1e-12)


def test_surprisal_0_is_right_for_a_unit_that_fired_and_infinitely_wrong_for_one_that_did_not():
    value, du = surprisal_loss(np.zeros((1, 1)), np.ones((1, 1)))
    assert (value, du[0, 0]) == (0, 1)
    value, du = surprisal_loss(np.zeros((1, 1)), np.zeros((1, 1)))
    assert (value, du[0, 0]) == (np.inf, -np.inf)
    assert conjugate_complement(np.zeros(1))[0] == np.inf


# A loss that is handed what it cannot mean


@pytest.mark.parametrize("layer", [Softmax(), None], ids=["probabilities", "logits"])
def test_nll_says_what_it_was_handed(layer):
    logits, t, _ = draw("cross-entropy")
    y = logits if layer is None else layer.forward(logits)[0]
    what = "look like logits: end the model with LogSoftmax, or use cross_entropy"
    if layer:
        what = "look like probabilities: end the model with LogSoftmax in the place of Softmax"
    with pytest.raises(ValueError, match=what):
        nll_loss(y, t)
    with pytest.raises(ValueError, match=what):
        nll_loss.check_outputs(y)


def test_negative_logits_are_noticed_by_the_check_of_the_first_batch():
    with pytest.raises(ValueError, match="look like logits"):
        nll_loss.check_outputs(np.full((3, 4), -0.5))
    nll_loss.check_outputs(np.log(np.full((3, 4), 0.25)))
    nll_loss.check_outputs(np.log(np.full((3, 4), 0.25, "float32")))


def test_cross_entropy_refuses_probabilities_at_the_first_batch():
    logits, *_ = draw("cross-entropy")
    with pytest.raises(ValueError, match="rows that are probabilities"):
        cross_entropy.check_outputs(Softmax().forward(logits)[0])
    cross_entropy.check_outputs(logits)
    cross_entropy.check_outputs(LogSoftmax().forward(logits)[0])


def test_the_surprisal_loss_refuses_logarithms():
    u, t, _ = draw("surprisal")
    with pytest.raises(ValueError, match="logarithms of probabilities have the other sign"):
        surprisal_loss(-u, t)


@pytest.mark.parametrize("loss", [binary_cross_entropy_with_logits, surprisal_loss])
def test_targets_outside_0_to_1_are_refused(loss):
    with pytest.raises(ValueError, match=r"targets in 0\.\.1, got 0\.0\.\.2\.0"):
        loss(np.ones((1, 2)), np.array([[0.0, 2]]))


@pytest.mark.parametrize("weights", [np.ones(3), -np.ones(4), np.full(4, np.inf)])
def test_class_weights_that_mean_nothing_are_refused(weights):
    y, t, _ = draw("nll")
    with pytest.raises(ValueError, match="class_weights"):
        nll_loss(y, t, class_weights=weights)
