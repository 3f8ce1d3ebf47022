"""The kernels of the loss, run on the CPU by the emulator, against the plain losses; and where they are used."""

from functools import partial

import numpy as np
import pytest

from cuda_emulator import ASCENDING, DESCENDING, SCATTERED, EmulatorLauncher, require
from fast.cuda.captured_device import captured_device
from synann_np.backend import get_backend
from synann_np.fast.cuda.captured.loss import CudaCrossEntropy, with_loss_kernels
from synann_np.fast.cuda.compile import compile_for_cuda
from synann_np.layers import Linear, LogSoftmax, Softmax
from synann_np.losses import cross_entropy, mse_loss, nll_loss
from synann_np.optim import SGD
from synann_np.sequential import Sequential
from synann_np.train import NonFiniteLoss, fit

NUMPY = get_backend("numpy")
BOUND = {"float32": 2e-6, "float64": 4e-15}  # of the largest element: sums in another order
OPTIONS = {
    "none": (),
    "smoothing": ("label_smoothing",),
    "classes": ("class_weights",),
    "samples": ("sample_weights",),
    "ignored": ("ignore_index",),
    "all": ("label_smoothing", "class_weights", "sample_weights", "ignore_index"),
}


@pytest.fixture(autouse=True)
def kernels():
    require()
    with np.errstate(under="ignore"):
        yield


def draw(N, K, dtype):
    """Logits, labels, and every option of a loss."""
    rng = np.random.default_rng(N + K)
    labels = rng.integers(0, K, N)
    class_weights = rng.uniform(0.1, 2, K).astype(dtype)
    class_weights[K // 2 :: 7] = 0
    options = {
        "label_smoothing": 0.1, "class_weights": class_weights, "ignore_index": labels[-1],
        "sample_weights": rng.uniform(0, 3, N).astype(dtype),
    }  # fmt: skip
    return (5 * rng.normal(size=(N, K))).astype(dtype), labels, options


def by_kernels(logits, labels, order=ASCENDING, sample_weights=None, **options):
    loss = CudaCrossEntropy(EmulatorLauncher(logits.dtype, order), NUMPY, **options)
    return loss(logits, labels, sample_weights=sample_weights)


@pytest.mark.parametrize("options", OPTIONS)
@pytest.mark.parametrize("dtype", BOUND)
@pytest.mark.parametrize(("N", "K"), [(1, 1), (1, 10), (9, 2), (100, 10), (300, 3), (7, 33), (3, 1000)])
def test_loss_and_gradient_are_those_of_cross_entropy(N, K, dtype, options):
    logits, labels, given = draw(N, K, dtype)
    given = {name: given[name] for name in OPTIONS[options]}
    order = (ASCENDING, DESCENDING, SCATTERED)[N % 3]
    for expected, found in zip(
        cross_entropy(logits, labels, **given), by_kernels(logits, labels, order, **given), strict=True
    ):
        assert found.dtype == expected.dtype
        assert found.shape == expected.shape
        assert np.abs(found - expected).max() <= BOUND[dtype] * max(np.abs(expected).max(), 1e-3)


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("options", ["ignored", "classes", "samples"])
def test_a_batch_of_which_no_row_counts(options, smoothing):
    logits, labels = draw(9, 4, "float64")[0], np.full(9, 2)
    options = {
        "ignored": {"ignore_index": 2}, "classes": {"class_weights": np.array([1.0, 1, 0, 1])},
        "samples": {"sample_weights": np.zeros(9)},
    }[options]  # fmt: skip
    expected, found = (f(logits, labels, label_smoothing=smoothing, **options) for f in (cross_entropy, by_kernels))
    np.testing.assert_allclose(found[0], expected[0], rtol=1e-14)
    np.testing.assert_allclose(found[1], expected[1], rtol=1e-13, atol=1e-16)
    assert (found[0] == 0 and not found[1].any()) == ("class_weights" not in options or smoothing == 0)


@pytest.mark.parametrize("shift", [-2000, 2000])
def test_no_exponential_overflows_or_vanishes(shift):
    logits, labels, _ = draw(9, 4, "float64")
    expected, found = (f(logits + shift, labels) for f in (cross_entropy, by_kernels))
    np.testing.assert_allclose(found[0], expected[0], rtol=1e-14)
    np.testing.assert_allclose(found[1], expected[1], rtol=1e-13, atol=1e-16)


def test_ignored_labels_may_be_any_integer():
    logits, labels, _ = draw(9, 4, "float64")
    for ignored in (-100, 4, 2**40):
        labels[::2] = ignored
        expected, found = (f(logits, labels, ignore_index=ignored) for f in (cross_entropy, by_kernels))
        np.testing.assert_allclose(found[0], expected[0], rtol=1e-14)
        np.testing.assert_allclose(found[1], expected[1], rtol=1e-13, atol=1e-16)


@pytest.mark.parametrize("options", OPTIONS)
def test_impossible_classes_are_those_of_cross_entropy(options):
    """The loss is infinite where one is the label, or where smoothing asks for it."""
    logits, labels, given = draw(9, 5, "float64")
    logits[:, 3] = -np.inf
    given = {name: given[name] for name in OPTIONS[options]}
    for targets in (labels % 3, labels):
        given["ignore_index"] = given.get("ignore_index") and targets[-1]
        expected, found = (f(logits, targets, **given) for f in (cross_entropy, by_kernels))
        np.testing.assert_allclose(found[0], expected[0], rtol=1e-14)
        np.testing.assert_allclose(found[1], expected[1], rtol=1e-12, atol=1e-16)


@pytest.mark.parametrize("wrong", [np.nan, np.inf, "all -inf", "label"])
@pytest.mark.parametrize("ignored", [False, True])
def test_a_row_that_is_not_finite_and_a_label_that_is_no_class_make_the_loss_nan(wrong, ignored):
    logits, labels, _ = draw(20, 5, "float32")
    if wrong == "label":
        labels[13] = 5
    else:
        logits[13, slice(None) if wrong == "all -inf" else 2] = -np.inf if wrong == "all -inf" else wrong
    options = {"ignore_index": 4} if ignored else {}
    if ignored and wrong != "label":
        labels[13] = 4
    assert np.isnan(by_kernels(logits, labels, **options)[0])


def test_what_cross_entropy_refuses_is_refused():
    logits, labels, _ = draw(3, 4, "float64")
    for arguments in ((logits, labels[:2]), (logits[0], labels), (logits, labels * 1.0), (logits, labels, 1.5)):
        with pytest.raises((TypeError, ValueError)):
            CudaCrossEntropy(EmulatorLauncher("float64"), NUMPY)(*arguments)
    with pytest.raises(ValueError, match="class_weights has shape"):
        by_kernels(logits, labels, class_weights=np.ones(3))


def network(device, *ends):
    """A compiled network of 4 inputs."""
    o = {"rng": np.random.default_rng(5), "dtype": "float64", "backend": device.backend}
    model = Sequential([Linear(4, 5, **o), *ends], "float64", device.backend)
    return model, compile_for_cuda(model, device.launcher, pytest.fail, device.product)


@pytest.mark.parametrize(
    ("ends", "loss", "layers"),
    [
        ([LogSoftmax()], nll_loss, 1),
        ([LogSoftmax()], partial(partial(nll_loss, ignore_index=1), class_weights=[1, 2, 3, 4, 5]), 1),
        ([], partial(cross_entropy, label_smoothing=0.1), 1),
        ([LogSoftmax()], cross_entropy, 2),
        ([], nll_loss, None),
        ([Softmax()], nll_loss, None),
        ([LogSoftmax(axis=1)], nll_loss, None),
        ([LogSoftmax()], mse_loss, None),
        ([LogSoftmax()], partial(nll_loss, sample_weights=[1]), None),
        ([LogSoftmax()], lambda outputs, labels: nll_loss(outputs, labels), None),
    ],
)
def test_which_losses_are_kernels(monkeypatch, ends, loss, layers):
    device = captured_device(monkeypatch)
    _, fast = network(device, *ends)
    model, found = with_loss_kernels(fast, loss, device.launcher)
    assert isinstance(found, CudaCrossEntropy) == (layers is not None)
    if layers is None:
        assert model is fast
        assert found is loss
    else:
        assert list(model.layers.values()) == list(fast.layers.values())[:layers]


@pytest.mark.parametrize("step", [1, 5])  # before the capture, and after it
@pytest.mark.parametrize("loss", [nll_loss, partial(nll_loss, class_weights=[1.0, 2, 3, 4, 5], ignore_index=0)])
def test_a_loss_that_is_not_finite_ends_a_captured_run(monkeypatch, loss, step):
    device = captured_device(monkeypatch, emulated=True)
    model, fast = network(device, LogSoftmax())
    x, labels = np.random.default_rng(1).normal(size=(24, 4)), np.arange(24) % 5
    run = fit(fast, SGD(0.1), (x, labels), None, 3, batch_size=8, log_interval=1, loss=loss)
    assert [next(run).step for _ in range(step)] == list(range(1, step + 1))
    model.layers["0"].params["weight"][2, 1] = np.nan
    with pytest.raises(NonFiniteLoss, match="the loss is nan"):
        next(run)
    assert device.cuda.replays == step
    assert device.cuda.syncs == device.cuda.allocations_in_captures == 0
