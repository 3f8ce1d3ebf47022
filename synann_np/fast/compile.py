"""From a plain Sequential to a faster model with the same parameters."""

import os

from ..layers import Conv2d, Dropout, Dropout2d, MaxPool2d, ReLU, Synapse
from ..sequential import Sequential
from .blocked import Blocked
from .blocks import ConvPoolReluBlock, DropoutBlock, LayerBlock
from .memory import keep_freed_memory
from .synapse import FastSynapse


def compile(model, threads=None, input_gradient=True):
    """A model that computes what `model` computes, faster. It shares the arrays of the parameters and buffers.

    In front of the first layer that mixes rows, as batch-norm does, everything is computed on a part of the batch at a
    time, and two things are recognised there: convolution → (channel dropout) → 2×2 pooling → relu, which becomes one
    block if the kernel is odd, the stride 1 and the padding 0; and the synapse layer. Other layers, and those behind,
    run as they are. The numbers equal those of the plain model up to rounding.

    Two things concern the whole process: freed memory is kept (`keep_freed_memory`), and BLAS gets this number of
    threads.

    Arguments:
        model: Sequential.
        threads: of BLAS; None takes the cores that this process may use. Equal runs need equal numbers: a product that
            is cut among threads may be rounded otherwise.
        input_gradient: False if dx of the model's input is not needed, as in training: where the model begins with such
            a block, backward then returns None for it and saves the time.

    Returns: a Sequential. On other backends than NumPy, or with SYNANN_FAST=0 in the environment: `model` itself.
    """
    if model.backend.name != "numpy" or os.environ.get("SYNANN_FAST") == "0":
        return model
    threads = usable_cores() if threads is None else threads
    if threads < 1:
        raise ValueError(f"compile: expected at least one thread, got {threads}")
    import threadpoolctl  # importing the package needs NumPy only

    threadpoolctl.threadpool_limits(threads, user_api="blas")
    keep_freed_memory()
    names = list(model.layers)
    mixing = [i for i, name in enumerate(names) if _needs_the_whole_batch(model.layers[name])]
    first_joint = mixing[0] if mixing else len(names)
    by_rows = fuse(names[:first_joint], model.layers, input_gradient)
    joint = Sequential([(name, model.layers[name]) for name in names[first_joint:]], model.dtype, model.backend)
    return Blocked(model, by_rows, joint)


def usable_cores():
    """Cores that this process may use: its affinity where the system knows one, else all; fewer if OMP_NUM_THREADS or
    OPENBLAS_NUM_THREADS say so.
    """
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    limits = [os.environ.get(name, "") for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS")]
    return min([cores, *(int(limit) for limit in limits if limit.isdecimal() and int(limit) > 0)])


def _needs_the_whole_batch(layer):
    """Whether a layer mixes rows, or draws masks in a way that is not known here and may number the rows."""
    return layer.mixes_rows or (layer.draws_masks and type(layer) not in (Dropout, Dropout2d))


def fuse(names, layers, input_gradient):
    """The layers of these names as a list of blocks. The first block need not know dx without input_gradient."""
    blocks = []
    while names:
        wants_dx = input_gradient or bool(blocks)
        count, block = _conv_pool_relu(names, layers, wants_dx) or _single(names[0], layers[names[0]])
        blocks.append(block)
        names = names[count:]
    return blocks


def _conv_pool_relu(names, layers, wants_dx):
    chain = [layers[name] for name in names[:4]]
    dropout = chain.pop(1) if len(chain) > 1 and type(chain[1]) is Dropout2d else None
    if len(chain) < 3 or [type(layer) for layer in chain[:3]] != [Conv2d, MaxPool2d, ReLU]:
        return None
    conv, pool = chain[:2]
    if any(k % 2 == 0 for k in conv.kernel_size):
        return None
    if conv.stride != (1, 1) or conv.padding != (0, 0) or pool.kernel_size != (2, 2) or pool.stride != (2, 2):
        return None
    return 3 + (dropout is not None), ConvPoolReluBlock(names[0], conv, dropout, wants_dx)


def _single(name, layer):
    if type(layer) is Synapse:
        return 1, LayerBlock(name, FastSynapse(layer))
    if type(layer) in (Dropout, Dropout2d):
        return 1, DropoutBlock(name, layer)
    return 1, LayerBlock(name, layer)
