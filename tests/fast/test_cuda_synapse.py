"""The kernels of a synapse layer of any size, zeros and extremes included, against the plain layer."""

import numpy as np
import pytest

from cuda_emulator import ASCENDING, SCATTERED, EmulatorLauncher, require
from synann_np.fast.cuda import SYNAPSE, shape_of
from synann_np.layers.synapse import SynapseGraph

TOLERANCE = {"float32": 2e-6, "float64": 1e-13}


def softmax_rows(rng, N, n):
    e = np.exp(rng.standard_normal((N, n)))
    return e / e.sum(axis=1, keepdims=True)


def with_exact_ends(rng, N, n):
    """Uniform in [0, 1], a fifth of it exactly 0 or 1."""
    x, which = rng.random((N, n)), rng.random((N, n))
    x[which < 0.1] = 0
    x[which > 0.9] = 1
    return x


# name -> functions (generator, rows, columns) for v and beta
CASES = {
    "softmax rows": (softmax_rows, lambda rng, I, J: rng.uniform(-1, 1, (I, J)) / np.sqrt(J)),
    "uniform": (lambda rng, N, J: rng.random((N, J)), lambda rng, I, J: rng.uniform(-1, 1, (I, J)) / np.sqrt(J)),
    "beta up to 0.999": (with_exact_ends, lambda rng, I, J: rng.uniform(0, 0.999, (I, J)) * rng.integers(0, 2, (I, J))),
    "factors of any sign": (with_exact_ends, lambda rng, I, J: rng.uniform(-2, 2, (I, J))),
    "factors that are zero": (with_exact_ends, lambda rng, I, J: rng.integers(0, 2, (I, J)) * (rng.random(J) < 0.1)),
}
SIZES = [(1, 1, 1), (3, 2, 5), (33, 65, 31), (40, 70, 129), (5, 130, 64)]  # N, units, inhibitors: tiles are 32 and 64


@pytest.fixture(autouse=True)
def compiler():
    require()


@pytest.fixture(autouse=True)
def quiet_underflow():
    with np.errstate(under="ignore"):
        yield


def run(x, v, alpha, beta, dy, dtype="float32", order=ASCENDING):
    """dict of everything that the kernels compute, without "synapse." in front of the names."""
    launcher = EmulatorLauncher(dtype, order)
    sizes = {"N": len(x), "I": x.shape[1], "J": v.shape[1]}
    arrays = {}
    for name in launcher.array_names(SYNAPSE):
        numpy_dtype = launcher.numpy_dtype(name)
        arrays[name] = np.full(shape_of(name, sizes), np.nan if numpy_dtype.kind == "f" else 99, numpy_dtype)
    for name, value in (("x", x), ("v", v), ("alpha", alpha), ("beta", beta), ("dy", dy)):
        arrays[f"synapse.{name}"][...] = value
    for kernel in SYNAPSE:
        launcher.launch(kernel, sizes, arrays)
    return {name.removeprefix("synapse."): a for name, a in arrays.items()}


def reference(x, v, alpha, beta, dy):
    """The same by the plain layer in float64, of what the kernels got."""
    graph = SynapseGraph(x.shape[1], v.shape[1], dtype="float64")
    graph.params["alpha"][...], graph.params["beta"][...] = alpha, beta
    y, cache = graph.forward(x.astype("float64"), v.astype("float64"))
    (dx, dv), grads = graph.backward(dy.astype("float64"), cache)
    return {"y": y, "dx": dx, "dv": dv, "dalpha": grads["alpha"], "dbeta": grads["beta"]}


def assert_equal(results, expected, dtype, tolerance):
    for name, e in expected.items():
        assert results[name].dtype == dtype, name
        error = np.abs(results[name] - e).max()
        assert error <= tolerance * np.abs(e).max(), f"{name}: {error:.2g}, largest element {np.abs(e).max():.2g}"


def random_inputs(rng, name, N, I, J, dtype):
    v_of, beta_of = CASES[name]
    arrays = (
        rng.random((N, I)),
        v_of(rng, N, J),
        rng.uniform(0.5, 2, I),
        beta_of(rng, I, J),
        rng.standard_normal((N, I)),
    )
    return [a.astype(dtype) for a in arrays]


@pytest.mark.parametrize("order", [ASCENDING, SCATTERED], ids=["ascending", "scattered"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(("N", "I", "J"), SIZES)
@pytest.mark.parametrize("name", CASES)
def test_values_and_gradients_equal_the_plain_layer(name, N, I, J, dtype, order):
    inputs = random_inputs(np.random.default_rng(I), name, N, I, J, dtype)
    # A factor near 0 is a difference of near numbers: the plain layer rounds it as the kernels do only in one dtype.
    tolerance = TOLERANCE[dtype] * (100 if "0.999" in name or "any sign" in name else 1)
    assert_equal(run(*inputs, dtype, order), reference(*inputs), dtype, tolerance)


def test_the_cases_have_no_one_two_and_more_zero_factors():
    x, v, alpha, beta, dy = random_inputs(np.random.default_rng(70), "factors that are zero", 40, 70, 129, "float32")
    beta[:10] = 0
    beta[np.arange(10, 20), np.arange(10, 20)] = 1
    beta[10:20] *= np.arange(129) == np.arange(10, 20)[:, None]
    v[:, ::2] = 1
    results = run(x, v, alpha, beta, dy)
    assert_equal(results, reference(x, v, alpha, beta, dy), "float32", TOLERANCE["float32"])
    assert set(np.unique(results["zeros"])) == {0, 1, 2}
    assert results["t_zero"].any()


@pytest.mark.parametrize("J", [64, 1024, 16_384])
@pytest.mark.parametrize("beta", ["one over the square root", "one over n", "large and small in turn"])
def test_no_size_underflows_or_overflows_on_the_way(J, beta):
    """Factors whose product stays in range although the partial products would not."""
    rng = np.random.default_rng(J)
    N, I = 3, 5
    v = rng.random((N, J))
    if beta == "one over the square root":
        b = rng.uniform(-1, 1, (I, J)) / np.sqrt(J)
    elif beta == "one over n":
        b = rng.uniform(0, 40, (I, J)) / J
    else:  # a quarter of the factors about 0.01, three quarters that make up for it, all of the small ones first
        v[...] = 1
        small = np.exp(-4.6 + rng.uniform(-0.01, 0.01, (I, J // 4)))
        large = np.exp(4.6 / 3 + rng.uniform(-0.01, 0.01, (I, J - J // 4)))
        b = 1 - np.concatenate([small, large], axis=1)
    inputs = [a.astype("float32") for a in (rng.random((N, I)), v, np.ones(I), b, rng.standard_normal((N, I)))]
    results, expected = run(*inputs), reference(*inputs)
    tolerance = 1e-3 if beta == "large and small in turn" else 2e-5  # J roundings of factors
    assert_equal(results, expected, "float32", tolerance)
    assert (np.abs(results["y"]) > 1e-30).all()


@pytest.mark.parametrize("value", [1.0, 1e3, 1e30, 3e38, -3e38])
def test_every_finite_beta_gives_finite_results(value):
    rng = np.random.default_rng(3)
    beta = value * np.sign(rng.standard_normal((40, 40)))
    x = with_exact_ends(rng, 6, 40)
    results = run(x, x, np.ones(40), beta, rng.standard_normal((6, 40)))
    assert all(np.isfinite(a).all() for a in results.values())


def test_what_the_plain_layer_clips_is_clipped_alike():
    rng = np.random.default_rng(5)
    x = rng.uniform(0.5, 1, (4, 40)).astype("float32")
    inputs = x, x, np.ones(40, "float32"), np.full((40, 40), -1e4, "float32"), np.ones((4, 40), "float32")
    graph = SynapseGraph(40, 40)
    graph.params["beta"][...] = inputs[3]
    y, cache = graph.forward(x, x)
    (dx, dv), grads = graph.backward(inputs[4], cache)
    expected = {"y": y, "dx": dx, "dv": dv, "dalpha": grads["alpha"], "dbeta": grads["beta"]}
    assert y.max() > 1e18
    assert_equal(run(*inputs), expected, "float32", 1e-5)


def test_nan_is_passed_on_and_not_hidden():
    rng = np.random.default_rng(1)
    x = softmax_rows(rng, 3, 8)
    x[1, 2] = np.nan
    results = run(x, x, np.ones(8), rng.uniform(-0.3, 0.3, (8, 8)), np.ones((3, 8)))
    assert np.isnan(results["y"][1]).all()
    assert np.isfinite(results["y"][[0, 2]]).all()
    assert np.isnan(results["dbeta"]).all()
