import math

import numpy as np
import pytest

import strict_device
from synann_np.training.clipping import clip_grad_norm


def some_grads(rng, dtype="float64"):
    return {name: rng.normal(size=shape).astype(dtype) for name, shape in (("w", (3, 4)), ("b", (5,)), ("one", ()))}


def norm_of(grads):
    return math.sqrt(sum(float(x) ** 2 for g in grads.values() for x in np.ravel(g)))


@pytest.mark.parametrize("max_norm", [0.01, 1.0, 2.5])
def test_longer_gradients_are_scaled_together_to_the_norm(max_norm, rng):
    grads = some_grads(rng)
    clipped, norm = clip_grad_norm(grads, max_norm)
    assert float(norm) == pytest.approx(norm_of(grads), rel=1e-14)
    assert norm > max_norm
    assert norm_of(clipped) == pytest.approx(max_norm, rel=1e-5)
    for name, g in grads.items():
        np.testing.assert_allclose(clipped[name] * norm_of(grads), g * max_norm, rtol=1e-5)


def test_shorter_gradients_stay_to_the_bit(rng):
    grads = some_grads(rng)
    clipped, _ = clip_grad_norm(grads, 1000.0)
    for name, g in grads.items():
        np.testing.assert_array_equal(clipped[name], g)


def test_gradients_of_zero_stay_zero():
    clipped, norm = clip_grad_norm({"w": np.zeros(3)}, 1.0)
    assert norm == 0
    assert not clipped["w"].any()


def test_inputs_are_not_modified_and_float32_stays_float32(rng):
    grads = some_grads(rng, "float32")
    for g in grads.values():
        g.flags.writeable = False
    clipped, norm = clip_grad_norm(grads, 0.5)
    assert clipped.keys() == grads.keys()
    assert {a.dtype for a in [*clipped.values(), norm]} == {np.dtype("float32")}


@pytest.mark.parametrize("max_norm", [0, -1, math.nan])
def test_a_norm_that_is_not_positive_is_refused(max_norm):
    with pytest.raises(ValueError, match="clip_grad_norm: expected max_norm > 0"):
        clip_grad_norm({"w": np.ones(2)}, max_norm)


def test_a_device_is_not_waited_for(rng):
    """The strict device raises where a value would be copied to the host."""
    device, grads = strict_device.backend(), some_grads(rng, "float32")
    clipped, norm = clip_grad_norm({name: device.asarray(g) for name, g in grads.items()}, 0.5)
    expected, expected_norm = clip_grad_norm(grads, 0.5)
    np.testing.assert_array_equal(device.to_host(norm), expected_norm)
    for name, g in expected.items():
        np.testing.assert_array_equal(device.to_host(clipped[name]), g)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("max_norm", [0.3, 100.0])
def test_it_computes_what_torch_computes(dtype, max_norm, rng):
    torch = pytest.importorskip("torch", reason="PyTorch is not installed: parity cannot be checked live")
    grads = some_grads(rng, dtype)
    tensors = {name: torch.zeros(g.shape, dtype=getattr(torch, dtype), requires_grad=True) for name, g in grads.items()}
    for name, g in grads.items():
        tensors[name].grad = torch.tensor(g)
    torch_norm = torch.nn.utils.clip_grad_norm_(tensors.values(), max_norm)
    clipped, norm = clip_grad_norm(grads, max_norm)
    rtol = 1e-6 if dtype == "float32" else 1e-14
    np.testing.assert_allclose(norm, torch_norm.numpy(), rtol=rtol)
    for name, t in tensors.items():
        np.testing.assert_allclose(clipped[name], t.grad.numpy(), rtol=rtol)


@pytest.mark.parametrize("size", [4e19, 1e38, 1e-25])
def test_gradients_whose_squares_leave_float32_are_clipped_right(size):
    """4e19² is beyond float32: an infinite norm would make all gradients 0."""
    grads = {"w": np.array([3 * size / 5, 0], "float32"), "b": np.array([-4 * size / 5], "float32")}
    clipped, norm = clip_grad_norm(grads, 1.0)
    assert float(norm) == pytest.approx(size, rel=1e-6)
    expected = np.array([0.6, -0.8]) * min(size, 1.0)
    np.testing.assert_allclose([clipped["w"][0], clipped["b"][0]], expected, rtol=1e-6)


def test_the_scaling_changes_no_digit(rng):
    """The factor is that of the plain formula, to the bit."""
    for _ in range(20):
        grads = {name: g * 10.0 ** rng.integers(-3, 4) for name, g in some_grads(rng).items()}
        norm = np.sqrt(sum(np.square(g).sum() for g in grads.values()))
        clipped, found = clip_grad_norm(grads, 0.1)
        assert found == norm
        for name, g in grads.items():
            np.testing.assert_array_equal(clipped[name], g * np.minimum(0.1 / (norm + 1e-6), 1.0))


@pytest.mark.parametrize("grads", [{}, {"w": np.zeros((0, 3))}], ids=["none", "empty"])
def test_no_gradients_are_refused(grads):
    with pytest.raises(ValueError, match="expected at least one gradient"):
        clip_grad_norm(grads, 1.0)


def test_an_empty_gradient_beside_others_stays_empty():
    clipped, norm = clip_grad_norm({"a": np.zeros((0, 3)), "b": np.array([3.0, 4.0])}, 1.0)
    assert norm == 5
    assert clipped["a"].shape == (0, 3)
