"""The standard tests: what every layer owes, whatever its formula."""

import functools

import numpy as np
import pytest

from synann_np.gradcheck import check_layer

LAYOUTS = {
    "column-major": np.asfortranarray,
    "every-second": lambda a: np.repeat(a, 2, axis=-1)[..., ::2],
    "backwards": lambda a: np.flip(np.flip(a).copy()),
    "batch-innermost": lambda a: np.moveaxis(np.moveaxis(a, 0, -1).copy(), -1, 0),
}


def in_both_modes(test):
    """The test in evaluation and in training, as one test: their number, in thousands, costs more than their work."""

    @functools.wraps(test)
    def in_both(self, case):
        for train in (False, True):
            try:
                test(self, case, train)
            except BaseException as error:
                error.add_note(f"with train={train}")
                raise

    del in_both.__wrapped__  # by whose arguments pytest would go
    return in_both


class LayerTests:
    """Derive a class `Test...` from this one and give it the cases and the formula.

    cases: dict id -> (function of the keyword arguments rng and dtype that makes a layer, shape of x).
    formula(layer, x, train): y by naive loops, written from the layer's docstring.
    draw(rng, shape): x, where a normal distribution does not suit the layer.
    randomise(layer, rng): random weights, where a normal distribution does not suit them.
    rows_mix_in_training: True for batch-norm only.
    """

    cases = None
    rows_mix_in_training = False

    def formula(self, layer, x, train):
        raise NotImplementedError

    def draw(self, rng, shape):
        return rng.standard_normal(shape)

    def randomise(self, layer, rng):
        for p in layer.params.values():
            p[...] = rng.standard_normal(p.shape)

    def pytest_generate_tests(self, metafunc):
        if "case" in metafunc.fixturenames:
            metafunc.parametrize("case", self.cases.values(), ids=self.cases)

    def build(self, case, dtype="float64"):
        """The layer with random weights, x, and a source of further numbers: the same in every dtype."""
        make, shape = case
        rng = np.random.default_rng(2018)
        layer = make(rng=rng, dtype=dtype)
        self.randomise(layer, rng)
        return layer, self.draw(rng, shape).astype(dtype), rng

    @in_both_modes
    def test_forward_equals_the_formula_written_as_loops(self, case, train):
        layer, x, _ = self.build(case)
        expected = self.formula(layer, x, train)
        y, _ = layer.forward(x, train=train)
        assert_close(y, expected)

    @in_both_modes
    def test_backward_equals_numeric_gradients(self, case, train):
        layer, x, rng = self.build(case)
        check_layer(layer, x, rng, train=train)

    @in_both_modes
    def test_grads_have_names_and_shapes_of_params(self, case, train):
        layer, x, rng = self.build(case)
        dx, grads = run(layer, x, rng, train)[1:]
        assert dx.shape == x.shape
        assert {name: g.shape for name, g in grads.items()} == {name: p.shape for name, p in layer.params.items()}

    @in_both_modes
    def test_rows_of_a_batch_do_not_mix(self, case, train):
        if train and self.rows_mix_in_training:
            return
        layer, x, rng = self.build(case)
        longer = np.concatenate([x, self.draw(rng, (2, *x.shape[1:]))])
        y, cache = layer.forward(longer, train=train)
        dy = rng.standard_normal(y.shape)
        dx, _ = layer.backward(dy, cache)
        N = len(x)
        y_alone, cache_alone = layer.forward(x, train=train)
        assert_close(y[:N], y_alone)
        assert_close(dx[:N], layer.backward(dy[:N], cache_alone)[0])

    @in_both_modes
    def test_float32_stays_float32(self, case, train):
        layer, x, rng = self.build(case, "float32")
        y, dx, grads = run(layer, x, rng, train)
        arrays = {"y": y, "dx": dx, **grads, **layer.params, **layer.buffers}
        assert {name: a.dtype.name for name, a in arrays.items()} == dict.fromkeys(arrays, "float32")

    @in_both_modes
    def test_float32_is_close_to_float64(self, case, train):
        y, dx, grads = run(*self.build(case), train)
        y32, dx32, grads32 = run(*self.build(case, "float32"), train)
        for narrow, wide in ((y32, y), (dx32, dx), *((grads32[name], grads[name]) for name in grads)):
            np.testing.assert_allclose(narrow, wide, rtol=0, atol=2e-5 * np.abs(wide).max())

    @in_both_modes
    def test_inputs_are_not_modified(self, case, train):
        layer, x, rng = self.build(case)
        state = layer.params if train else layer.params | layer.buffers
        dy = rng.standard_normal(layer.forward(x)[0].shape)
        arrays = [x, dy, *state.values()]
        before = [a.copy() for a in arrays]
        for a in arrays:
            a.flags.writeable = False  # writing would raise
        _, cache = layer.forward(x, train=train)
        layer.backward(dy, cache)
        for a, b in zip(arrays, before, strict=True):
            np.testing.assert_array_equal(a, b)

    @in_both_modes
    def test_non_contiguous_input_is_right(self, case, train):
        layer, x, rng = self.build(case)
        y, cache = layer.forward(x, train=train)
        dy = rng.standard_normal(y.shape)
        expected = layer.backward(dy, cache)
        for name, layout in LAYOUTS.items():
            y_layout, cache = layer.forward(layout(x), train=train)
            assert_close(y_layout, y, name)
            assert_same_gradients(layer.backward(layout(dy), cache), expected, name)

    @in_both_modes
    def test_two_calls_with_interleaved_backwards_are_right(self, case, train):
        layer, x, rng = self.build(case)
        x2 = self.draw(rng, (len(x) + 2, *x.shape[1:]))
        y, cache = layer.forward(x, train=train)
        dy = rng.standard_normal(y.shape)
        alone = layer.backward(dy, cache)

        _, cache = layer.forward(x, train=train)
        y2, cache2 = layer.forward(x2, train=train)
        dy2 = rng.standard_normal(y2.shape)
        second = layer.backward(dy2, cache2)
        assert_same_gradients(layer.backward(dy, cache), alone)
        assert_same_gradients(layer.backward(dy2, cache2), second)

    @in_both_modes
    def test_a_gradient_that_is_not_like_y_is_refused_not_broadcast(self, case, train):
        layer, x, _ = self.build(case)
        y, cache = layer.forward(x, train=train)
        wrong = [y[None], y[..., None], y[:0], y.sum(axis=0), y.sum(), np.concatenate([y, y]), y.sum(-1, keepdims=True)]
        for dy in wrong:
            if dy.shape != y.shape:
                with pytest.raises(ValueError, match=r"\): expected dy \(.*, got \("):
                    layer.backward(dy, cache)
        for dy in (y.astype("complex128"), y.astype("int64"), y.tolist()):
            with pytest.raises(TypeError, match="dy"):
                layer.backward(dy, cache)

    @in_both_modes
    def test_input_that_is_no_array_of_floats_is_refused(self, case, train):
        layer, x, _ = self.build(case)
        for wrong in (x.astype("complex128"), x.astype("int64"), x.astype("uint8"), x.astype("float16")):
            with pytest.raises(TypeError, match=r"\): expected float.* got"):
                layer.forward(wrong, train=train)

    def test_a_list_is_refused(self, case):
        layer, x, _ = self.build(case)
        with pytest.raises(TypeError, match=r"\): input: expected a NumPy or CuPy array, got list"):
            layer.forward(x.tolist())

    @in_both_modes
    def test_an_empty_batch_gives_an_empty_output_and_zero_gradients(self, case, train):
        layer, x, _ = self.build(case)
        if train and self.rows_mix_in_training:
            with pytest.raises(ValueError, match="training needs more than one value"):
                layer.forward(x[:0], train=train)
            return
        y, cache = layer.forward(x[:0], train=train)
        assert y.shape == (0, *layer.forward(x, train=train)[0].shape[1:])
        dx, grads = layer.backward(y, cache)
        assert dx.shape == x[:0].shape
        assert {name: g.shape for name, g in grads.items()} == {name: p.shape for name, p in layer.params.items()}
        assert not any(g.any() for g in grads.values())


def run(layer, x, rng, train):
    """y, dx, grads for a random dy."""
    y, cache = layer.forward(x, train=train)
    dx, grads = layer.backward(rng.standard_normal(y.shape).astype(x.dtype), cache)
    return y, dx, grads


def assert_same_gradients(actual, expected, what=""):
    assert_close(actual[0], expected[0], f"{what} dx")
    assert actual[1].keys() == expected[1].keys()
    for name, g in expected[1].items():
        assert_close(actual[1][name], g, f"{what} {name}")


def assert_close(actual, expected, what=""):
    """Equal but for the order in which float64 sums are taken."""
    assert actual.shape == expected.shape, what
    np.testing.assert_allclose(actual, expected, rtol=1e-11, atol=1e-12, err_msg=what)
