"""The synapse graph on CUDA tensors: our kernels on PyTorch's memory and stream. Not yet run on a GPU."""

from functools import cache
from typing import Any

import torch

from ...backend import get_backend
from ...fast.cuda.arrays import shape_of
from ...fast.cuda.kernels import SYNAPSE

ALIGNMENT = 16  # bytes, what the kernels expect of every array


def forward(x: Any, v: Any, alpha: Any, beta: Any) -> tuple[Any, Any, Any]:
    """y, R, zeros of operator.synapse_graph."""
    made = _launch(SYNAPSE[:1], {"x": x, "v": v, "alpha": alpha, "beta": beta})
    return made["y"], made["product"], made["zeros"]


def backward(dy: Any, x: Any, v: Any, alpha: Any, beta: Any, R: Any, zeros: Any) -> tuple[Any, Any, Any, Any]:
    """dx, dv, dalpha, dbeta of operator.synapse_graph_backward."""
    given = {"dy": dy, "x": x, "v": v, "alpha": alpha, "beta": beta, "product": R, "zeros": zeros}
    made = _launch(SYNAPSE[1:], given)
    return made["dx"], made["dv"], made["dalpha"], made["dbeta"]


def _launch(kernels, given):
    """The tensors that kernels write, by name, from those that they read."""
    x, v = given["x"], given["v"]
    sizes = {"N": len(x), "I": x.shape[1], "J": v.shape[1]}
    launcher = _launcher(str(x.dtype).removeprefix("torch."))
    tensors = {name: _readable(a) for name, a in given.items()}
    for name in (name.removeprefix("synapse.") for name in launcher.array_names(kernels)):
        if name not in tensors:  # allocated by PyTorch, so that its allocator knows the stream
            dtype = getattr(torch, launcher.numpy_dtype(f"synapse.{name}").name)
            tensors[name] = torch.zeros(shape_of(f"synapse.{name}", sizes), dtype=dtype, device=x.device)
    if min(sizes.values()) == 0:
        return tensors
    xp = get_backend("cupy").xp
    stream = torch.cuda.current_stream(x.device)
    with xp.cuda.Device(x.device.index), xp.cuda.ExternalStream(stream.cuda_stream):
        arrays = {f"synapse.{name}": xp.from_dlpack(tensor) for name, tensor in tensors.items()}
        for kernel in kernels:
            launcher.launch(kernel, sizes, arrays)
    return tensors


def _readable(tensor):
    """The tensor, or a copy where its memory is not as the kernels read it."""
    tensor = tensor.detach().contiguous()
    return tensor if tensor.data_ptr() % ALIGNMENT == 0 else tensor.clone()


@cache
def _launcher(dtype):
    get_backend("cupy")  # says what is missing
    from ...fast.cuda.launcher import CupyLauncher

    return CupyLauncher(dtype)
