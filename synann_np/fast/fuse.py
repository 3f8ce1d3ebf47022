"""Which layers are recognised, and what stands in their place."""

from ..layers import BatchNorm1d, BatchNorm2d, Conv2d, Dropout, Dropout2d, MaxPool2d, ReLU, Synapse, SynapseRNN
from .batchnorm_relu import BatchNormRelu
from .blocks import ConvPoolReluBlock, DropoutBlock, LayerBlock
from .loops.synapse import CompiledSynapse, kernels_for
from .synapse import FastSynapse
from .synapse_rnn import FastSynapseRNN


def fast_synapse(layer, threads=1):
    """layers.Synapse by loops in C where they can be compiled, else by NumPy."""
    by_numpy, kernels = FastSynapse(layer), kernels_for(layer)
    return by_numpy if kernels is None else CompiledSynapse(layer, kernels, by_numpy, threads)


FAST = {Synapse: fast_synapse, SynapseRNN: lambda layer, threads: FastSynapseRNN(layer)}


def fuse(layers, input_gradient=True, threads=1):
    """Layers (dict name -> layer) as a list of blocks. The first block need not know dx without input_gradient.

    threads: that a layer may use, beside those of BLAS.
    """
    names, blocks = list(layers), []
    while names:
        wants_dx = input_gradient or bool(blocks)
        count, block = _conv_pool_relu(names, layers, wants_dx) or _single(names[0], layers[names[0]], threads)
        blocks.append(block)
        names = names[count:]
    return blocks


def fuse_joint(layers, threads=1):
    """Layers (dict name -> layer) that get the whole batch, as another such dict: batch-norm → relu in one, under the
    name of the batch-norm, whose gradients it has; the fast synapse layers.
    """
    fused, names = {}, list(layers)
    for before, name, after in zip([None, *names], names, [*names[1:], None], strict=False):
        kind = type(layers[name])
        if kind in (BatchNorm1d, BatchNorm2d) and type(layers.get(after)) is ReLU:
            fused[name] = BatchNormRelu(layers[name])
        elif kind in FAST:
            fused[name] = FAST[kind](layers[name], threads)
        elif not (kind is ReLU and isinstance(fused.get(before), BatchNormRelu)):
            fused[name] = layers[name]
    return fused


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


def _single(name, layer, threads):
    if type(layer) in FAST:
        return 1, LayerBlock(name, FAST[type(layer)](layer, threads))
    if type(layer) in (Dropout, Dropout2d):
        return 1, DropoutBlock(name, layer)
    return 1, LayerBlock(name, layer)
