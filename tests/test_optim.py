import itertools
import math

import numpy as np
import pytest

from synann_np.optim import SGD


def one_weight_by_pytorchs_rule(p, gradients, lr, momentum, weight_decay, nesterov):
    """PyTorch's documentation of SGD for a single number, dampening 0."""
    b = None
    for g in gradients:
        if weight_decay != 0:
            g = g + weight_decay * p
        if momentum != 0:
            b = g if b is None else momentum * b + g
            g = g + momentum * b if nesterov else b
        p = p - lr * g
    return p


RULES = [
    {"lr": lr, "momentum": momentum, "weight_decay": weight_decay, "nesterov": nesterov}
    for lr, momentum, weight_decay, nesterov in itertools.product(
        [0.1, 0.012], [0.0, 0.5, 1.0], [0.0, 0.2], [False, True]
    )
    if momentum or not nesterov
]


@pytest.mark.parametrize("rule", RULES, ids=str)
def test_five_steps_equal_pytorchs_rule_number_by_number(rule, rng):
    params = {"a.weight": rng.standard_normal((2, 3)), "a.bias": rng.standard_normal(3)}
    start = {name: p.copy() for name, p in params.items()}
    steps = [{name: rng.standard_normal(p.shape) for name, p in params.items()} for _ in range(5)]
    optimizer = SGD(**rule)
    for grads in steps:
        optimizer.step(params, grads)
    for name, p in params.items():
        for index in np.ndindex(*p.shape):
            gradients = [float(grads[name][index]) for grads in steps]
            expected = one_weight_by_pytorchs_rule(float(start[name][index]), gradients, **rule)
            assert p[index] == pytest.approx(expected, rel=1e-13, abs=1e-15)


@pytest.mark.parametrize("rule", RULES, ids=str)
def test_parameters_move_in_place_and_gradients_stay(rule, rng):
    p = rng.standard_normal((2, 3))
    g = rng.standard_normal((2, 3))
    g.flags.writeable = False
    params, before = {"w": p}, p.copy()
    optimizer = SGD(**rule)
    for _ in range(3):
        optimizer.step(params, {"w": g})
    assert params["w"] is p
    assert not np.array_equal(p, before)


def test_a_gradient_array_may_be_used_again():
    """The velocity must be a copy: a caller may write the next gradient into the same array."""
    p, g = np.zeros(2), np.array([1.0, 2.0])
    optimizer = SGD(lr=1, momentum=0.5)
    optimizer.step({"w": p}, {"w": g})
    g[...] = 0
    optimizer.step({"w": p}, {"w": g})
    np.testing.assert_array_equal(p, [-1.5, -3])


@pytest.mark.parametrize("rule", RULES, ids=str)
def test_float32_stays_float32(rule, rng):
    p = rng.standard_normal(3).astype("float32")
    optimizer = SGD(**rule)
    for _ in range(3):
        optimizer.step({"w": p}, {"w": rng.standard_normal(3).astype("float32")})
    assert p.dtype == np.float32
    for v in optimizer.velocity.values():
        assert v.dtype == np.float32


def test_momentum_keeps_one_velocity_for_each_name():
    optimizer = SGD(lr=0.1, momentum=0.5)
    optimizer.step({"a": np.zeros(2), "b": np.zeros((3, 1))}, {"a": np.ones(2), "b": np.ones((3, 1))})
    assert {name: v.shape for name, v in optimizer.velocity.items()} == {"a": (2,), "b": (3, 1)}


def test_without_momentum_nothing_is_kept():
    optimizer = SGD(lr=0.1)
    optimizer.step({"a": np.zeros(2)}, {"a": np.ones(2)})
    assert optimizer.velocity == {}


def test_two_optimizers_do_not_share_their_velocity():
    first, second = SGD(lr=0.1, momentum=0.5), SGD(lr=0.1, momentum=0.5)
    first.step({"a": np.zeros(2)}, {"a": np.ones(2)})
    assert second.velocity == {}


def test_the_learning_rate_may_change_between_steps():
    p, optimizer = np.zeros(1), SGD(lr=1)
    optimizer.step({"a": p}, {"a": np.ones(1)})
    optimizer.lr = 0.25
    optimizer.step({"a": p}, {"a": np.ones(1)})
    assert p[0] == -1.25


def test_a_learning_rate_of_zero_moves_nothing(rng):
    p = rng.standard_normal(3)
    before = p.copy()
    SGD(lr=0).step({"a": p}, {"a": np.ones(3)})
    np.testing.assert_array_equal(p, before)


@pytest.mark.parametrize("names", [{"a"}, {"a", "c"}, {"a", "b", "c"}, set()], ids=sorted)
def test_names_that_differ_are_refused_and_named(names):
    params = {"a": np.zeros(2), "b": np.zeros(2)}
    with pytest.raises(ValueError, match=rf"differ in \[.*'{min(names ^ params.keys())}'"):
        SGD(lr=0.1).step(params, {name: np.ones(2) for name in names})
    assert not params["a"].any()


@pytest.mark.parametrize("shape", [(3,), (1, 3), (2, 1), (), (3, 2)])
def test_a_gradient_of_another_shape_is_refused_not_broadcast(shape):
    with pytest.raises(ValueError, match=r"w has shape \(2, 3\), its gradient"):
        SGD(lr=0.1).step({"w": np.zeros((2, 3))}, {"w": np.ones(shape)})


@pytest.mark.parametrize("value", [-0.1, math.nan, -math.inf])
@pytest.mark.parametrize("name", ["lr", "momentum", "weight_decay"])
def test_arguments_below_zero_are_refused_and_named(name, value):
    with pytest.raises(ValueError, match=f"expected {name} >= 0"):
        SGD(**({"lr": 0.1} | {name: value}))


def test_nesterov_without_momentum_is_refused():
    with pytest.raises(ValueError, match="nesterov=True needs momentum > 0"):
        SGD(lr=0.1, nesterov=True)


def test_a_refused_step_has_moved_nothing():
    params = {"a": np.ones(2), "b": np.ones(3)}
    with pytest.raises(ValueError, match="b has shape"):
        SGD(0.1).step(params, {"a": np.ones(2), "b": np.ones(2)})
    assert np.array_equal(params["a"], np.ones(2))
