import itertools
import math

import numpy as np
import pytest

import strict_device
from synann_np.optim import SGD, Adam, AdamW


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


@pytest.mark.parametrize("value", [-0.1, math.nan, -math.inf, math.inf])
@pytest.mark.parametrize("name", ["lr", "momentum", "weight_decay"])
def test_arguments_below_zero_are_refused_and_named(name, value):
    with pytest.raises(ValueError, match=f"expected {name} >= 0"):
        SGD(**({"lr": 0.1} | {name: value}))


@pytest.mark.parametrize("options", [{}, {"momentum": 0.9, "dampening": 0.1}])
def test_nesterov_without_momentum_or_with_dampening_is_refused(options):
    with pytest.raises(ValueError, match="nesterov=True needs momentum > 0 and dampening = 0"):
        SGD(lr=0.1, nesterov=True, **options)


def test_a_refused_step_has_moved_nothing():
    params = {"a": np.ones(2), "b": np.ones(3)}
    with pytest.raises(ValueError, match="b has shape"):
        SGD(0.1).step(params, {"a": np.ones(2), "b": np.ones(2)})
    assert np.array_equal(params["a"], np.ones(2))


# Adam and AdamW


def one_weight_by_adam(p, gradients, lr, betas, eps, weight_decay, decoupled):
    """PyTorch's documentation of Adam and AdamW for a single number."""
    m = v = 0.0
    for t, g in enumerate(gradients, start=1):
        if decoupled:
            p = p - lr * weight_decay * p
        else:
            g = g + weight_decay * p
        m = betas[0] * m + (1 - betas[0]) * g
        v = betas[1] * v + (1 - betas[1]) * g * g
        m_hat = m / (1 - betas[0] ** t)
        v_hat = v / (1 - betas[1] ** t)
        p = p - lr * m_hat / (math.sqrt(v_hat) + eps)
    return p


ADAMS = [
    {"lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay}
    for lr, betas, eps, weight_decay in itertools.product(
        [0.1, 0.003], [(0.9, 0.999), (0.0, 0.5), (0.5, 0.0)], [1e-8, 0.3], [0.0, 0.2]
    )
]
both = pytest.mark.parametrize("kind", [Adam, AdamW])


@both
@pytest.mark.parametrize("rule", ADAMS, ids=str)
def test_five_steps_of_adam_equal_pytorchs_rule_number_by_number(kind, rule, rng):
    params = {"a.weight": rng.standard_normal((2, 3)), "a.bias": rng.standard_normal(3)}
    start = {name: p.copy() for name, p in params.items()}
    steps = [{name: rng.standard_normal(p.shape) for name, p in params.items()} for _ in range(5)]
    optimizer = kind(**rule)
    for grads in steps:
        optimizer.step(params, grads)
    assert optimizer.steps == 5
    for name, p in params.items():
        for index in np.ndindex(*p.shape):
            gradients = [float(grads[name][index]) for grads in steps]
            expected = one_weight_by_adam(float(start[name][index]), gradients, **rule, decoupled=kind is AdamW)
            assert p[index] == pytest.approx(expected, rel=1e-12, abs=1e-14)


@both
def test_adam_moves_parameters_in_place_leaves_gradients_and_keeps_float32(kind, rng):
    p, g = rng.standard_normal((2, 3)).astype("float32"), rng.standard_normal((2, 3)).astype("float32")
    g.flags.writeable = False
    params, before, optimizer = {"w": p}, p.copy(), kind(0.1, weight_decay=0.1)
    for _ in range(3):
        optimizer.step(params, {"w": g})
    assert params["w"] is p
    assert (p != before).all()
    assert {a.dtype for a in (p, optimizer.mean["w"], optimizer.mean_square["w"])} == {np.dtype("float32")}


@both
def test_adam_does_not_keep_the_array_of_a_gradient(kind):
    """A caller may write the next gradient into the same array."""
    g = np.array([1.0, 2.0])
    optimizer = kind()
    optimizer.step({"w": np.zeros(2)}, {"w": g})
    g[...] = 99
    np.testing.assert_allclose(optimizer.mean["w"], [0.1, 0.2])
    np.testing.assert_allclose(optimizer.mean_square["w"], [0.001, 0.004])


@both
def test_the_first_step_of_adam_is_the_learning_rate_in_the_direction_of_the_sign(kind):
    p = np.zeros(3)
    kind(0.25, eps=0.0, weight_decay=0).step({"w": p}, {"w": np.array([1e-6, -5.0, 300.0])})
    np.testing.assert_allclose(p, [-0.25, 0.25, -0.25])


@both
def test_a_gradient_of_zero_moves_nothing_in_adam(kind):
    p = np.ones(2)
    kind(weight_decay=0).step({"w": p}, {"w": np.zeros(2)})
    np.testing.assert_array_equal(p, [1, 1])


@both
@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"lr": -1}, "expected lr >= 0"),
        ({"eps": math.nan}, "expected eps >= 0"),
        ({"weight_decay": -0.1}, "expected weight_decay >= 0"),
        ({"betas": (0.9, 1.0)}, r"two betas in \[0, 1\), got \(0.9, 1.0\)"),
        ({"betas": (-0.1, 0.9)}, "two betas"),
        ({"betas": (math.nan, 0.9)}, "two betas"),
        ({"betas": (0.9,)}, "two betas"),
        ({"lr": math.inf}, "expected lr >= 0 and finite"),
    ],
)
def test_arguments_out_of_range_are_refused_by_name(kind, arguments, words):
    with pytest.raises(ValueError, match=f"{kind.__name__}: .*{words}"):
        kind(**arguments)


@both
def test_a_refused_step_of_adam_has_changed_nothing(kind):
    params, optimizer = {"a": np.ones(2), "b": np.ones(3)}, kind(weight_decay=0.5)
    with pytest.raises(ValueError, match=f"{kind.__name__}: b has shape"):
        optimizer.step(params, {"a": np.ones(2), "b": np.ones(2)})
    with pytest.raises(ValueError, match=f"{kind.__name__}: params and grads differ in .'b'"):
        optimizer.step(params, {"a": np.ones(2)})
    assert np.array_equal(params["a"], np.ones(2))
    assert (optimizer.steps, optimizer.mean, optimizer.mean_square) == (0, {}, {})


@pytest.mark.parametrize("kind", [SGD, Adam, AdamW])
def test_weight_decay_spares_vectors_only_if_asked(kind):
    for decay_vectors in (True, False):
        params = {"weight": np.ones((2, 1)), "bias": np.ones(2)}
        kind(0.1, weight_decay=0.5, decay_vectors=decay_vectors).step(
            params, {name: np.zeros_like(p) for name, p in params.items()}
        )
        assert (params["weight"] < 1).all()
        assert (params["bias"] < 1).all() is np.bool(decay_vectors)


@pytest.mark.parametrize("value", ["0.1", None, True, 1j, np.ones(1)], ids=repr)
@pytest.mark.parametrize("kind", [SGD, Adam, AdamW])
def test_a_rate_that_is_no_number_is_refused(kind, value):
    with pytest.raises(TypeError, match=f"{kind.__name__}: expected lr to be a number"):
        kind(value)


@pytest.mark.parametrize("kind", [SGD, Adam, AdamW])
@pytest.mark.parametrize("value", [math.nan, math.inf, -1])
def test_a_rate_that_a_schedule_made_is_checked_before_anything_moves(kind, value):
    params, optimizer = {"w": np.ones(2)}, kind(0.1)
    optimizer.lr = value
    with pytest.raises(ValueError, match="expected lr >= 0 and finite"):
        optimizer.step(params, {"w": np.ones(2)})
    np.testing.assert_array_equal(params["w"], 1)


@pytest.mark.parametrize("kind", [SGD, Adam, AdamW])
def test_a_numpy_number_as_rate_computes_what_pythons_computes(kind):
    """float32 · np.float64 would be float64."""
    results = []
    for lr in (0.1, np.float64(0.1)):
        p, optimizer = np.full(3, 0.3, "float32"), kind(lr, weight_decay=np.float64(0.1))
        optimizer.lr = lr
        optimizer.step({"w": p}, {"w": np.array([1, 2, 3], "float32")})
        results.append(p)
        assert type(optimizer.lr) is float
    np.testing.assert_array_equal(*results)


@both
@pytest.mark.parametrize("lost", ["mean", "mean_square", "largest_mean_square"])
def test_a_state_of_adam_with_half_its_arrays_is_refused_before_anything_moves(kind, lost):
    params = {name: np.ones(2) for name in "abc"}
    optimizer = kind(amsgrad=True)
    optimizer.step(params, {name: np.ones(2) for name in "abc"})
    before = {name: p.copy() for name, p in params.items()}
    del getattr(optimizer, lost)["c"]
    with pytest.raises(ValueError, match=f"{kind.__name__}: the state has no {lost} of c"):
        optimizer.step(params, {name: np.ones(2) for name in "abc"})
    assert optimizer.steps == 1
    for name, p in params.items():
        np.testing.assert_array_equal(p, before[name])


@both
def test_a_state_of_adam_that_knows_nothing_of_a_parameter_is_refused(kind):
    """Its step count would belong to another parameter."""
    optimizer = kind()
    optimizer.step({"a": np.ones(2)}, {"a": np.ones(2)})
    with pytest.raises(ValueError, match="the state has no mean of b"):
        optimizer.step({"a": np.ones(2), "b": np.ones(2)}, {"a": np.ones(2), "b": np.ones(2)})


@pytest.mark.parametrize(("kind", "key"), [(SGD, "velocity"), (Adam, "mean"), (AdamW, "mean_square")])
def test_a_state_of_another_shape_is_refused_before_anything_moves(kind, key):
    options = {"momentum": 0.9} if kind is SGD else {}
    params, optimizer = {"a": np.ones(2), "b": np.ones((3, 2))}, kind(0.1, **options)
    grads = {name: np.ones_like(p) for name, p in params.items()}
    optimizer.step(params, grads)
    before = params["a"].copy()
    getattr(optimizer, key)["b"] = np.ones(2)  # would broadcast
    with pytest.raises(ValueError, match=rf"b has shape \(3, 2\), its {key} in the state \(2,\)"):
        optimizer.step(params, grads)
    np.testing.assert_array_equal(params["a"], before)


@pytest.mark.parametrize("dampening", [0.3, 1.0, -0.5])
def test_dampening_spares_the_first_gradient_only(dampening):
    p, optimizer = np.zeros(1), SGD(1.0, momentum=0.5, dampening=dampening)
    v = 0.0
    expected = 0.0
    for t, g in enumerate([1.0, 3.0, -2.0]):
        optimizer.step({"w": p}, {"w": np.array([g])})
        v = g if t == 0 else 0.5 * v + (1 - dampening) * g
        expected -= v
    assert p[0] == pytest.approx(expected, rel=1e-15)


@pytest.mark.parametrize("kind", [SGD, Adam, AdamW])
def test_maximize_is_the_step_of_the_opposite_gradient(kind, rng):
    up, down = np.ones(3), np.ones(3)
    climbing, descending = kind(0.1, weight_decay=0.1, maximize=True), kind(0.1, weight_decay=0.1)
    for _ in range(3):
        g = rng.standard_normal(3)
        climbing.step({"w": up}, {"w": g})
        descending.step({"w": down}, {"w": -g})
    np.testing.assert_array_equal(up, down)


@both
def test_amsgrad_remembers_the_largest_mean_square(kind):
    """A large gradient, then small ones: Adam forgets it, and its steps grow."""
    steps = {}
    for amsgrad in (False, True):
        p, optimizer = np.zeros(1), kind(0.1, (0.0, 0.5), weight_decay=0, amsgrad=amsgrad)
        for g in (100.0, *[1.0] * 8):
            before = p.copy()
            optimizer.step({"w": p}, {"w": np.array([g])})
        steps[amsgrad] = abs(float((p - before)[0]))
    assert steps[False] > 0.02
    assert steps[True] < 0.002
    assert optimizer.largest_mean_square["w"][0] == 0.5 * 100**2


@pytest.mark.parametrize(
    "make", [lambda: SGD(0.1, 0.9, 0.1, True), lambda: Adam(0.1, amsgrad=True), lambda: AdamW(0.1, maximize=True)]
)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_device_moves_parameters_as_the_host_does(make, dtype, rng):
    device = strict_device.backend()
    here = {"w": rng.standard_normal((2, 3)).astype(dtype), "b": rng.standard_normal(3).astype(dtype)}
    there = {name: device.asarray(p.copy()) for name, p in here.items()}
    ours, theirs = make(), make()
    for _ in range(3):
        grads = {name: rng.standard_normal(p.shape).astype(dtype) for name, p in here.items()}
        ours.step(here, grads)
        theirs.step(there, {name: device.asarray(g) for name, g in grads.items()})
    for name, p in here.items():
        np.testing.assert_array_equal(device.to_host(there[name]), p)
