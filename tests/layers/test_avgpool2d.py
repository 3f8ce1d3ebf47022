import numpy as np
import pytest

from layers.standard import LayerTests
from layers.test_maxpool2d import count
from synann_np.layers import AvgPool2d

CASES = {
    "one-row": (lambda **_: AvgPool2d(2), (1, 2, 4, 6)),
    "remainder": (lambda **_: AvgPool2d(2), (2, 1, 5, 7)),
    "overlapping-by-pairs": (lambda **_: AvgPool2d((3, 2), stride=(1, 2)), (2, 2, 5, 5)),
    "padding": (lambda **_: AvgPool2d(3, 2, 1), (2, 1, 5, 6)),
    "padding-not-counted": (lambda **_: AvgPool2d(3, 2, (1, 0), count_include_pad=False), (2, 1, 5, 6)),
    "ceil-mode": (lambda **_: AvgPool2d(2, ceil_mode=True), (2, 1, 5, 7)),
    "everything-at-once": (lambda **_: AvgPool2d((3, 2), (2, 3), 1, True, False), (2, 2, 6, 7)),
    "all-but-the-last": (lambda **_: AvgPool2d((3, 2), (2, 3), 1, True), (2, 2, 6, 7)),
    "one-window": (lambda **_: AvgPool2d((4, 3)), (2, 2, 4, 3)),
}


class TestAvgPool2d(LayerTests):
    cases = CASES

    def formula(self, layer, x, train):
        (N, C, H, W), (KH, KW), (SH, SW), (PH, PW) = x.shape, layer.kernel_size, layer.stride, layer.padding
        y = np.zeros((N, C, *(count(*s, 1, layer.ceil_mode) for s in ((H, KH, SH, PH), (W, KW, SW, PW)))))
        for n, c, h, w in np.ndindex(*y.shape):
            total, pixels = 0.0, 0
            for i, j in np.ndindex(KH, KW):
                row, column = SH * h + i - PH, SW * w + j - PW
                if 0 <= row < H and 0 <= column < W:
                    total, pixels = total + x[n, c, row, column], pixels + 1
                elif layer.count_include_pad and row < H + PH and column < W + PW:
                    pixels += 1
            y[n, c, h, w] = total / pixels
        return y


def test_a_constant_image_stays_constant_where_the_border_is_not_counted():
    y, _ = AvgPool2d(3, 1, 1, count_include_pad=False).forward(np.full((1, 1, 4, 5), 3.0))
    np.testing.assert_allclose(y, 3.0, rtol=1e-15)


def test_infinity_stays_in_its_windows():
    x = np.ones((1, 1, 4, 4))
    x[0, 0, 0, 0] = np.inf
    np.testing.assert_array_equal(AvgPool2d(2).forward(x)[0][0, 0], [[np.inf, 1], [1, 1]])


@pytest.mark.parametrize("shape", [(1, 1, 2, 5), (1, 1, 5, 2)])
def test_an_image_without_a_whole_window_is_refused(shape):
    with pytest.raises(ValueError, match="expected at least one window"):
        AvgPool2d(3).forward(np.zeros(shape))


def test_padding_of_more_than_half_a_window_is_refused():
    with pytest.raises(ValueError, match="padding of at most half a window"):
        AvgPool2d(3, padding=2)
