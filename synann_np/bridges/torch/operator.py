"""The synapse graph as an operator of PyTorch: opaque to torch.compile, known to autograd and autocast."""

from typing import Any

import torch
from torch import Tensor

from ...fast.loops import synapse_graph as loops
from ...fast.loops.compiler import working_compiler
from ...layers import synapse as plain
from . import cuda


@torch.library.custom_op("synann_np::synapse_graph", mutates_args=())
def synapse_graph(x: Tensor, v: Tensor, alpha: Tensor, beta: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """y_ni = α_i x_ni ∏_j (1 − β_ij v_nj), and what backward needs besides the inputs.

    Arguments: x (N, n), v (N, m), alpha (n,), beta (n, m): float32 or float64, all of one dtype and device.

    Returns: y (N, n); R (N, n), the product of the factors that are not 0; zeros (N, n) uint8, how many are.

    Raises: TypeError for another dtype, ValueError for shapes that do not fit or another device.
    """
    check(x, v, alpha, beta)
    if x.device.type == "cuda":
        return cuda.forward(x, v, alpha, beta)
    arrays: Any = [_array(a) for a in (x, v, alpha, beta)]
    if working_compiler() is not None:
        a_x, a_v, a_alpha, a_beta = arrays
        y, cache = loops.synapse_graph_forward(a_x, a_v, a_alpha, a_beta, threads=torch.get_num_threads())
        R, zeros = cache[-2:]
    else:
        y, (_, _, _, R, _, _, zeros, _, _) = plain.synapse_graph_forward(*arrays)
    zeros = zeros.clip(max=2).astype("uint8", copy=False)
    return torch.from_numpy(y), torch.from_numpy(R), torch.from_numpy(zeros)


@torch.library.custom_op("synann_np::synapse_graph_backward", mutates_args=())
def synapse_graph_backward(
    dy: Tensor, x: Tensor, v: Tensor, alpha: Tensor, beta: Tensor, R: Tensor, zeros: Tensor
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """dx, dv, dalpha, dbeta of synapse_graph."""
    if x.device.type == "cuda":
        return cuda.backward(dy, x, v, alpha, beta, R, zeros)
    dy, *arrays, R, zeros = [_array(a) for a in (dy, x, v, alpha, beta, R, zeros)]
    if working_compiler() is not None:
        grads = loops.synapse_graph_backward(dy, (*arrays, R, zeros), threads=torch.get_num_threads())
    else:  # the factors, N n m numbers, are computed again rather than kept
        grads = plain.synapse_graph_backward(dy, plain.synapse_graph_forward(*arrays)[1])
    dx, dv, dalpha, dbeta = (torch.from_numpy(a) for a in grads)
    return dx, dv, dalpha, dbeta


def check(x: Tensor, v: Tensor, alpha: Tensor, beta: Tensor) -> None:
    """Refuse what the kernels cannot take. Raises: TypeError, ValueError."""
    for name, a in (("v", v), ("alpha", alpha), ("beta", beta)):
        if a.dtype != x.dtype:
            raise TypeError(f"synapse: x is {x.dtype}, {name} is {a.dtype}: convert one of them, as x.to({a.dtype})")
        if a.device != x.device:
            raise ValueError(f"synapse: x is on {x.device}, {name} on {a.device}: move one, as x.to({a.device})")
    if x.dtype not in (torch.float32, torch.float64):
        raise TypeError(
            f"synapse: expected float32 or float64, got {x.dtype}: a product of many factors needs the digits; convert "
            "module and input with .float(), or use torch.autocast, which does so here"
        )
    if x.device.type not in ("cpu", "cuda", "meta"):
        raise ValueError(f"synapse: expected tensors on cpu or cuda, got {x.device}: move them with .cpu()")
    N, n, m = *x.shape, v.shape[-1]
    for name, a, shape in (("v", v, (N, m)), ("alpha", alpha, (n,)), ("beta", beta, (n, m))):
        if tuple(a.shape) != shape:
            raise ValueError(f"synapse: expected {name} {shape} with x {(N, n)}, got {tuple(a.shape)}")


def _array(tensor):
    """The memory of a CPU tensor as a NumPy array; a copy where it is not in C order."""
    return tensor.detach().contiguous().resolve_neg().numpy()


def _no_second_derivative(*_):
    raise RuntimeError(
        "Synapse: double backward is not implemented: its gradients have no derivatives. Call backward without "
        "create_graph=True, or write the synapse in PyTorch: alpha * x * torch.prod(1 - beta * v[:, None, :], -1)"
    )


def _keep(ctx, inputs, output):
    _, R, zeros = output
    ctx.mark_non_differentiable(R, zeros)
    ctx.set_materialize_grads(False)
    ctx.save_for_backward(*inputs, R, zeros)


def _differentiate(ctx, dy, *_):
    if dy is None:
        return None, None, None, None
    grads = synapse_graph_backward(dy, *ctx.saved_tensors)
    return tuple(g if wanted else None for g, wanted in zip(grads, ctx.needs_input_grad, strict=True))


@synapse_graph.register_fake
def _(x, v, alpha, beta):
    check(x, v, alpha, beta)
    y = x.new_empty(x.shape)
    return y, torch.empty_like(y), torch.empty_like(y, dtype=torch.uint8)


@synapse_graph_backward.register_fake
def _(dy, x, v, alpha, beta, R, zeros):
    return tuple(a.new_empty(a.shape) for a in (x, v, alpha, beta))


synapse_graph.register_autograd(_differentiate, setup_context=_keep)
synapse_graph_backward.register_autograd(_no_second_derivative)
for device in ("cpu", "cuda"):
    synapse_graph.register_autocast(device, torch.float32)
