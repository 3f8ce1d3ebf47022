"""A perceptron whose classifier has a synapse."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from ..backend import BackendLike, DTypeLike
from ..layers import BatchNorm1d, Flatten, Linear, LogSoftmax, Softmax, Synapse
from ..sequential import Sequential
from .in_shape import number_of_classes, shape_of_example


def SynaMLP(
    seed: int = 5, dtype: DTypeLike = "float32", backend: BackendLike = "numpy", hidden: int = 250,
    in_shape: tuple[int, ...] = (1, 28, 28), classes: int = 10, synapse: Callable = Synapse,
) -> Sequential:  # fmt: skip
    """A perceptron with one hidden layer, softmax → synapse → batch-norm.

    250 hidden units are those of the author's Keras script. The paper (Li, 2018) has 280, trained by Adam with a
    learning rate from 0.003 to 0.0001 and dropout that keeps 0.75, from weights of deviation 0.1, and reports 97.95 %.

    Arguments: hidden: units. in_shape: (D,) for a table of D columns, or any other shape, which is flattened.
        synapse: the class of the layer; functools.partial(ShardedSynapse, comm=comm) divides it among processes. The
        others, and the returned Sequential: as SynaNN.

    Raises: ValueError for another shape or number.
    """
    options: dict[str, Any] = {"rng": np.random.default_rng(seed), "dtype": dtype, "backend": backend}
    features = math.prod(shape_of_example("SynaMLP", in_shape))
    layers = [
        ("flatten", Flatten()),  # (N, 784)
        ("fc1", Linear(features, hidden, **options)),
        ("softmax", Softmax()),
        ("fcn", synapse(hidden, **options)),
        ("fcb", BatchNorm1d(hidden, **options)),
        ("fc2", Linear(hidden, number_of_classes("SynaMLP", classes), **options)),  # (N, K)
        ("log_softmax", LogSoftmax()),
    ]
    return Sequential(layers, dtype, backend)
