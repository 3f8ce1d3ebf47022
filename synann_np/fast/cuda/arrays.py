"""Every array that a kernel reads or writes, by name: its dtype and shape. One name is one array in all kernels.

A training step of SynaNN at N rows is four launches over one dict of arrays:

    train_forward   images of the batch -> softmax -> synapse, row by row; keeps what the backward pass needs
    train_head      batch-norm statistics, fc2, log-softmax, loss, gradient back to batch-norm's output
    train_backward  batch-norm to conv1, row by row; weight gradients of the convolutions summed over a block's rows
    train_update    the remaining sums over rows, all weight gradients, SGD, loss log, counters

What the caller fills once: images, labels, seeds, params, velocity (0), running, hyper, losses, counter; and for every
epoch `order` and counter[1] = 0. Nothing of a step depends on the host: the rows of a batch are
images[order[counter[1] + n]], the masks those of step counter[0], and train_update moves counter on by (1, N) and
writes losses[step % L]. hyper may be changed between steps.

Sizes: N rows of a batch, M images, T entries of order, L entries of losses; G and H, numbers of blocks that write
partial sums, follow from N (step_sizes). Arrays with a leading N may be the first N rows of larger ones.

Every array begins at a multiple of 16 bytes, as those of CuPy and NumPy do, and is C-contiguous: some are read four
values at a time. head_parts and row_parts must be 0 before the first step, as their padding is never written; what else
the kernels write may hold anything.

The dtype "real" is float32; a launcher of float64 serves tests.
"""

import math

from .layer_arrays import LAYER_ARRAYS

C1, C2, HIDDEN, FEATURES, CLASSES = 10, 20, 64, 320, 10  # of SynaNN: channels, units of fc1, inputs of fc1, classes

# In the order of the flat array `params`: first what train_backward sums, then what train_head sums, then the products.
_SHAPES = {
    "conv1.weight": (C1, 1, 5, 5),
    "conv1.bias": (C1,),
    "conv2.weight": (C2, C1, 5, 5),
    "conv2.bias": (C2,),
    "fc1.bias": (HIDDEN,),
    "fcn.alpha": (HIDDEN,),
    "fcb.weight": (HIDDEN,),
    "fcb.bias": (HIDDEN,),
    "fc2.weight": (CLASSES, HIDDEN),
    "fc2.bias": (CLASSES,),
    "fc1.weight": (HIDDEN, FEATURES),
    "fcn.beta": (HIDDEN, HIDDEN),
}
_ALIGNMENT = 32  # elements: every parameter begins on a line of 128 bytes, and a block updates 32 at a time


def _offsets():
    offset, table = 0, {}
    for name, shape in _SHAPES.items():
        table[name] = (offset, shape)
        offset += -(-math.prod(shape) // _ALIGNMENT) * _ALIGNMENT
    return table, offset


PARAMETERS, PARAM_SIZE = _offsets()  # name -> (offset, shape)
ROW_SIZE = PARAMETERS["fcb.weight"][0]  # of the parameters that train_backward sums
HEAD_SIZE = PARAMETERS["fc1.weight"][0] - ROW_SIZE + 32  # of those that train_head sums; behind them the loss

ARRAYS = {
    # data and state, filled by the caller
    "images": ("uint8", ("M", 784)),
    "labels": ("uint8", ("M",)),
    "order": ("int32", ("T",)),  # indices of images
    "counter": ("int64", (2,)),  # step; position in order of the batch's first row
    "seeds": ("uint64", (2,)),  # of conv2_drop and fc1_drop
    "params": ("real", (PARAM_SIZE,)),  # see PARAMETERS
    "velocity": ("real", (PARAM_SIZE,)),
    "running": ("real", (2, HIDDEN)),  # fcb: running_mean, running_var
    "hyper": ("real", (4,)),  # lr, momentum, weight_decay, 1 for nesterov or 0
    "losses": ("real", ("L",)),
    # written by train_forward
    "pooled1": ("real", ("N", C1, 12, 12)),  # behind relu1
    "winner1": ("uint8", ("N", C1, 12, 12)),  # of each window of pool1, 0..3 in row-major order
    "pooled2": ("real", ("N", FEATURES)),  # behind relu2
    "winner2": ("uint8", ("N", FEATURES)),
    "hidden": ("real", ("N", HIDDEN)),  # behind relu3, before dropout
    "x": ("real", ("N", HIDDEN)),  # behind softmax
    "product": ("real", ("N", HIDDEN)),  # R, the product of the non-zero factors of the synapse
    "zeros": ("uint8", ("N", HIDDEN)),  # number of zero factors, at most 2
    "y": ("real", ("N", HIDDEN)),  # behind the synapse
    # written by train_head
    "stats": ("real", (2, HIDDEN)),  # fcb: mean of the batch, 1/√(variance + eps)
    "dz": ("real", ("N", HIDDEN)),  # gradient of batch-norm's output
    "head_parts": ("real", ("H", HEAD_SIZE)),
    # written by train_backward
    "dy": ("real", ("N", HIDDEN)),  # gradient of the synapse's output
    "t": ("real", ("N", HIDDEN)),  # dy α x R where no factor is 0, else 0
    "t_zero": ("real", ("N", HIDDEN)),  # dy α x R where one factor is 0, else 0
    "dhidden": ("real", ("N", HIDDEN)),  # gradient of fc1's output
    "row_parts": ("real", ("G", ROW_SIZE)),
    # written by train_update
    "grads": ("real", (PARAM_SIZE,)),  # without weight decay
    # written by evaluate_head
    "log_probs": ("real", ("N", CLASSES)),
    "row_loss": ("real", ("N",)),
    "row_correct": ("int32", ("N",)),  # 1 or 0
    # of the update of any network: P parameters, S parameters and buffers; see captured/update.py
    "update.grads": ("real", ("P",)),
    "update.norms": ("real", ("H", 2)),  # largest |g| of a part of the gradients, Σ (g / its power of two)²
    "update.numbers": ("int64", (1, "W")),  # numbers of "real", 8 bytes each: see NUMBERS in kernels.py
    "update.is_matrix": ("uint8", ("P",)),  # 1 where the parameter has two axes or more
    "update.values": ("real", ("S",)),
    "update.first": ("real", ("P1",)),  # velocity or mean; P1 is P, or 1 where there is none
    "update.second": ("real", ("P2",)),  # mean_square
    "update.average": ("real", ("A",)),  # S, or 1
} | LAYER_ARRAYS


def step_sizes(N, M, T, L=1):
    """dict of all sizes of a training step, or of an evaluation, of N rows."""
    return {"N": N, "M": M, "T": T, "L": L, "G": min(N, 256), "H": min(-(-N // 4), 64)}


def shape_of(name, sizes):
    """The shape of an array of the table, with the sizes put in."""
    return tuple(sizes[size] if isinstance(size, str) else size for size in ARRAYS[name][1])


def parameter_views(flat):
    """dict name -> view of the flat array (params, velocity or grads), with SynaNN's names and shapes."""
    return {name: flat[o : o + math.prod(shape)].reshape(shape) for name, (o, shape) in PARAMETERS.items()}
