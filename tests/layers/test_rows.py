import numpy as np
import pytest

from layers.standard import LayerTests, in_both_modes
from synann_np.layers import Rows

CASES = {
    "square": (lambda **options: Rows(), (3, 1, 4, 4)),
    "wide": (lambda **options: Rows(), (2, 1, 3, 5)),
    "one-image": (lambda **options: Rows(), (1, 1, 6, 2)),
}


class TestRows(LayerTests):
    cases = CASES

    def formula(self, layer, x, train):
        N, _, H, W = x.shape
        return np.array([[[x[n, 0, t, j] for j in range(W)] for t in range(H)] for n in range(N)])

    @in_both_modes
    def test_float32_stays_float32(self, case, train):
        x = np.ones(case[1], "float32")
        y, cache = Rows().forward(x, train)
        assert y.dtype == Rows().backward(y, cache)[0].dtype == np.float32


@pytest.mark.parametrize("shape", [(3, 2, 4, 4), (3, 4, 4), (4, 4), (3, 0, 4, 4)])
def test_what_is_no_image_of_one_channel_is_refused(shape):
    with pytest.raises(ValueError, match="expected input"):
        Rows().forward(np.zeros(shape, "float32"))
