"""The published PyTorch listing does not compute its formula: it multiplies over all rows of a batch.

Formula:  y_ni = x_ni ∏_j (1 − β_ij x_nj)
Listing:  y_ni = x_ni ∏_mj (1 − β_ij x_mj)      m runs over the batch

So every row gets the same factor for unit i, and the batch normalisation behind it cancels that factor.
"""

import numpy as np
import pytest

import strict_device
from synann_np.gradcheck import check_layer
from synann_np.layers import BatchNorm1d, Softmax, Synapse
from synann_np.programs.ablation.published_listing import PublishedListing


def listing(x, beta):
    """exp(log x + allone log1p(−diag(x) βᵀ)), as published, in NumPy. x (N, n), beta (n, n)."""
    N, n = x.shape
    diagonal = x[:, :, None] * np.eye(n)  # (N, n, n)
    logs = np.log1p(-diagonal @ beta.T).reshape(N * n, n)
    allone = np.ones((N, N * n))
    return np.exp(np.log(x) + allone @ logs)


def coupled_product(x, beta):
    """The listing's formula as loops."""
    y = np.empty_like(x)
    for n, i in np.ndindex(x.shape):
        factors = [1 - beta[i, j] * x[m, j] for m in range(x.shape[0]) for j in range(x.shape[1])]
        y[n, i] = x[n, i] * np.prod(factors)
    return y


def draw(N, n, seed=5):
    """x as it comes out of a softmax over n units, and a synapse at its initial weights."""
    rng = np.random.default_rng(seed)
    synapse = Synapse(n, rng=rng, dtype="float64")
    x, _ = Softmax().forward(rng.normal(size=(N, n)))
    return x, synapse


def normalised(y):
    """What batch normalisation makes of y in training, at its initial weights, without eps."""
    return BatchNorm1d(y.shape[1], eps=0.0, dtype="float64").forward(y, train=True)[0]


@pytest.mark.parametrize(("N", "n"), [(1, 1), (1, 6), (2, 5), (7, 4), (5, 1)])
def test_the_listing_multiplies_over_every_row_of_the_batch(N, n):
    x, synapse = draw(N, n)
    beta = synapse.params["beta"]
    np.testing.assert_allclose(listing(x, beta), coupled_product(x, beta), rtol=1e-12)


def test_a_row_of_the_listing_depends_on_the_other_rows_and_a_row_of_the_synapse_does_not():
    x, synapse = draw(4, 6)
    beta = synapse.params["beta"]
    changed = x.copy()
    changed[1:] = x[1:, ::-1]
    assert np.abs(listing(changed, beta)[0] / listing(x, beta)[0] - 1).max() > 0.01
    np.testing.assert_array_equal(synapse.forward(changed)[0][0], synapse.forward(x)[0][0])


@pytest.mark.parametrize("n", [1, 6, 64])
def test_the_listing_is_the_synapse_for_one_row(n):
    x, synapse = draw(1, n)
    np.testing.assert_allclose(listing(x, synapse.params["beta"]), synapse.forward(x)[0], rtol=1e-12)


def test_the_listing_is_not_the_synapse_for_more_rows():
    for N in (2, 10, 100):
        x, synapse = draw(N, 64)
        ratio = listing(x, synapse.params["beta"]) / synapse.forward(x)[0]
        assert np.abs(ratio - 1).max() > 0.02


def test_the_factor_of_the_listing_is_one_number_a_unit_that_batch_norm_cancels():
    x, synapse = draw(100, 64)
    y = listing(x, synapse.params["beta"])
    factor = y / x
    np.testing.assert_allclose(factor, np.broadcast_to(factor[0], x.shape), rtol=1e-12)
    assert np.ptp(factor[0]) > 0.1  # it is not just 1

    correlation = np.corrcoef(normalised(y).ravel(), normalised(x).ravel())[0, 1]
    assert f"{correlation:.6f}" == "1.000000"
    np.testing.assert_allclose(normalised(y), normalised(x), rtol=0, atol=1e-9)


def test_batch_norm_does_not_cancel_the_factor_of_the_synapse():
    x, synapse = draw(100, 64)
    y, _ = synapse.forward(x)
    factor = y / x
    variation = (factor.max(axis=0) / factor.min(axis=0) - 1).max()
    assert 0.005 < variation < 0.2  # the factor does vary over the rows, if little at initial weights
    assert np.abs(normalised(y) - normalised(x)).max() > 0.01


@pytest.mark.parametrize("train", [False, True])
@pytest.mark.parametrize(("N", "n"), [(1, 1), (1, 4), (3, 5), (6, 2)])
def test_the_layer_computes_the_listing_and_its_gradient(N, n, train, rng):
    x, _ = draw(N, n)
    layer = PublishedListing(n, rng=rng, dtype="float64")
    np.testing.assert_allclose(layer.forward(x, train)[0], listing(x, layer.params["beta"]), rtol=1e-12)
    check_layer(layer, rng.uniform(0.05, 0.8, (N, n)), rng, train)


def test_the_layer_starts_where_the_synapse_does_and_stays_in_float32():
    layer, synapse = (make(6, rng=np.random.default_rng(5)) for make in (PublishedListing, Synapse))
    np.testing.assert_array_equal(layer.params["beta"], synapse.params["beta"], strict=True)
    x = draw(4, 6)[0].astype("float32")
    y, cache = layer.forward(x)
    dx, grads = layer.backward(y, cache)
    assert {a.dtype.name for a in (y, dx, grads["beta"])} == {"float32"}


def test_the_layer_on_a_device_equals_numpy():
    results = []
    for backend in (strict_device.backend(), "numpy"):
        layer = PublishedListing(5, rng=np.random.default_rng(5), backend=backend)
        x = layer.backend.asarray(draw(3, 5)[0], "float32")
        y, cache = layer.forward(x)
        dx, grads = layer.backward(y, cache)
        results.append([layer.backend.to_host(a) for a in (y, dx, grads["beta"])])
    for device, host in zip(*results, strict=True):
        np.testing.assert_array_equal(device, host)


def test_a_wrong_width_is_refused():
    with pytest.raises(ValueError, match="expected input"):
        PublishedListing(4).forward(np.zeros((2, 1), "float32"))
