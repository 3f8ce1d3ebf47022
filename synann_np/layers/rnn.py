"""The plain recurrent layer."""

from typing import Any

import numpy as np

from ..backend import Array, BackendLike, DTypeLike, Rng, array_module
from ..product import product
from .initializers import fan_in_uniform
from .recurrent import Recurrent


class RNN(Recurrent):
    """h_t = tanh(W x_t + b + R h_t−1 + c)                          (Elman, 1990; names and shapes of torch.nn.RNN)

    with W = weight_ih_l0 (H, input_size), b = bias_ih_l0 (H,), R = weight_hh_l0 (H, H), c = bias_hh_l0 (H,), all
    U(±1/√H) at the start, H = hidden_size. Sequences, states, outputs and truncate: see Recurrent. As in torch with
    batch_first=True, y is `output`, or without return_sequences its last step.

    Backward, for t = T−1..0, with a_t the argument of tanh:

        da_t   = dh_t (1 − h_t²)          since tanh′ = 1 − tanh²
        dh_t−1 = dy_t−1 + da_t R          the second term is left out where the sequence is cut

    and then, all steps at once,

        dW_ij = Σ_t,n da_tni x_tnj        dR_ij = Σ_t,n da_tni h_t−1,nj      db = dc = Σ_t,n da_tn      dx_t = da_t W
    """

    def __init__(
        self, input_size: int, hidden_size: int, return_sequences: bool = False, truncate: int | None = None,
        *, rng: Rng = None, dtype: DTypeLike = "float32", backend: BackendLike = "numpy",
    ) -> None:  # fmt: skip
        super().__init__(input_size, hidden_size, return_sequences, truncate, dtype, backend)
        H = self.hidden_size
        shapes = {
            "weight_ih_l0": (H, self.input_size),
            "weight_hh_l0": (H, H),
            "bias_ih_l0": (H,),
            "bias_hh_l0": (H,),
        }
        self.params = {
            name: self.backend.asarray(fan_in_uniform(rng, shape, H), self.dtype) for name, shape in shapes.items()
        }

    def forward(self, x: Array, train: bool = False) -> tuple[Array, Any]:
        x = self.steps_of(x)
        xp = array_module(x)
        W, R, b, c = self.params.values()
        driven = self.product_of_steps(x, W.T) + (b + c)  # (T, N, H), of all steps at once
        h, states = xp.zeros(driven.shape[1:], x.dtype), xp.empty_like(driven)
        for t in range(len(x)):
            driven[t] += product(h, R.T)
            h = xp.tanh(driven[t], out=states[t])
        return self.output(states), (x, states)

    @np.errstate(under="ignore")  # a gradient that vanishes on its way back is 0
    def backward(self, dy: Array, cache: Any) -> tuple[Any, dict[str, Array]]:
        x, states = cache
        self.check_output_gradient(dy, x.shape[1], len(x))
        xp, T, R = array_module(dy), len(states), self.params["weight_hh_l0"]
        da = 1 - states * states  # tanh′ of all steps at once
        sent_back = 0
        for t in reversed(range(T)):
            da[t] *= self.output_gradient(dy, t, T) + sent_back
            sent_back = 0 if self.is_cut(t, T) else product(da[t], R)
        before = xp.zeros_like(states)  # h_t−1
        before[1:] = states[:-1]
        return self.gradients(da, x, before)

    def gradients(self, da: Array, x: Array, before: Array) -> tuple[Any, dict[str, Array]]:
        """dx and the gradients of the parameters, from da_t, x_t and h_t−1 of all steps, (T, N, ...)."""
        db = da.sum(axis=(0, 1))
        grads = {
            "weight_ih_l0": self.sum_of_steps(da, x),
            "weight_hh_l0": self.sum_of_steps(da, before),
            "bias_ih_l0": db,
            "bias_hh_l0": db.copy(),
        }
        if not self.input_gradient:
            return None, grads
        return self.product_of_steps(da, self.params["weight_ih_l0"]).swapaxes(0, 1), grads
