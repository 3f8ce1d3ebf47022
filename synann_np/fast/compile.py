"""From a plain Sequential to a faster model with the same parameters."""

import os
import platform
import sys

from ..layers import Conv2d, Dropout, Dropout2d
from ..layers.base import Layer
from ..sequential import Sequential
from .blocked import Blocked
from .blocks import ConvPoolReluBlock
from .cuda.compile import compile_for_cuda
from .fuse import fuse, fuse_joint
from .memory import keep_freed_memory
from .ranked import Ranked
from .shared_memory import MOST_RANKS


def compile(model, threads=None, input_gradient=True):
    """A model that computes what `model` computes, faster. It shares the arrays of the parameters and buffers.

    In front of the first layer that mixes rows, as batch-norm does, everything is computed on a part of the batch at a
    time, and two things are recognised there: convolution → (channel dropout) → 2×2 pooling → relu, which becomes one
    block if the kernel is odd, the stride 1 and the padding 0; and the synapse layers, plain and recurrent. Behind it,
    these too, batch-norm → relu, and at the end batch-norm → linear → log-softmax. Other layers run as they are. The
    numbers equal those of the plain model up to rounding.

    Where the part by rows has convolutions, and those behind it none, its rows are shared out to as many processes as
    there are threads, with one thread of BLAS each (ranked.py; Linux on x86-64, layers of this package). They start
    with the first batch and end with the model, which has close() and may stand in a `with`. Where the cores are busy
    with other work, this process notices and goes on alone, with the same bits.

    Convolution → pooling → relu and the synapse layer are loops in C (c/), compiled when they are first needed, if
    there is a C compiler; otherwise, or with SYNANN_C=0 in the environment, NumPy does them, more slowly.

    Two things concern the whole process: freed memory is kept (`keep_freed_memory`), and BLAS gets one thread, or,
    where no rows are shared out, this number of threads.

    Arguments:
        model: Sequential.
        threads: that compute at a time; None takes the cores that this process may use. Equal runs need equal numbers:
            sums that are cut elsewhere are rounded otherwise.
        input_gradient: False if dx of the model's input is not needed, as in training: where the model begins with such
            a block, backward then returns None for it and saves the time.

    On a GPU another way is taken, and neither `threads` nor `input_gradient` matters: see cuda/compile.py.

    Returns: a Sequential. With SYNANN_FAST=0 in the environment: `model` itself.
    """
    if os.environ.get("SYNANN_FAST") == "0":
        return model
    if model.backend.name != "numpy":
        return compile_for_cuda(model)
    threads = usable_cores() if threads is None else threads
    if threads < 1:
        raise ValueError(f"compile: expected at least one thread, got {threads}")
    names = list(model.layers)
    mixing = [i for i, name in enumerate(names) if _needs_the_whole_batch(model.layers[name])]
    first_joint = mixing[0] if mixing else len(names)
    rows = {name: model.layers[name] for name in names[:first_joint]}
    behind = {name: model.layers[name] for name in names[first_joint:]}
    ranks = min(threads, MOST_RANKS) if _may_be_shared_out(rows, behind, model.dtype) else 1
    threads_of_rank = threads if ranks == 1 else 1
    by_rows = fuse(rows, input_gradient, threads_of_rank)
    joint = Sequential(list(fuse_joint(behind, threads_of_rank).items()), model.dtype, model.backend)
    _limit_blas(threads_of_rank)
    keep_freed_memory()
    return Blocked(model, by_rows, joint) if ranks == 1 else Ranked(model, rows, by_rows, joint, ranks, input_gradient)


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


def _may_be_shared_out(rows, behind, dtype):
    """Whether other processes can compute these layers, and it may pay: they have the convolutions, where the work is.

    They import the layers of this package, but not those of the user. SharedMemory relies on x86, on Linux's memfd.
    """
    package = __name__.partition(".")[0]
    return (
        sys.platform == "linux"
        and platform.machine() == "x86_64"
        and bool(sys.executable)
        and any(isinstance(block, ConvPoolReluBlock) for block in fuse(rows))
        and not any(isinstance(layer, Conv2d) for layer in behind.values())
        and all(type(layer).__module__.startswith(f"{package}.layers.") for layer in rows.values())
        and all(p.dtype == dtype for layer in rows.values() for p in layer.params.values())
        and not any(layer.buffers or _holds_layers(layer) for layer in rows.values())
    )


def _holds_layers(layer):
    """Whether a layer is made of layers: they have dicts of their own, which would go on holding the old arrays."""
    held = [value for value in vars(layer).values() if isinstance(value, dict)]
    return any(isinstance(value, Layer) for values in (vars(layer), *held) for value in values.values())


def _limit_blas(threads):
    import threadpoolctl  # importing the package needs NumPy only

    threadpoolctl.threadpool_limits(threads, user_api="blas")
