import numpy as np
import pytest

from layers.standard import LayerTests
from synann_np.layers import Flatten

CASES = {
    "one-row": (lambda **_: Flatten(), (1, 2, 3, 4)),
    "sizes-all-different": (lambda **_: Flatten(), (5, 4, 3, 2)),
    "sequences": (lambda **_: Flatten(), (2, 3, 4)),
    "flat-already": (lambda **_: Flatten(), (2, 3)),
}


class TestFlatten(LayerTests):
    cases = CASES

    def formula(self, layer, x, train):
        y = np.zeros((x.shape[0], x[0].size))
        for n in range(len(x)):
            for d, index in enumerate(np.ndindex(*x.shape[1:])):  # row-major: the last axis runs fastest
                y[n, d] = x[n][index]
        return y


def test_an_empty_batch_keeps_its_width():
    y, cache = Flatten().forward(np.zeros((0, 2, 3)))
    assert y.shape == (0, 6)
    assert Flatten().backward(y, cache)[0].shape == (0, 2, 3)


@pytest.mark.parametrize("shape", [(), (3,)])
def test_an_input_without_batch_axis_is_refused(shape):
    with pytest.raises(ValueError, match="expected input"):
        Flatten().forward(np.zeros(shape))
