"""From a Sequential to a faster one with the same parameters, and the report on what was replaced."""

import copy
import math
import os

from .. import layers
from .compiled import Compiled
from .cores import usable_cores
from .cuda.compile import compile_for_cuda
from .loops.arrays import loops
from .loops.batchnorm import FastBatchNorm
from .loops.compiler import working_compiler
from .loops.conv2d import FastConv2d
from .loops.conv_pool_relu import ConvPoolReLU
from .loops.maxpool2d import FastMaxPool2d
from .loops.synapse_graph import with_fast_graph
from .loops.synapse_rnn import FastSynapseRNN

WINDOW = 256  # pixels of a pooling window that one byte can number


def compile(model, threads=None, input_gradient=True):
    """A Sequential that computes what `model` computes, faster, with the same parameter arrays.

    Layers that have a faster twin are replaced: convolution → (channel dropout) → 2×2 pooling → relu by one layer;
    other convolutions of stride 1, batch-norm (with a following relu), pooling without overlap and all synapse layers
    one by one. All other layers, a user's own included, run as they are; `report` lists what was done. Twins compute
    the numbers of the plain layers up to rounding, and these do not depend on the number of threads. They are C loops,
    compiled on first use and cached; without a C compiler nothing is replaced.

    `model` is not changed, and neither is the process: see `tune_process`.

    Arguments:
        model: Sequential. On a GPU, cuda/compile.py decides, and `threads` is ignored.
        threads: used by the replaced layers; None takes usable_cores().
        input_gradient: False if the gradient of the model's input is not needed, as in training: backward then may
            return None for it.

    Returns: Sequential; with SYNANN_FAST=0 in the environment, `model` itself.

    Raises: ValueError for threads < 1.
    """
    if threads is not None and threads < 1:
        raise ValueError(f"compile: expected at least one thread, got {threads}")
    if os.environ.get("SYNANN_FAST") == "0":
        return model
    if model.backend.name != "numpy":
        return compile_for_cuda(model, input_gradient=input_gradient)
    if working_compiler() is None:
        return model
    if isinstance(model, Compiled):
        model = model.plain
    wanted, threads = threads, usable_cores() if threads is None else threads
    names, found = list(model.layers), []
    while names:
        chain = [model.layers[name] for name in names[:4]]
        wants_dx = input_gradient or any(layer.params for _, layer in found)
        count, twin = _twin(chain, threads, wants_dx)
        if any(loops(twin.dtype or "float32", *source) is None for source in getattr(twin, "in_c", ())):
            count, twin = 1, chain[0]  # what cannot be compiled: library() has warned
        if twin is not chain[0]:
            twin.replaces = names[:count]
        elif not wants_dx and type(twin) in (layers.Linear, layers.RNN):
            twin = copy.copy(twin)  # the same arrays
            twin.input_gradient = False
        found.append((names[0], twin))
        names = names[count:]
    return Compiled(found, model, (compile, wanted, input_gradient))


def _twin(chain, threads, wants_dx):
    """How many layers at the start of the chain are replaced, and by what; 1 and the layer itself without a twin."""
    first, kinds = chain[0], [type(layer) for layer in chain]
    if kinds[0] is layers.Conv2d and _fits_convolution(first):
        with_dropout = kinds[1:2] == [layers.Dropout2d]
        behind = slice(1 + with_dropout, 3 + with_dropout)
        if kinds[behind] == [layers.MaxPool2d, layers.ReLU] and first.padding == (0, 0):
            pool = chain[behind][0]
            if _fits_pooling(pool) and pool.kernel_size == (2, 2):
                return behind.stop, ConvPoolReLU(first, chain[1] if with_dropout else None, threads, wants_dx)
        if all(p < k for p, k in zip(first.padding, first.kernel_size, strict=True)):
            return 1, FastConv2d(first, threads, wants_dx)
    if kinds[0] in (layers.BatchNorm1d, layers.BatchNorm2d):
        relu = kinds[1:2] == [layers.ReLU]
        return 1 + relu, FastBatchNorm(first, relu, threads)
    if kinds[0] is layers.MaxPool2d and _fits_pooling(first) and math.prod(first.kernel_size) <= WINDOW:
        return 1, FastMaxPool2d(first, threads)
    if kinds[0] in (layers.Synapse, layers.SynapseGraph, layers.SynapseTensor) or getattr(first, "sharded", False):
        return 1, with_fast_graph(first, threads)
    if kinds[0] is layers.SynapseRNN:
        return 1, FastSynapseRNN(first, threads, wants_dx)
    return 1, first


def _fits_convolution(conv):
    """Whether every filter sees every channel, without steps or gaps, and the border is as wide on both sides."""
    dense = conv.groups == 1 and conv.stride == conv.dilation == (1, 1)
    return dense and all(before == after for before, after in conv.border)


def _fits_pooling(pool):
    """Whether its windows are whole and do not overlap."""
    whole = pool.padding == (0, 0) and pool.dilation == (1, 1) and not pool.ceil_mode
    return whole and pool.stride == pool.kernel_size


def report(model):
    """Which layers of a model run as compiled C loops, and why the others do not: text, one line for each layer.

    Arguments: model: Sequential, as returned by compile.
    """
    if model.backend.name != "numpy":
        why = f"computed by {model.backend.name}"
    elif any("replaces" in vars(layer) for layer in model.layers.values()):
        why = "plain: no faster twin"
    else:
        why = "plain: no C compiler was found" if working_compiler() is None else "plain: the model is not compiled"
    lines = []
    for name, layer in model.layers.items():
        _, *others = vars(layer).get("replaces", [name])
        how = "compiled C loops" if "replaces" in vars(layer) else why
        lines.append(f"{name}: {layer!r}: {how}" + f" (with {', '.join(others)})" * bool(others))
    return "\n".join(lines)
