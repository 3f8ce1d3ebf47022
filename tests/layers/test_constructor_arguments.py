"""Arguments of the constructors: numbers that are meant are taken, whatever their type, the others refused by name."""

import json
import math

import numpy as np
import pytest

from synann_np import layers
from synann_np.layers import (
    RNN,
    BatchNorm1d,
    BatchNorm2d,
    Conv2d,
    Dropout,
    Linear,
    MaxPool2d,
    Synapse,
    SynapseGraph,
    SynapseRNN,
    SynapseTensor,
)

SIZES = {  # a call with one size in the place of None
    "in_features": lambda n: Linear(n, 3),
    "out_features": lambda n: Linear(3, n),
    "in_channels": lambda n: Conv2d(n, 2, 3),
    "out_channels": lambda n: Conv2d(2, n, 3),
    "kernel_size": lambda n: Conv2d(2, 2, n),
    "stride": lambda n: Conv2d(2, 2, 3, stride=n),
    "kernel_size ": lambda n: MaxPool2d(n),
    "stride ": lambda n: MaxPool2d(2, stride=n),
    "num_features": BatchNorm1d,
    "num_features ": BatchNorm2d,
    "features": Synapse,
    "features ": lambda n: SynapseGraph(n, 3),
    "features  ": SynapseTensor,
    "inhibitors": lambda n: SynapseGraph(3, n),
    "hidden": lambda n: SynapseTensor(3, (2, n)),
    "input_size": lambda n: RNN(n, 3),
    "hidden_size": lambda n: RNN(3, n),
    "truncate": lambda n: RNN(3, 3, truncate=n),
    "hidden_size ": lambda n: SynapseRNN(3, n),
}
RANGES = {  # a call with one number in the place of None, and the numbers that are out of range
    "padding": (lambda n: Conv2d(2, 2, 3, padding=n), [-1]),
    "padding ": (lambda n: Conv2d(2, 2, 3, padding=(0, n)), [-1, 0.5]),
    "eps": (lambda v: BatchNorm1d(3, eps=v), [-1, -1e-9, math.nan, math.inf, "1e-5", True]),
    "momentum": (lambda v: BatchNorm2d(3, momentum=v), [-0.1, 1.1, math.nan, None, np.zeros(3)]),
    "p": (Dropout, [-0.1, 1.1, math.nan, "0.5"]),
    "seed": (lambda v: Dropout(seed=v), [-1, 0.5]),
    "bias": (lambda v: Linear(3, 3, bias=v), [0, "no", None]),
    "bias ": (lambda v: Conv2d(3, 3, 3, bias=v), [1, np.ones(3)]),
    "return_sequences": (lambda v: RNN(3, 3, v), ["last", 1]),
    "train_alpha": (lambda v: Synapse(3, train_alpha=v), ["yes"]),
    "leak": (lambda v: SynapseRNN(3, 3, leak=v), [0.5]),
    "gain": (lambda v: SynapseRNN(3, 3, gain=v), [0, -1, math.nan, math.inf, "3", True]),
    "beta_gain": (lambda v: SynapseRNN(3, 3, beta_gain=v), [0, -1, math.nan, 1e9, None]),
    "beta_gain ": (lambda v: SynapseGraph(3, 2, beta_gain=v), [0, -1, math.nan, 1e9, None]),
    "parametrisation": (lambda v: Synapse(3, v), ["squared", 3, ["free"]]),
}


@pytest.mark.parametrize("name", SIZES)
def test_a_size_that_is_no_integer_of_one_or_more_is_refused_by_name(name):
    for value in (0, -1, 1.5, 2.0, True, "3", np.float64(3), np.ones(1, int)):
        with pytest.raises((TypeError, ValueError), match=rf"{name.strip()} (to be an integer|>= 1).*, got"):
            SIZES[name](value)


@pytest.mark.parametrize("name", RANGES)
def test_what_is_out_of_range_is_refused_by_name(name):
    make, values = RANGES[name]
    for value in values:
        with pytest.raises((TypeError, ValueError), match=rf": expected {name.strip()} .*, got"):
            make(value)


@pytest.mark.parametrize("value", [(1,), (1, 2, 3), (0, 1), (1, 1.5), [], [[1, 2], [3, 4]]], ids=repr)
@pytest.mark.parametrize("name", ["kernel_size", "stride"])
def test_what_is_no_pair_is_refused(name, value):
    with pytest.raises((TypeError, ValueError), match=f"expected {name} "):
        MaxPool2d(**({"kernel_size": 2} | {name: value}))


@pytest.mark.parametrize("name", SIZES)
def test_a_numpy_integer_is_taken_and_kept_as_pythons(name):
    layer = SIZES[name](np.int64(2))
    assert repr(layer) == repr(SIZES[name](2))
    json.dumps(layer.config)


def test_numpy_numbers_compute_what_pythons_compute():
    """A NumPy scalar as eps or momentum would promote float32 to float64."""
    x = np.random.default_rng(0).standard_normal((5, 3)).astype("float32")
    layer = BatchNorm1d(np.int32(3), eps=np.float64(1e-5), momentum=np.float64(0.1))
    y, _ = layer.forward(x, train=True)
    assert y.dtype == layer.buffers["running_mean"].dtype == np.float32
    dropped, _ = Dropout(np.float64(0.5), seed=np.int64(3)).forward(x, train=True, step=np.int64(3))
    assert dropped.dtype == np.float32
    np.testing.assert_array_equal(dropped, Dropout(0.5, seed=3).forward(x, train=True, step=3)[0])


@pytest.mark.parametrize("step", [-1, 1.5, "1", True])
def test_a_step_that_is_none_is_refused(step):
    with pytest.raises((TypeError, ValueError), match="expected step"):
        Dropout().forward(np.ones((2, 3)), train=True, step=step)


@pytest.mark.parametrize("rng", [0, np.int64(5), np.random], ids=["int", "numpy-int", "module"])
@pytest.mark.parametrize(
    "make",
    [
        lambda rng: Linear(3, 2, rng=rng),
        lambda rng: Conv2d(1, 1, 2, rng=rng),
        lambda rng: Synapse(3, "logistic", rng=rng),
        lambda rng: SynapseRNN(2, 3, rng=rng),
        lambda rng: RNN(2, 3, rng=rng),
        lambda rng: Dropout(rng=rng),
    ],
    ids=["Linear", "Conv2d", "Synapse", "SynapseRNN", "RNN", "Dropout"],
)
def test_a_seed_in_the_place_of_a_generator_is_refused_with_the_cure(make, rng):
    with pytest.raises(TypeError, match=r"rng=numpy\.random\.default_rng\(seed\)"):
        make(rng)


def test_a_message_of_a_foreign_value_stays_short():
    with pytest.raises(TypeError) as refused:
        Linear("x" * 100_000, 3)
    assert len(str(refused.value)) < 600


def test_every_layer_is_named_in_its_error():
    for name in layers.__all__:
        if name in ("Layer", "Flatten", "ReLU", "Rows", "Residual", "Sigmoid", "Softmax", "LogSoftmax"):
            continue
        cls = getattr(layers, name)
        if cls.__module__.endswith("activations"):
            continue
        with pytest.raises((TypeError, ValueError), match=rf"^{name}(\(|:)"):
            cls(
                *[-1]
                * (
                    2
                    if name in ("GroupNorm", "Linear", "RNN", "SynapseRNN", "SynapseGraph")
                    else 3
                    if name == "Conv2d"
                    else 1
                )
            )
