"""The gradient check itself: it must complain about wrong layers, and name the tensor."""

import re

import numpy as np
import pytest

from synann_np.gradcheck import check_layer, numeric_gradient
from synann_np.layers import BatchNorm1d, Conv2d, Dropout, Linear, LogSoftmax, MaxPool2d, ReLU, Softmax, Synapse

SQUARE = (3, 3)  # so that a transposed gradient has the right shape


class Wrong:
    """A layer whose backward is spoilt by a function of (dx, grads)."""

    def __init__(self, layer, spoil):
        self.layer, self.spoil = layer, spoil
        self.params = layer.params

    def __repr__(self):
        return "Wrong"

    def forward(self, x, train=False):
        return self.layer.forward(x, train=train)

    def backward(self, dy, cache):
        return self.spoil(*self.layer.backward(dy, cache))


def linear(rng):
    return Linear(3, 3, rng=rng, dtype="float64")


def spoilt(name, change):
    """Replace one of the gradients: name is x, weight or bias."""

    def spoil(dx, grads):
        if name == "x":
            return change(dx), grads
        return dx, grads | {name: change(grads[name])}

    return spoil


def one_element(g):
    g = g.copy()
    g.flat[-1] *= 1.001
    return g


def one_nan(g):
    g = g.copy()
    g.flat[-1] = np.nan
    return g


CHANGES = {
    "zero": np.zeros_like,
    "times-1.001": lambda g: g * 1.001,
    "plus-a-little": lambda g: g + 1e-5,
    "negative": np.negative,
    "one-element": one_element,
    "nan": one_nan,
    "all-nan": lambda g: g * np.nan,
    "infinite": lambda g: g + np.inf,
    "reversed": lambda g: g[::-1],
}


RIGHT = {
    "linear": (lambda **options: Linear(3, 5, **options), (4, 3)),
    "conv2d": (lambda **options: Conv2d(1, 2, 2, **options), (2, 1, 4, 4)),
    "maxpool2d": (lambda **_: MaxPool2d(2), (2, 1, 4, 4)),
    "relu": (lambda **_: ReLU(), (4, 3)),
    "softmax": (lambda **_: Softmax(), (4, 3)),
    "logsoftmax": (lambda **_: LogSoftmax(), (4, 3)),
    "synapse": (lambda **options: Synapse(3, **options), (4, 3)),
    "batchnorm": (lambda **options: BatchNorm1d(3, **options), (4, 3)),
}


@pytest.mark.parametrize(("make", "shape"), RIGHT.values(), ids=RIGHT)
@pytest.mark.parametrize("train", [False, True])
def test_right_layers_pass(make, shape, train, rng):
    check_layer(make(rng=rng, dtype="float64"), rng.uniform(0.1, 1, shape), rng, train=train)


@pytest.mark.parametrize("name", ["x", "weight", "bias"])
@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_a_wrong_gradient_is_named(name, change, rng):
    layer = Wrong(linear(rng), spoilt(name, change))
    with pytest.raises(AssertionError, match=f"Wrong: d{name} is wrong"):
        check_layer(layer, rng.standard_normal(SQUARE), rng)


@pytest.mark.parametrize("name", ["x", "weight"])
def test_a_transposed_gradient_is_named(name, rng):
    layer = Wrong(linear(rng), spoilt(name, np.transpose))
    with pytest.raises(AssertionError, match=f"d{name} is wrong"):
        check_layer(layer, rng.standard_normal(SQUARE), rng)


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("x", lambda g: g[:1]),  # would broadcast
        ("x", lambda g: g[..., None]),
        ("weight", lambda g: g.ravel()),
        ("bias", lambda g: g[None]),
        ("bias", lambda g: g.sum()),
    ],
)
def test_a_gradient_of_another_shape_is_named(name, change, rng):
    layer = Wrong(linear(rng), spoilt(name, change))
    with pytest.raises(AssertionError, match=re.escape(f"Wrong: d{name} is (")):
        check_layer(layer, rng.standard_normal(SQUARE), rng)


def test_a_missing_gradient_is_named(rng):
    layer = Wrong(linear(rng), lambda dx, grads: (dx, {"weight": grads["weight"]}))
    with pytest.raises(AssertionError, match=re.escape("grads of ['weight'], params are ['bias', 'weight']")):
        check_layer(layer, rng.standard_normal(SQUARE), rng)


def test_an_unknown_gradient_is_named(rng):
    layer = Wrong(linear(rng), lambda dx, grads: (dx, grads | {"scale": dx}))
    with pytest.raises(AssertionError, match=re.escape("grads of ['bias', 'scale', 'weight']")):
        check_layer(layer, rng.standard_normal(SQUARE), rng)


class ModifiesInForward(Wrong):
    def forward(self, x, train=False):
        y, cache = self.layer.forward(x, train=train)
        self.spoil(x)
        return y, cache

    def backward(self, dy, cache):
        return self.layer.backward(dy, cache)


class ModifiesInBackward(Wrong):
    def backward(self, dy, cache):
        dx, grads = self.layer.backward(dy, cache)
        self.spoil(dy)
        return dx, grads


def halve(a):
    a *= 0.5


@pytest.mark.parametrize("train", [False, True])
def test_a_layer_that_modifies_x_is_named(train, rng):
    with pytest.raises(AssertionError, match="x was modified"):
        check_layer(ModifiesInForward(linear(rng), halve), rng.standard_normal(SQUARE), rng, train=train)


def test_a_layer_that_modifies_dy_is_named(rng):
    with pytest.raises(AssertionError, match="dy was modified"):
        check_layer(ModifiesInBackward(linear(rng), halve), rng.standard_normal(SQUARE), rng)


@pytest.mark.parametrize("name", ["weight", "bias"])
def test_a_layer_that_modifies_its_weights_is_named(name, rng):
    layer = linear(rng)
    with pytest.raises(AssertionError, match=f"{name} was modified"):
        check_layer(ModifiesInBackward(layer, lambda dy: halve(layer.params[name])), rng.standard_normal(SQUARE), rng)


def test_a_softmax_backward_that_returns_zeros_is_caught(rng):
    """With dy = 1 its gradient is zero and nobody would notice."""
    layer = Wrong(Softmax(), lambda dx, grads: (np.zeros_like(dx), grads))
    with pytest.raises(AssertionError, match="dx is wrong"):
        check_layer(layer, rng.standard_normal((4, 3)), rng)


class ForgetfulBatchNorm(BatchNorm1d):
    """Leaves a term of dx out in training: the mean of dx̂, or what goes through the variance."""

    def __init__(self, forgotten, **options):
        super().__init__(3, dtype="float64", **options)
        self.forgotten = forgotten

    def backward(self, dy, cache):
        dx, grads = super().backward(dy, cache)
        x_hat, s, train = cache
        if not train:
            return dx, grads
        dx_hat = dy * self.params["weight"]
        if self.forgotten == "mean":
            dx = dx + s * dx_hat.mean(axis=0)
        else:
            dx = dx + s * x_hat * (dx_hat * x_hat).mean(axis=0)
        return dx, grads


@pytest.mark.parametrize("forgotten", ["mean", "variance"])
def test_a_batch_norm_backward_without_one_of_its_terms_is_caught(forgotten, rng):
    layer = ForgetfulBatchNorm(forgotten)
    layer.params["weight"][...] = rng.standard_normal(3)
    check_layer(layer, rng.standard_normal((5, 3)), rng, train=False)
    with pytest.raises(AssertionError, match=r"dx is wrong.*train=True"):
        check_layer(layer, rng.standard_normal((5, 3)), rng, train=True)


def test_float32_input_is_refused(rng):
    with pytest.raises(TypeError, match=r"expected float64, but x of ReLU\(\) is float32"):
        check_layer(ReLU(), np.ones((2, 3), "float32"), rng)


def test_float32_weights_are_refused_and_named(rng):
    with pytest.raises(TypeError, match=r"expected float64, but weight of Linear.* is float32"):
        check_layer(Linear(3, 5), np.ones((2, 3)), rng)


def test_what_was_checked_is_put_back_as_it_was(rng):
    layer, x = linear(rng), rng.standard_normal(SQUARE)
    before = [a.copy() for a in (x, *layer.params.values())]
    check_layer(layer, x, rng)
    for a, b in zip((x, *layer.params.values()), before, strict=True):
        np.testing.assert_array_equal(a, b)


def test_numeric_gradient_of_a_known_function(rng):
    a = rng.standard_normal((2, 3))
    np.testing.assert_allclose(numeric_gradient(lambda: float((a**3).sum()), a), 3 * a**2, rtol=1e-8)


def test_numeric_gradient_sees_every_element_of_a_strided_view(rng):
    whole = rng.standard_normal((4, 6))
    a = whole[::2, ::3]
    weights = rng.standard_normal(whole.shape)
    gradient = numeric_gradient(lambda: float((weights * whole).sum()), a)
    np.testing.assert_allclose(gradient, weights[::2, ::3], rtol=1e-8)


# The other promises of a layer


class Own:
    """A layer of a user, from scratch: an elementwise function and its slope."""

    def __init__(self, function, slope):
        self.function, self.slope, self.params = function, slope, {}

    def __repr__(self):
        return "Own"

    def forward(self, x, train=False):
        return self.function(x), x

    def backward(self, dy, cache):
        return dy * self.slope(cache), {}


def double(a):
    return a * 2


def two(a):
    return a * 0 + 2


def test_a_small_wrong_element_beside_a_large_one_is_caught(rng):
    """An error of 1e-3 is 1e-9 of the largest element."""
    factor, wrong = np.array([1e6, 1.0, 1.0]), np.array([1e6, 1.0, 1.001])
    for slope in (factor, wrong):
        layer = Own(lambda x: x * factor.astype(x.dtype), lambda x, slope=slope: slope.astype(x.dtype))
        if slope is factor:
            check_layer(layer, rng.standard_normal((2, 3)), rng)
            continue
        with pytest.raises(AssertionError, match=r"dx is wrong at \(0, 2\)"):
            check_layer(layer, rng.standard_normal((2, 3)), rng)


def test_an_infinite_numeric_gradient_is_no_proof(rng):
    layer = Own(lambda x: np.where(x > 1, np.inf, x).astype(x.dtype), two)
    with pytest.raises(AssertionError, match="the numeric gradient of x is not finite"):
        check_layer(layer, np.ones((1, 2)), rng)


def test_a_layer_that_mixes_rows_and_does_not_say_so_is_named(rng):
    class Centre(Own):
        def forward(self, x, train=False):
            return x - x.mean(axis=0), None

        def backward(self, dy, cache):
            return dy - dy.mean(axis=0), {}

    layer = Centre(None, None)
    with pytest.raises(AssertionError, match="mixes_rows = True"):
        check_layer(layer, rng.standard_normal((4, 3)), rng)
    with pytest.raises(AssertionError, match="mixes_rows = True"):
        check_layer(layer, rng.standard_normal((1, 3)), rng)  # one row alone would hide it
    layer.mixes_rows = True
    check_layer(layer, rng.standard_normal((4, 3)), rng)


def test_a_layer_whose_masks_do_not_depend_on_the_step_is_named(rng):
    masks = np.random.default_rng(0)

    class Noisy(Own):
        def forward(self, x, train=False):
            mask = masks.integers(0, 2, x.shape).astype(x.dtype)
            return x * mask, mask

        def backward(self, dy, cache):
            return dy * cache, {}

    with pytest.raises(AssertionError, match=r"the same call gave another y.*draws_masks = True"):
        check_layer(Noisy(None, None), rng.standard_normal((4, 3)), rng)


def test_dropout_is_checked_with_its_mask(rng):
    check_layer(Dropout(0.5, seed=3), rng.standard_normal((4, 3)), rng, train=True)


@pytest.mark.parametrize(
    ("function", "slope", "name"),
    [
        (lambda x: x * np.float64(2), two, "y"),
        (double, lambda x: np.full(x.shape, 2.0), "dx"),
        (lambda x: (x * 2).astype("float32"), two, "y"),
    ],
    ids=["a-numpy-constant", "a-gradient", "float32-always"],
)
def test_a_layer_that_changes_the_dtype_is_named(function, slope, name, rng):
    check_layer(Own(double, two), rng.standard_normal((2, 3)), rng)
    with pytest.raises(AssertionError, match=f"Own: float(32|64) in, but {name} is float"):
        check_layer(Own(function, slope), rng.standard_normal((2, 3)), rng)


def test_the_dtype_of_a_layer_with_weights_is_checked_in_a_copy(rng):
    class Promoting(Linear):
        def backward(self, dy, cache):
            dx, grads = super().backward(dy, cache)
            return dx, grads | {"bias": grads["bias"] * np.float64(1)}

    layer = Promoting(3, 2, dtype="float64")
    with pytest.raises(AssertionError, match="float32 in, but dbias is float64"):
        check_layer(layer, rng.standard_normal((4, 3)), rng)
    assert layer.dtype == layer.params["weight"].dtype == np.float64


@pytest.mark.parametrize("rng", [0, None], ids=["seed", "none"])
def test_a_seed_is_no_generator(rng):
    if rng is None:
        check_layer(ReLU(), np.ones((2, 3)), rng)
        return
    with pytest.raises(TypeError, match=r"check_layer: expected rng to be a numpy.random.Generator, got 0; use rng="):
        check_layer(ReLU(), np.ones((2, 3)), rng)


def test_running_statistics_are_put_back(rng):
    layer = BatchNorm1d(3, dtype="float64")
    check_layer(layer, rng.standard_normal((4, 3)), rng, train=True)
    np.testing.assert_array_equal(layer.buffers["running_mean"], 0)
    np.testing.assert_array_equal(layer.buffers["running_var"], 1)


def test_a_list_is_refused_by_name(rng):
    with pytest.raises(TypeError, match=r"expected float64, but x of ReLU\(\) is list"):
        check_layer(ReLU(), [[1.0, 2.0]], rng)
