import numpy as np
import pytest

from layers.standard import LayerTests
from synann_np.layers import MaxPool2d

CASES = {
    "one-row": (lambda **_: MaxPool2d(2), (1, 2, 4, 6)),
    "sizes-all-different": (lambda **_: MaxPool2d(2), (3, 2, 4, 6)),
    "remainder": (lambda **_: MaxPool2d(2), (2, 1, 5, 7)),
    "pair": (lambda **_: MaxPool2d((2, 3)), (2, 3, 4, 7)),
    "overlapping-windows": (lambda **_: MaxPool2d(3, stride=2), (2, 1, 7, 6)),
    "overlapping-by-pairs": (lambda **_: MaxPool2d((3, 2), stride=(1, 2)), (2, 2, 5, 5)),
    "gaps-between-windows": (lambda **_: MaxPool2d(2, stride=3), (2, 1, 7, 6)),
    "padding": (lambda **_: MaxPool2d(3, 2, 1), (2, 1, 5, 6)),
    "padding-pair": (lambda **_: MaxPool2d((2, 3), padding=(1, 0)), (2, 2, 4, 7)),
    "dilation": (lambda **_: MaxPool2d(2, 1, dilation=(2, 3)), (2, 2, 5, 6)),
    "ceil-mode": (lambda **_: MaxPool2d(2, ceil_mode=True), (2, 1, 5, 7)),
    "ceil-mode-that-adds-none": (lambda **_: MaxPool2d(2, 3, 1, ceil_mode=True), (2, 1, 4, 5)),
    "everything-at-once": (lambda **_: MaxPool2d((3, 2), (2, 3), 1, (1, 2), True), (2, 2, 6, 7)),
    "one-pixel-windows": (lambda **_: MaxPool2d(1), (2, 1, 2, 3)),
    "one-window": (lambda **_: MaxPool2d((4, 3)), (2, 2, 4, 3)),
}


class TestMaxPool2d(LayerTests):
    cases = CASES

    def draw(self, rng, shape):
        """Distinct values, far enough apart for numeric gradients."""
        size = int(np.prod(shape))
        return (rng.permutation(size) - size / 2).reshape(shape) / size

    def formula(self, layer, x, train):
        (N, C, H, W), (KH, KW), (SH, SW) = x.shape, layer.kernel_size, layer.stride
        (PH, PW), (DH, DW) = layer.padding, layer.dilation
        y = np.zeros((N, C, *(count(*s, layer.ceil_mode) for s in ((H, KH, SH, PH, DH), (W, KW, SW, PW, DW)))))
        for n, c, h, w in np.ndindex(*y.shape):
            rows = [r for r in (SH * h + DH * i - PH for i in range(KH)) if 0 <= r < H]
            columns = [q for q in (SW * w + DW * j - PW for j in range(KW)) if 0 <= q < W]
            y[n, c, h, w] = max(x[n, c, r, q] for r in rows for q in columns)
        return y


def count(size, kernel_size, stride, padding, dilation, ceil_mode):
    """Windows that fit, or with ceil_mode those that begin before the end of the image and were not complete before."""
    starts = range(-padding, size + padding, stride)
    extent = dilation * (kernel_size - 1)
    whole = [start for start in starts if start + extent < size + padding]
    if not ceil_mode or whole[-1] + extent == size + padding - 1:
        return len(whole)
    return len(whole) + (whole[-1] + stride < size)


def gradient_of_one_window(x):
    """dx of the sum of the outputs, for one image x (H, W) that is one window."""
    x = np.array(x, "float64")
    layer = MaxPool2d(x.shape)
    y, cache = layer.forward(x[None, None])
    return layer.backward(np.ones_like(y), cache)[0][0, 0]


@pytest.mark.parametrize(
    ("x", "winner"),
    [
        ([[7, 7], [7, 7]], (0, 0)),
        ([[1, 7], [7, 7]], (0, 1)),
        ([[1, 2], [7, 7]], (1, 0)),
        ([[0, 7], [7, 1]], (0, 1)),
        ([[0, -0.0], [0, 0]], (0, 0)),
        ([[-np.inf, -np.inf], [-np.inf, -np.inf]], (0, 0)),
    ],
)
def test_of_equal_pixels_the_first_in_row_major_order_wins(x, winner):
    expected = np.zeros((2, 2))
    expected[winner] = 1
    np.testing.assert_array_equal(gradient_of_one_window(x), expected)


def test_a_constant_image_gives_each_gradient_once():
    layer = MaxPool2d(2)
    _, cache = layer.forward(np.zeros((1, 1, 4, 4)))
    dx, _ = layer.backward(np.array([[[[1.0, 2.0], [3.0, 4.0]]]]), cache)
    np.testing.assert_array_equal(dx[0, 0], [[1, 0, 2, 0], [0, 0, 0, 0], [3, 0, 4, 0], [0, 0, 0, 0]])


@pytest.mark.parametrize("place", [(0, 0), (0, 1), (1, 0), (1, 1)])
def test_a_nan_is_not_hidden_and_gets_the_gradient(place):
    x = np.array([[1.0, 2.0], [3.0, 2.5]])
    x[place] = np.nan
    y, _ = MaxPool2d(2).forward(x[None, None])
    assert np.isnan(y).all()
    expected = np.zeros((2, 2))
    expected[place] = 1
    np.testing.assert_array_equal(gradient_of_one_window(x), expected)


def test_pixels_beyond_the_last_whole_window_get_no_gradient():
    x = np.zeros((2, 1, 5, 7))
    x[:, :, 4, :] = x[:, :, :, 6] = 100  # would win if they were seen
    layer = MaxPool2d(2)
    y, cache = layer.forward(x)
    assert y.shape == (2, 1, 2, 3)
    assert not y.any()
    dx, _ = layer.backward(np.ones_like(y), cache)
    assert not dx[:, :, 4, :].any()
    assert not dx[:, :, :, 6].any()
    assert dx.sum() == y.size


def test_a_pixel_that_wins_in_several_windows_collects_from_all():
    x = np.zeros((1, 1, 5, 5))
    x[0, 0, 2, 2] = 1
    layer = MaxPool2d(3, stride=1)
    _, cache = layer.forward(x)
    dy = np.arange(1.0, 10.0).reshape(1, 1, 3, 3)
    dx, _ = layer.backward(dy, cache)
    assert dx[0, 0, 2, 2] == 45
    assert dx.sum() == 45


def test_a_window_may_have_more_pixels_than_a_byte_counts():
    x = np.zeros((17, 17))
    x[16, 15] = 1  # number 287
    np.testing.assert_array_equal(gradient_of_one_window(x), x)


def test_the_stride_is_the_kernel_size_if_not_given():
    assert MaxPool2d((2, 3)).stride == (2, 3)


@pytest.mark.parametrize("shape", [(4, 4), (1, 4, 4), (1, 1, 4, 4, 1)])
def test_an_input_that_is_no_batch_of_images_is_refused(shape):
    with pytest.raises(ValueError, match="expected input"):
        MaxPool2d(2).forward(np.zeros(shape))


@pytest.mark.parametrize("pixels", [(1, 4), (4, 2), (0, 0)])
def test_an_image_smaller_than_one_window_is_refused(pixels):
    with pytest.raises(ValueError, match="expected at least one window"):
        MaxPool2d((2, 3)).forward(np.zeros((1, 1, *pixels)))


@pytest.mark.parametrize("options", [{"padding": 2}, {"kernel_size": (3, 2), "padding": (1, 2)}, {"padding": (0, 2)}])
def test_padding_of_more_than_half_a_window_is_refused(options):
    with pytest.raises(ValueError, match="padding of at most half a window"):
        MaxPool2d(**({"kernel_size": 3} | options))


def test_padding_never_wins_over_pixels_below_zero():
    layer = MaxPool2d(2, 1, 1)
    x = np.full((1, 1, 2, 2), -5.0)
    y, cache = layer.forward(x)
    np.testing.assert_array_equal(y, -5)
    assert layer.backward(np.ones_like(y), cache)[0].sum() == 9
