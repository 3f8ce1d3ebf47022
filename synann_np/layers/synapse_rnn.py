"""The recurrent synapse layer: driven by the input, inhibited by its own past."""

import math
from typing import Any

import numpy as np

from ..arguments import generator
from ..backend import Array, BackendLike, DTypeLike, Rng, array_module
from .composed import Composed
from .initializers import fan_in_uniform
from .logistic import logistic
from .recurrent import Recurrent
from .synapse import GAINS, SynapseGraph

LEAKING_RATES = 1 / 32, 0.9  # g at the start: the slowest and the fastest


class SynapseRNN(Recurrent, Composed):
    """h_t = (1 − g) h_t−1 + g S(e_t, h_t−1),    e_t = σ(k u_t),    S_i(e, h) = α_i e_i ∏_j (1 − β_ij h_j)

    with u_t = W x_t + b. The synapse graph as a recurrent cell: the input opens the excitatory channels e_t in (0, 1),
    the previous state, h_t−1, acts on the inhibitory ones. W = weight (H, input_size) and b = bias (H,) start as those
    of Linear; alpha and beta as those of SynapseGraph, with its parametrisations; H = hidden_size. With
    train_alpha=False, α = 1, and 0 < β < 1 every state is in [0, 1], a probability again.

    g_i = σ(leak_logit_i) in (0, 1) is the leaking rate of unit i (Jaeger and others, 2007): without it, the past
    acts through inhibition only and is forgotten within a few steps; with g a unit remembers for about 1/g steps.
    leak_logit starts uniform between the values for g = 1/32 and g = 0.9. leak=False is the bare synapse, g = 1
    and no leak_logit.

    gain, k, and beta_gain, that of SynapseGraph, are in 1e-6..1e6. They set how fast excitation and inhibition learn,
    compared to the other layers: with 1 and Adam at a usual rate, β hardly moves (docs/recurrent.md). k also scales
    the excitation at the start, β starts the same.

    Backward, for t = T−1..0, with S_t = S(e_t, h_t−1):

        dS_t   = dh_t g
        (de_t, dv_t), dα, dβ    from SynapseGraph, of dS_t, summed over the steps
        dg     = Σ_t,n dh_t (S_t − h_t−1)
        dh_t−1 = dy_t−1 + dh_t (1 − g) + dv_t           the last two are left out where the sequence is cut

    and then, all steps at once,

        du_t = de_t k σ′(k u_t)     dW_ij = Σ_t,n du_tni x_tnj     db = Σ_t,n du_tn     dx_t = du_t W
        dleak_logit = dg g (1 − g)

    Sequences, states, outputs and truncate: see Recurrent. Memory: T arrays of N H² elements (N H in synann_np.fast).
    """

    def __init__(
        self, input_size: int, hidden_size: int, return_sequences: bool = False, truncate: int | None = None,
        parametrisation: str = "logistic", leak: bool = True, train_alpha: bool = True, gain: float = 1.0,
        beta_gain: float = 1.0, *, rng: Rng = None, dtype: DTypeLike = "float32", backend: BackendLike = "numpy",
    ) -> None:  # fmt: skip
        config: dict[str, Any] = {"parametrisation": parametrisation, "leak": leak, "train_alpha": train_alpha}
        config |= {"gain": gain, "beta_gain": beta_gain}
        super().__init__(input_size, hidden_size, return_sequences, truncate, dtype, backend, **config)
        self.flag("leak")
        self.gain, beta_gain = self.number("gain", *GAINS), self.number("beta_gain", *GAINS)
        input_size, hidden_size = self.input_size, self.hidden_size
        rng = generator(self, rng)
        options: dict[str, Any] = {"rng": rng, "dtype": dtype, "backend": backend}
        for name, shape in {"weight": (hidden_size, input_size), "bias": (hidden_size,)}.items():
            self.params[name] = self.backend.asarray(fan_in_uniform(rng, shape, input_size), self.dtype)
        self.add_parts({"": SynapseGraph(hidden_size, hidden_size, parametrisation, train_alpha, beta_gain, **options)})
        if leak:
            slowest, fastest = (math.log(g / (1 - g)) for g in LEAKING_RATES)
            self.params["leak_logit"] = self.backend.asarray(rng.uniform(slowest, fastest, hidden_size), self.dtype)

    def leaking_rate(self) -> tuple[Any, Any]:
        """g (H,) and its derivative by leak_logit; (1.0, 0.0) without a leak."""
        return logistic(self.params["leak_logit"]) if "leak_logit" in self.params else (1.0, 0.0)

    def excitations(self, u: Array) -> tuple[Array, Array]:
        """e = σ(k u) and its derivative by u, element by element."""
        e, slope = logistic(self.gain * u)
        return e, self.gain * slope

    # States and gradients that vanish on their way through the steps are 0.
    @np.errstate(under="ignore")
    def forward(self, x: Array, train: bool = False) -> tuple[Array, Any]:
        x = self.steps_of(x)
        xp = array_module(x)
        graph, (g, _) = self.current_parts()[""], self.leaking_rate()
        u = self.product_of_steps(x, self.params["weight"].T) + self.params["bias"]
        e, de_du = self.excitations(u)  # (T, N, H), of all steps at once
        alpha, beta = graph.coefficients()
        h, states, caches = xp.zeros(e.shape[1:], x.dtype), xp.empty_like(e), []
        for t in range(len(x)):
            S, cache = graph.graph_forward(e[t], h, alpha, beta)
            caches.append((h, S, cache))
            states[t] = h = (1 - g) * h + g * S
        return self.output(states), (x, de_du, caches)

    @np.errstate(under="ignore")
    def backward(self, dy: Array, cache: Any) -> tuple[Any, dict[str, Array]]:
        x, de_du, caches = cache
        self.check_output_gradient(dy, x.shape[1], len(x))
        xp, T = array_module(dy), len(x)
        graph, (g, dg_dlogit) = self.current_parts()[""], self.leaking_rate()
        de, dalpha, dbeta, dg = xp.empty_like(de_du), 0, 0, 0
        sent_back = 0
        for t in reversed(range(T)):
            h_before, S, graph_cache = caches[t]
            dh = self.output_gradient(dy, t, T) + sent_back
            de[t], dv, dalpha_t, dbeta_t = graph.graph_backward(dh * g, graph_cache)
            dalpha, dbeta = dalpha + dalpha_t, dbeta + dbeta_t
            dg = dg + (dh * (S - h_before)).sum(axis=0)
            sent_back = 0 if self.is_cut(t, T) else dh * (1 - g) + dv
        du = de * de_du
        grads = {"weight": self.sum_of_steps(du, x), "bias": du.sum(axis=(0, 1))}
        grads |= graph.gradients(dalpha, dbeta)
        if "leak_logit" in self.params:
            grads["leak_logit"] = dg * dg_dlogit
        return self.product_of_steps(du, self.params["weight"]).swapaxes(0, 1), grads
