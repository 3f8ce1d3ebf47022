"""What is fused behind the first layer that mixes rows, on the convolutional network."""

import numpy as np
import pytest

from synann_np.fast import compile
from synann_np.fast.batchnorm_relu import BatchNormRelu
from synann_np.fast.fuse import fuse_joint
from synann_np.fast.loops import find_compiler
from synann_np.fast.loops.synapse import CompiledSynapse
from synann_np.fast.synapse import FastSynapse
from synann_np.layers import BatchNorm1d, ReLU
from synann_np.losses import nll_loss
from synann_np.models import SynaCNN
from synann_np.optim import SGD


def train(model, dtype, steps=3):
    optimizer, losses = SGD(0.05, 0.5), []
    for step in range(steps):
        rng = np.random.default_rng(step)
        x, labels = rng.standard_normal((12, 1, 28, 28)).astype(dtype), rng.integers(0, 10, 12)
        log_probs, caches = model.forward(x, train=True, step=step)
        loss, dlog_probs = nll_loss(log_probs, labels)
        _, grads = model.backward(dlog_probs, caches)
        optimizer.step(model.params, grads)
        losses.append(float(loss))
    return losses, grads


@pytest.mark.parametrize("threads", [1, 2])
def test_training_steps_equal_those_of_the_plain_network(threads):
    plain, copy = SynaCNN(dtype="float64"), SynaCNN(dtype="float64")
    losses, grads = train(plain, "float64")
    fast_losses, fast_grads = train(compile(copy, threads, input_gradient=False), "float64")
    np.testing.assert_allclose(fast_losses, losses, rtol=1e-10)
    assert fast_grads.keys() == grads.keys() == plain.params.keys()
    for name, g in grads.items():
        # The floor is for a bias that the next batch-norm takes away: its gradient is 0.
        assert np.abs(fast_grads[name] - g).max() <= 1e-8 * np.abs(g).max() + 1e-12, name
    state = copy.state_dict()
    for name, a in plain.state_dict().items():
        assert np.abs(state[name] - a).max() <= 1e-9 * np.abs(a).max() + 1e-12, name


def test_evaluation_equals_the_plain_network():
    model = SynaCNN()
    x = np.random.default_rng(0).standard_normal((30, 1, 28, 28)).astype("float32")
    assert np.abs(compile(model, 1).forward(x)[0] - model.forward(x)[0]).max() < 1e-5


def test_only_a_relu_right_behind_a_batch_norm_is_fused():
    norm, relu = BatchNorm1d(3), ReLU()
    assert [type(layer) for layer in fuse_joint({"a": norm, "b": relu}).values()] == [BatchNormRelu]
    assert [type(layer) for layer in fuse_joint({"a": relu, "b": norm}).values()] == [ReLU, BatchNorm1d]
    layers = fuse_joint({"a": norm, "b": relu, "c": ReLU(), "d": norm})
    assert {name: type(layer) for name, layer in layers.items()} == {"a": BatchNormRelu, "c": ReLU, "d": BatchNorm1d}


def test_the_network_uses_what_is_fused():
    joint = compile(SynaCNN(), 1).joint.layers
    assert {"relu2", "relu3", "relu4", "relu5"}.isdisjoint(joint)
    assert type(joint["norm5"]) is BatchNormRelu
    assert type(joint["fcn"]) is (FastSynapse if find_compiler() is None else CompiledSynapse)
