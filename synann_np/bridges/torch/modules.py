"""The synapse graph as nn.Modules, with the parameters of synann_np.layers."""

import numpy as np
import torch
from torch import Tensor, nn

from ...layers.synapse_parameters import PARAMETRISATIONS, initial_beta
from .operator import synapse_graph

# The functions of synapse_parameters.py, for autograd.
COEFFICIENTS = {
    "alpha": lambda raw: raw,
    "theta": lambda raw: torch.exp(-raw),
    "beta": lambda raw: raw,
    "beta_logit": torch.sigmoid,
    "log_gamma": lambda raw: torch.exp(-torch.exp(raw)),
}


class SynapseGraph(nn.Module):
    """y_i = α_i x_i ∏_j (1 − β_ij v_j)

    x (..., n), excitatory, and v (..., m), inhibitory: probabilities in [0, 1]; y (..., n); n = features,
    m = inhibitors. Values and gradients are those of synann_np.layers.SynapseGraph, which derives them: finite for
    every finite β, exact where factors are 0. Memory is that of x, v, β and their gradients; the N n m factors are
    never stored, except where there is no C compiler and NumPy computes.

    Parameters: alpha (n,), starts at 1; beta (n, m), starts uniform in ±1/√m. Other parametrisations train other
    numbers in their place, named as in synann_np: "logistic" alpha and beta_logit, "surprisal" theta and log_gamma.

    CPU tensors are computed by C loops on torch.get_num_threads() threads, without copies where they are contiguous;
    CUDA tensors by CUDA kernels through CuPy, on the current stream (extra `cuda12` or `cuda13` of synann_np).

    Arguments:
        features, inhibitors: n, m.
        parametrisation: "free", "logistic" (0 < β < 1) or "surprisal" (α > 0 too).
        train_alpha: False makes alpha (or theta) a buffer, which stays as it is.
        device, dtype: of the parameters; float32 or float64.

    Raises: ValueError for another parametrisation; forward: ValueError for shapes that do not fit; TypeError for
    float16, bfloat16, and x of another dtype than the parameters (torch.autocast computes in float32); RuntimeError
    for a second derivative and inside a transform of torch.func.
    """

    def __init__(
        self, features: int, inhibitors: int, parametrisation: str = "free", train_alpha: bool = True,
        *, device: torch.device | str | None = None, dtype: torch.dtype | None = None,
    ) -> None:  # fmt: skip
        super().__init__()
        if parametrisation not in PARAMETRISATIONS:
            raise ValueError(
                f"{type(self).__name__}: expected a parametrisation of {', '.join(PARAMETRISATIONS)}, "
                f"got {parametrisation!r}"
            )
        self.features, self.inhibitors, self.parametrisation = features, inhibitors, parametrisation
        (self.alpha_name, _), (self.beta_name, _), _ = PARAMETRISATIONS[parametrisation]
        alpha = torch.empty(features, device=device, dtype=dtype)
        if train_alpha:
            self.register_parameter(self.alpha_name, nn.Parameter(alpha))
        else:
            self.register_buffer(self.alpha_name, alpha)
        beta = torch.empty(features, inhibitors, device=device, dtype=dtype)
        self.register_parameter(self.beta_name, nn.Parameter(beta))
        self.reset_parameters()

    @torch.no_grad()
    def reset_parameters(self) -> None:
        """Draw β anew, from PyTorch's generator of the CPU, and set α to 1."""
        rng = np.random.default_rng(int(torch.randint(2**63 - 1, (), device="cpu")))
        getattr(self, self.alpha_name).fill_(0.0 if self.alpha_name == "theta" else 1.0)
        beta = initial_beta(self.parametrisation, rng, self.features, self.inhibitors)
        getattr(self, self.beta_name).copy_(torch.from_numpy(np.asarray(beta)))

    def coefficients(self) -> tuple[Tensor, Tensor]:
        """alpha (n,), beta (n, m)."""
        return tuple(COEFFICIENTS[name](getattr(self, name)) for name in (self.alpha_name, self.beta_name))

    def forward(self, x: Tensor, v: Tensor) -> Tensor:
        """y (..., n) from x (..., n) and v (..., m) with the same leading axes."""
        n, m = self.features, self.inhibitors
        if x.ndim == 0 or x.shape[-1] != n or v.shape != (*x.shape[:-1], m):
            raise ValueError(f"{self}: expected x (..., {n}) and v (..., {m}), got {tuple(x.shape)}, {tuple(v.shape)}")
        if not torch.compiler.is_compiling() and torch._C._are_functorch_transforms_active():
            raise RuntimeError(
                f"{self}: torch.func transforms (grad, vmap, jvp, jacrev) are not supported: use torch.autograd.grad, "
                "or write the synapse in PyTorch: alpha * x * torch.prod(1 - beta * v[..., None, :], -1)"
            )
        y, _, _ = synapse_graph(x.reshape(-1, n), v.reshape(-1, m), *self.coefficients())
        return y.reshape(x.shape)

    def extra_repr(self) -> str:
        return f"{self.features}, {self.inhibitors}, parametrisation={self.parametrisation!r}"


class Synapse(SynapseGraph):
    """y_i = α_i x_i ∏_j (1 − β_ij x_j)                        (Li, 2018)

    The fully connected synapse graph, v = x: unit i is excited by its own input and inhibited by all of them.
    x, y (..., n); beta (n, n). Everything else as SynapseGraph.
    """

    def __init__(
        self, features: int, parametrisation: str = "free", train_alpha: bool = True,
        *, device: torch.device | str | None = None, dtype: torch.dtype | None = None,
    ) -> None:  # fmt: skip
        super().__init__(features, features, parametrisation, train_alpha, device=device, dtype=dtype)

    def forward(self, x: Tensor) -> Tensor:
        """y (..., n) from x (..., n)."""
        return super().forward(x, x)

    def extra_repr(self) -> str:
        return f"{self.features}, parametrisation={self.parametrisation!r}"
