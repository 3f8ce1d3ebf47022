"""Skips where there is no C compiler, and the compiled layers for those who have one."""

import pytest

from synann_np.fast.fuse import fast_synapse
from synann_np.fast.loops import find_compiler
from synann_np.fast.loops.conv_pool_relu import CompiledConvPoolRelu, kernels_for


def require():
    """Skip the test where nothing can be compiled."""
    if find_compiler() is None:
        pytest.skip("no C compiler: the loops in C cannot be tested")


def compiled_conv_pool_relu(conv, x, input_gradient=True):
    """CompiledConvPoolRelu for images like x."""
    require()
    return CompiledConvPoolRelu(conv, kernels_for(conv, x), input_gradient)


def compiled_synapse(layer, threads=1):
    """CompiledSynapse, without its series of few terms, so that it is the loops that run."""
    require()
    compiled = fast_synapse(layer, threads)
    compiled.otherwise.takes_few_terms = lambda x, beta: False
    return compiled
