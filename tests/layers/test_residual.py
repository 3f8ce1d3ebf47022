import numpy as np
import pytest

from layers.standard import LayerTests
from synann_np.layers import BatchNorm1d, Dropout, Linear, ReLU, Softmax
from synann_np.layers.residual import Residual
from synann_np.sequential import Sequential


def block(rng, dtype, *more):
    options = {"rng": rng, "dtype": dtype}
    return Residual(Sequential([("fc1", Linear(4, 6, **options)), *more, ("fc2", Linear(6, 4, **options))]))


CASES = {
    "one-layer": (lambda **options: Residual(Linear(3, 3, **options)), (4, 3)),
    "without-weights": (lambda **_: Residual(Softmax()), (2, 5)),
    "a-model": (block, (3, 4)),
    "one-row": (block, (1, 4)),
    "with-dropout": (lambda rng, dtype: block(rng, dtype, ("drop", Dropout(0.5, seed=3))), (3, 4)),
    "within-one-another": (lambda rng, dtype: Residual(Sequential([block(rng, dtype), Softmax()])), (3, 4)),
}


class TestResidual(LayerTests):
    cases = CASES

    def formula(self, layer, x, train):
        body = layer.body
        f = body.forward(x, train, 0)[0] if body.draws_masks else body.forward(x, train)[0]
        y = np.zeros(x.shape)
        for index in np.ndindex(*x.shape):
            y[index] = x[index] + f[index]
        return y


def test_params_are_those_of_the_body_under_their_names():
    body = Sequential([("fc", Linear(3, 3)), ("norm", BatchNorm1d(3))])
    layer = Residual(body)
    assert layer.params.keys() == {"fc.weight", "fc.bias", "norm.weight", "norm.bias"}
    assert layer.params["fc.weight"] is body.layers["fc"].params["weight"]
    assert layer.buffers.keys() == {"norm.running_mean", "norm.running_var"}


def test_an_array_that_is_replaced_in_the_body_is_used():
    layer = Residual(Linear(2, 2, bias=False))
    layer.params["weight"] = np.eye(2, dtype="float32")
    y, _ = layer.forward(np.ones((1, 2), "float32"))
    np.testing.assert_array_equal(y, [[2, 2]])


def test_it_mixes_rows_as_its_body_does():
    assert not Residual(ReLU()).mixes_rows
    assert Residual(BatchNorm1d(3)).mixes_rows


def test_the_step_selects_the_masks_of_the_body():
    layer = Residual(Dropout(0.5, seed=1))
    x = np.ones((4, 50), "float32")
    at_3 = layer.forward(x, train=True, step=3)[0]
    np.testing.assert_array_equal(layer.forward(x, train=True, step=3)[0], at_3)
    assert not np.array_equal(layer.forward(x, train=True, step=4)[0], at_3)


@pytest.mark.parametrize("body", [Linear(3, 2), Linear(3, 1)])
def test_a_body_that_changes_the_shape_is_refused_not_broadcast(body):
    with pytest.raises(ValueError, match=r"Residual\(.*expected a body that keeps the shape \(2, 3\), got"):
        Residual(body).forward(np.zeros((2, 3), "float32"))
