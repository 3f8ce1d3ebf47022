"""Run a circuit on a batch for some steps, and backpropagate through time."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from ...backend import Array, BackendLike, DTypeLike, array_module
from ...layers.base import Layer
from .program import compile_circuit
from .scatter_add import ScatterAdd


class CircuitSimulator(Layer):
    """A circuit as a layer over time: x (T, N, inputs) -> y (T, N, outputs), T steps of a batch of N.

    Forward. Node k of example n has the value s_tkn at step t. Inputs are x, constants stay, a delay d of a node r is
    s_tdn = s_(t−1)rn (the initial value at t = 0), and a synapse k that reads the nodes e and i is

        s_tkn = α_k s_ten (1 − β_k s_tin)

    The synapses of a level read only what is there already: one gather and one formula compute them all.

    Backward. With g_tkn = ∂L/∂s_tkn over all paths, from the last step and level to the first,

        g_ten += g_tkn α_k (1 − β_k s_tin)         dα_k =  Σ_tn g_tkn s_ten (1 − β_k s_tin)
        g_tin −= g_tkn α_k β_k s_ten               dβ_k = −Σ_tn g_tkn α_k s_ten s_tin

    and a delay hands its gradient to the step before, g_(t−1)rn += g_tdn, or at t = 0 to its initial value. Where a
    node has many readers, or a parameter many uses, the terms add up.

    Arguments:
        circuit: a Circuit; it is checked and compiled here, what changes in it later has no effect.
        outputs: names of the nodes to show; None shows all synapses, in the order in which they were added.
        dtype, backend: as of a layer.

    Attributes:
        params: {"values": (P,)}, the circuit's parameters in the order of parameter_names.
        inputs, outputs, delays, parameter_names: names along the axes of x, y, state and values.

    Memory: T · nodes · N elements, and as much again for a moment in a step of backward.

    Raises: CircuitError (a circuit that cannot run, an output that is unknown or named twice); ValueError, TypeError
        (forward) if x is not (T, N, inputs) with T ≥ 1, or not of the dtype of the parameters.
    """

    def __init__(
        self, circuit: Any, outputs: Sequence[str] | None = None, *, dtype: DTypeLike = "float32",
        backend: BackendLike = "numpy",
    ) -> None:  # fmt: skip
        super().__init__(dtype, backend, circuit=circuit)
        self.inputs, self.delays = circuit.of_kind("input"), circuit.of_kind("delay")
        self.outputs = circuit.of_kind("synapse") if outputs is None else list(outputs)
        self.parameter_names = list(circuit.parameters)
        p = self._program = compile_circuit(circuit, self.outputs)

        asarray = self.backend.asarray
        self.params = {"values": asarray(list(circuit.parameters.values()), self.dtype)}
        self._fixed, self._low, self._high = (asarray(a, self.dtype) for a in (p.fixed, p.low, p.high))
        self._shown, self._delayed = asarray(p.shown), asarray(p.delayed)
        self._alpha, self._beta, self._value, self._initial = map(asarray, (p.alpha, p.beta, p.value, p.initial))
        self._levels = [(level, asarray(p.read[:, level])) for level in p.levels]
        # Where gradients are added up: of the readers of a node, level by level, of the delays, of the numbers.
        self._to_sources = [ScatterAdd(p.read[:, level].ravel(), self.backend) for level in p.levels]
        self._to_delayed = ScatterAdd(p.delayed, self.backend)
        self._to_numbers = ScatterAdd(np.concatenate([p.alpha, p.beta, p.value, p.initial]), self.backend)

    @np.errstate(under="ignore")
    def forward(self, x: Array, train: bool = False, state: Array | None = None) -> tuple[Array, Any]:
        """state (N, delays): what the delays show at the first step, instead of their initial values."""
        self.check_input(x, "T", "N", len(self.inputs))
        if x.shape[0] < 1:
            raise ValueError(f"{self}: expected at least one step, got input {tuple(x.shape)}")
        if state is not None:
            self.check_state(state, x.shape[1])
        xp, p = array_module(x), self._program
        numbers = xp.concatenate([self.params["values"], self._fixed])
        alpha, beta = numbers[self._alpha][:, None], numbers[self._beta][:, None]

        s = xp.empty((x.shape[0], p.rows, x.shape[1]), self.dtype)
        s[:, p.input] = x.transpose(0, 2, 1)
        s[:, p.constant] = numbers[self._value][:, None]
        synapses = s[:, p.synapse]
        for t in range(x.shape[0]):
            if t > 0:
                s[t, p.delay] = s[t - 1][self._delayed]
            else:
                s[t, p.delay] = numbers[self._initial][:, None] if state is None else state.T
            for level, read in self._levels:
                source = s[t][read]  # (2, synapses of the level, N)
                synapses[t, level] = alpha[level] * source[0] * (1 - beta[level] * source[1])
        return s[:, self._shown].transpose(0, 2, 1), (s, alpha, beta, state is None)

    @np.errstate(under="ignore")
    def backward(self, dy: Array, cache: Any) -> tuple[Any, dict[str, Array]]:
        s, alpha, beta, from_initial = cache
        xp, p = array_module(s), self._program
        T, _, N = s.shape
        self.check_gradient(dy, (T, N, len(self.outputs)))
        dx = xp.empty((T, N, len(self.inputs)), self.dtype)
        dalpha, dbeta = xp.zeros_like(self._alpha, self.dtype), xp.zeros_like(self._beta, self.dtype)
        dvalue = xp.zeros_like(self._value, self.dtype)
        handed_back: Any = None
        for t in reversed(range(T)):
            g = xp.zeros((p.rows, N), self.dtype)
            g[self._shown] = dy[t].T
            if handed_back is not None:
                self._to_delayed.add(g, handed_back)
            g_synapses = g[p.synapse]
            for (level, read), to_sources in zip(reversed(self._levels), reversed(self._to_sources), strict=True):
                source = s[t][read]
                q = 1 - beta[level] * source[1]
                g_here = g_synapses[level]
                dalpha[level] += (g_here * source[0] * q).sum(axis=-1)
                g_here = g_here * alpha[level]
                dbeta[level] -= (g_here * source[0] * source[1]).sum(axis=-1)
                to_sources.add(g, xp.concatenate([g_here * q, -g_here * beta[level] * source[0]]))
            dx[t] = g[p.input].T
            dvalue += g[p.constant].sum(axis=-1)
            handed_back = g[p.delay]
        dinitial = handed_back.sum(axis=-1) * float(from_initial)
        dnumbers = xp.zeros(len(self.parameter_names) + len(p.fixed), self.dtype)
        self._to_numbers.add(dnumbers, xp.concatenate([dalpha, dbeta, dvalue, dinitial]))
        return dx, {"values": dnumbers[: len(self.parameter_names)]}

    def check_state(self, state: Array, N: int) -> None:
        """Refuse a state that is not (N, delays) and of the dtype of the parameters: one row would serve all examples.

        Raises: ValueError, TypeError.
        """
        if tuple(state.shape) != (N, len(self.delays)):
            raise ValueError(f"{self}: expected state ({N}, {len(self.delays)}), got {tuple(state.shape)}")
        if state.dtype != self.dtype:
            raise TypeError(f"{self}: expected {self.dtype} state, got {state.dtype}")

    def state_after(self, cache: Any) -> Array:
        """(N, delays): what the delays would show next. As `state` of another forward, it continues the run."""
        return cache[0][-1][self._delayed].T

    def project(self) -> None:
        """Move every parameter into its range (α > 0, all others in [0, 1]), in place: call it after the optimiser."""
        xp, values = array_module(self._low), self.params["values"]
        values[...] = xp.minimum(xp.maximum(values, self._low), self._high)
