"""The networks, each as one list of named layers."""

import numpy as np

from .layers import (
    RNN,
    BatchNorm1d,
    BatchNorm2d,
    Conv2d,
    Dropout,
    Dropout2d,
    Flatten,
    Linear,
    LogSoftmax,
    MaxPool2d,
    ReLU,
    Rows,
    Sigmoid,
    Softmax,
    Synapse,
    SynapseRNN,
)
from .sequential import Sequential

SQUASHES = {"softmax": Softmax, "sigmoid": Sigmoid, "none": None}


def SynaNN(seed=5, dtype="float32", backend="numpy", synapse="free", squash="softmax"):
    """The network of the seed: a small convolutional network whose classifier is softmax → synapse → batch-norm.

    Arguments:
        seed: of the weights and the dropout masks.
        dtype: "float32" or "float64". backend: a name or a Backend.
        synapse: "free", "logistic", "surprisal" (see Synapse), or "none": batch-norm follows at once.
        squash: "softmax", or "sigmoid" for probabilities that do not share a sum of 1, or "none", without synapse only.

    Networks of one seed have equal weights and masks at the start, whatever synapse and squash, but for the synapse's.

    Returns: Sequential, x (N, 1, 28, 28) -> log probabilities (N, 10). Raises: ValueError for any other word.
    """
    if squash not in SQUASHES or (squash == "none" and synapse != "none"):
        raise ValueError(f"SynaNN: squash {squash!r} with synapse {synapse!r}: expected softmax or sigmoid")
    rng = np.random.default_rng(seed)
    options = {"rng": rng, "dtype": dtype, "backend": backend}
    layers = [
        ("conv1", Conv2d(1, 10, 5, **options)),  # (N, 10, 24, 24)
        ("pool1", MaxPool2d(2)),  # (N, 10, 12, 12)
        ("relu1", ReLU()),
        ("conv2", Conv2d(10, 20, 5, **options)),  # (N, 20, 8, 8)
        ("conv2_drop", Dropout2d(0.5, rng=rng)),
        ("pool2", MaxPool2d(2)),  # (N, 20, 4, 4)
        ("relu2", ReLU()),
        ("flatten", Flatten()),  # (N, 320)
        ("fc1", Linear(320, 64, **options)),
        ("relu3", ReLU()),
        ("fc1_drop", Dropout(0.5, rng=rng)),
        (squash, SQUASHES[squash]() if squash != "none" else None),
        ("fcn", Synapse(64, "free" if synapse == "none" else synapse, **options)),
        ("fcb", BatchNorm1d(64, **options)),
        ("fc2", Linear(64, 10, **options)),  # (N, 10)
        ("log_softmax", LogSoftmax()),
    ]
    left_out = {"none"} | ({"fcn"} if synapse == "none" else set())  # made all the same: it draws random numbers
    return Sequential([(name, layer) for name, layer in layers if name not in left_out], dtype, backend)


def SynaLeNet(seed=5, dtype="float32", backend="numpy"):
    """SynaNN without its dropout and without the relu in front of the softmax: what `--recipe quick` trains.

    Arguments: as SynaNN's. Returns: Sequential, x (N, 1, 28, 28) -> log probabilities (N, 10).
    """
    layers = SynaNN(seed, dtype, backend).layers
    left_out = {"conv2_drop", "relu3", "fc1_drop"}
    return Sequential([(name, layer) for name, layer in layers.items() if name not in left_out], dtype, backend)


def SynaCNN(seed=5, dtype="float32", backend="numpy"):
    """Five convolutions with batch-norm, and a classifier of sigmoid → synapse → batch-norm, without dropout.

    The pooling windows come early, where the images are large: 8.4 million multiplications an image. A convolution
    whose mean batch-norm takes away at once has no bias.

    Arguments: as SynaNN's. Returns: Sequential, x (N, 1, 28, 28) -> log probabilities (N, 10).
    """
    rng = np.random.default_rng(seed)
    options = {"rng": rng, "dtype": dtype, "backend": backend}
    common = {"dtype": dtype, "backend": backend}
    return Sequential(
        [
            ("conv1", Conv2d(1, 32, 5, **options)),  # (N, 32, 24, 24)
            ("pool1", MaxPool2d(2)),  # (N, 32, 12, 12)
            ("relu1", ReLU()),
            ("norm1", BatchNorm2d(32, **common)),
            ("conv2", Conv2d(32, 64, 3, bias=False, **options)),  # (N, 64, 10, 10)
            ("norm2", BatchNorm2d(64, **common)),
            ("relu2", ReLU()),
            ("conv3", Conv2d(64, 96, 3, bias=False, **options)),  # (N, 96, 8, 8)
            ("pool3", MaxPool2d(2)),  # (N, 96, 4, 4)
            ("norm3", BatchNorm2d(96, **common)),
            ("relu3", ReLU()),
            ("conv4", Conv2d(96, 128, 3, padding=1, bias=False, **options)),  # (N, 128, 4, 4)
            ("norm4", BatchNorm2d(128, **common)),
            ("relu4", ReLU()),
            ("conv5", Conv2d(128, 160, 3, bias=False, **options)),  # (N, 160, 2, 2)
            ("norm5", BatchNorm2d(160, **common)),
            ("relu5", ReLU()),
            ("flatten", Flatten()),  # (N, 640)
            ("fc1", Linear(640, 128, **options)),
            ("sigmoid", Sigmoid()),
            ("fcn", Synapse(128, **options)),
            ("fcb", BatchNorm1d(128, **common)),
            ("fc2", Linear(128, 10, **options)),  # (N, 10)
            ("log_softmax", LogSoftmax()),
        ],
        dtype,
        backend,
    )


def SynaMLP(seed=5, dtype="float32", backend="numpy"):
    """The network of the paper's experiment: 250 hidden units, softmax → synapse → batch-norm.

    Arguments and returned Sequential: as SynaNN.
    """
    options = {"rng": np.random.default_rng(seed), "dtype": dtype, "backend": backend}
    layers = [
        ("flatten", Flatten()),  # (N, 784)
        ("fc1", Linear(784, 250, **options)),
        ("softmax", Softmax()),
        ("fcn", Synapse(250, **options)),
        ("fcb", BatchNorm1d(250, **options)),
        ("fc2", Linear(250, 10, **options)),  # (N, 10)
        ("log_softmax", LogSoftmax()),
    ]
    return Sequential(layers, dtype, backend)


def SynaRNN(seed=5, dtype="float32", backend="numpy", hidden=64):
    """An image read row by row by a recurrent synapse layer, classified by all of its states.

    α stays 1, as the batch-norm behind scales the states anyway: then they are probabilities, and with the leaking
    rates there are as many weights as in TanhRNN.

    Arguments: hidden: units of the recurrent layer; the others, and the returned Sequential: as SynaNN.
    """
    return _row_reader(SynapseRNN, seed, dtype, backend, hidden, train_alpha=False)


def TanhRNN(seed=5, dtype="float32", backend="numpy", hidden=64):
    """SynaRNN with the plain recurrent layer of tanh in the place of the synapse: what it is to be compared with."""
    return _row_reader(RNN, seed, dtype, backend, hidden)


def _row_reader(cell, seed, dtype, backend, hidden, **arguments):
    options = {"rng": np.random.default_rng(seed), "dtype": dtype, "backend": backend}
    layers = [
        ("rows", Rows()),  # (N, 28, 28)
        ("rnn", cell(28, hidden, return_sequences=True, **arguments, **options)),  # (N, 28, hidden)
        ("flatten", Flatten()),  # (N, 28 hidden)
        ("bn", BatchNorm1d(28 * hidden, **options)),
        ("fc", Linear(28 * hidden, 10, **options)),  # (N, 10)
        ("log_softmax", LogSoftmax()),
    ]
    return Sequential(layers, dtype, backend)


# The networks by the name that scripts know them by; each takes seed, dtype and backend.
MODELS = {"synann": SynaNN, "mlp": SynaMLP, "rnn": SynaRNN, "tanh_rnn": TanhRNN, "lenet": SynaLeNet, "cnn": SynaCNN}
