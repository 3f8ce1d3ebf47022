"""Recurrent networks that read a sequence, or an image row by row."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..backend import BackendLike, DTypeLike
from ..layers import RNN, BatchNorm1d, Flatten, Linear, LogSoftmax, Rows, SynapseRNN
from ..sequential import Sequential
from .in_shape import number_of_classes, shape_of_example

# Of SynaRNN: with Adam, its excitation learns 3 and its inhibition 100 times as fast as the other layers. Without, the
# inhibition is not learned at all (docs/recurrent.md).
GAIN, BETA_GAIN = 3.0, 100.0


def SynaRNN(
    seed: int = 5,
    dtype: DTypeLike = "float32",
    backend: BackendLike = "numpy",
    hidden: Any = 64,
    in_shape: Sequence[int] = (1, 28, 28),
    classes: int = 10,
) -> Sequential:
    """An image read row by row, or a sequence, by a recurrent synapse layer, classified by all of its states.

    α stays 1, as the batch-norm after it scales the states anyway: then they are probabilities, and with the leaking
    rates there are as many weights as in TanhRNN.

    Arguments: hidden: units of the recurrent layer. in_shape: (1, H, W), an image of H rows, or (T, D), a sequence of T
        steps of D numbers. The others, and the returned Sequential: as SynaNN.

    Raises: ValueError for another shape or number.
    """
    gains = {"gain": GAIN, "beta_gain": BETA_GAIN}
    return _row_reader(SynapseRNN, seed, dtype, backend, hidden, in_shape, classes, train_alpha=False, **gains)


def TanhRNN(
    seed: int = 5,
    dtype: DTypeLike = "float32",
    backend: BackendLike = "numpy",
    hidden: Any = 64,
    in_shape: Sequence[int] = (1, 28, 28),
    classes: int = 10,
) -> Sequential:
    """SynaRNN with the plain recurrent layer of tanh in the place of the synapse: what it is to be compared with."""
    return _row_reader(RNN, seed, dtype, backend, hidden, in_shape, classes)


def _row_reader(cell, seed, dtype, backend, hidden, in_shape, classes, **arguments):
    name = "SynaRNN" if cell is SynapseRNN else "TanhRNN"
    in_shape = shape_of_example(name, in_shape)
    if len(in_shape) not in (2, 3) or (len(in_shape) == 3 and in_shape[0] != 1):
        raise ValueError(f"{name}: expected in_shape (1, H, W) or (T, D), got {in_shape}")
    T, D = in_shape[-2:]
    options = {"rng": np.random.default_rng(seed), "dtype": dtype, "backend": backend}
    layers = [
        *([("rows", Rows())] if len(in_shape) == 3 else []),  # (N, T, D)
        ("rnn", cell(D, hidden, return_sequences=True, **arguments, **options)),  # (N, T, hidden)
        ("flatten", Flatten()),  # (N, T hidden)
        ("bn", BatchNorm1d(T * hidden, **options)),
        ("fc", Linear(T * hidden, number_of_classes(name, classes), **options)),  # (N, K)
        ("log_softmax", LogSoftmax()),
    ]
    return Sequential(layers, dtype, backend)
