"""Optimisers: parameters change in place, state is numbers and dicts of arrays named like the parameters.

Each has PyTorch's names, defaults and update rule, and refuses a step that does not fit before anything has moved. `lr`
is an attribute, so that a schedule may change it between steps. decay_vectors=False exempts arrays of fewer than two
dimensions (biases, batch-norm's weights, a synapse's alpha) from the weight decay, for which PyTorch's users need two
groups of parameters.
"""

import math
from collections.abc import Mapping

from .arguments import flag, number
from .backend import Array, array_module


class SGD:
    """Stochastic gradient descent, PyTorch's rule:

        g ← −g                                   if maximize
        g ← g + weight_decay p
        v ← g                                    in the first step, then
        v ← momentum v + (1 − dampening) g
        p ← p − lr v                             or, nesterov: p ← p − lr (g + momentum v)

    Arguments:
        lr: learning rate ≥ 0.
        momentum, weight_decay: ≥ 0.
        nesterov: look ahead by one momentum step; needs momentum > 0 and no dampening.
        decay_vectors: weight decay of arrays of fewer than two dimensions too.
        dampening: a gradient adds only 1 − dampening of itself to the velocity.
        maximize: climb instead of descending.

    Attributes: velocity, v by name.

    Raises: ValueError, TypeError for arguments outside these ranges.
    """

    def __init__(
        self, lr: float, momentum: float = 0.0, weight_decay: float = 0.0, nesterov: bool = False,
        decay_vectors: bool = True, dampening: float = 0.0, maximize: bool = False,
    ) -> None:  # fmt: skip
        self.lr = number("SGD", "lr", lr)
        self.momentum = number("SGD", "momentum", momentum)
        self.weight_decay = number("SGD", "weight_decay", weight_decay)
        self.nesterov = flag("SGD", "nesterov", nesterov)
        self.decay_vectors = flag("SGD", "decay_vectors", decay_vectors)
        self.dampening = number("SGD", "dampening", dampening, -math.inf)
        self.maximize = flag("SGD", "maximize", maximize)
        if nesterov and (momentum == 0 or dampening != 0):
            raise ValueError("SGD: nesterov=True needs momentum > 0 and dampening = 0")
        self.velocity: dict[str, Array] = {}

    def step(self, params: Mapping[str, Array], grads: Mapping[str, Array]) -> None:
        """Move every array of params (dict name -> array), in place, by its gradient (same names and shapes).

        Raises: ValueError if the names or a shape differ, or lr is not a finite number ≥ 0 any more. Nothing has moved
        then.
        """
        self.lr = lr = _checked_rate("SGD", self.lr, params, grads)
        _check_state("SGD", params, {"velocity": self.velocity})
        for name, p in params.items():
            g = -grads[name] if self.maximize else grads[name]
            if _decays(self, p):
                g = g + self.weight_decay * p
            if self.momentum:
                v = self.velocity.get(name)
                if v is None:
                    v = self.velocity[name] = g.copy()
                else:
                    v *= self.momentum
                    v += (1 - self.dampening) * g if self.dampening else g
                g = g + self.momentum * v if self.nesterov else v
            p -= lr * g


class Adam:
    """Adam (Kingma and Ba, 2015), PyTorch's rule. In step t = 1, 2, ..., with m = v = w = 0 before the first:

        g ← −g                                   if maximize
        g ← g + weight_decay p
        m ← β₁ m + (1 − β₁) g
        v ← β₂ v + (1 − β₂) g²
        w ← max(w, v)                            if amsgrad (Reddi, Kale and Kumar, 2018), else w ← v
        p ← p − lr/(1 − β₁ᵗ) · m / (√w / √(1 − β₂ᵗ) + eps)

    The divisions by 1 − βᵗ undo that the averages m and v start at 0. With amsgrad v never falls, so the steps do
    not grow after a large gradient has been forgotten.

    Arguments:
        lr: learning rate ≥ 0.
        betas: (β₁, β₂), both in [0, 1).
        eps: ≥ 0; what keeps a step finite where v = 0.
        weight_decay: ≥ 0.
        decay_vectors: weight decay of arrays of fewer than two dimensions too.
        amsgrad, maximize: as above.

    Attributes: steps, the number t of steps done; mean, mean_square and (amsgrad) largest_mean_square: m, v and w by
    name.

    Raises: ValueError, TypeError for arguments outside these ranges.
    """

    def __init__(
        self, lr: float = 1e-3, betas: tuple[float, float] = (0.9, 0.999), eps: float = 1e-8,
        weight_decay: float = 0.0, decay_vectors: bool = True, amsgrad: bool = False, maximize: bool = False,
    ) -> None:  # fmt: skip
        who = type(self).__name__
        self.lr = number(who, "lr", lr)
        if len(betas) != 2 or not all(0 <= beta < 1 for beta in betas):
            raise ValueError(f"{who}: expected two betas in [0, 1), got {betas}")
        self.betas = tuple(number(who, "betas", beta) for beta in betas)
        self.eps = number(who, "eps", eps)
        self.weight_decay = number(who, "weight_decay", weight_decay)
        self.decay_vectors = flag(who, "decay_vectors", decay_vectors)
        self.amsgrad, self.maximize = flag(who, "amsgrad", amsgrad), flag(who, "maximize", maximize)
        self.steps = 0
        self.mean: dict[str, Array] = {}
        self.mean_square: dict[str, Array] = {}
        self.largest_mean_square: dict[str, Array] = {}

    def step(self, params: Mapping[str, Array], grads: Mapping[str, Array]) -> None:
        """Move every array of params (dict name -> array), in place, by its gradient (same names and shapes).

        Raises: ValueError if the names or a shape differ, lr is not a finite number ≥ 0 any more, or a part of the
        state is missing. Nothing has moved then.
        """
        self.lr = lr = _checked_rate(type(self).__name__, self.lr, params, grads)
        state = {"mean": self.mean, "mean_square": self.mean_square}
        if self.amsgrad:
            state["largest_mean_square"] = self.largest_mean_square
        _check_state(type(self).__name__, params, state, needed=self.steps > 0)
        beta1, beta2 = self.betas
        self.steps += 1
        rate = lr / (1 - beta1**self.steps)
        root = math.sqrt(1 - beta2**self.steps)
        for name, p in params.items():
            xp = array_module(p)
            g = self._decayed(p, -grads[name] if self.maximize else grads[name])
            for arrays in state.values():
                if name not in arrays:
                    arrays[name] = xp.zeros_like(p)
            m, v, *largest = (arrays[name] for arrays in state.values())
            m *= beta1
            m += (1 - beta1) * g
            v *= beta2
            v += (1 - beta2) * (g * g)
            for w in largest:
                w[...] = v = xp.maximum(w, v)
            divisor = xp.sqrt(v)
            divisor /= root
            divisor += self.eps
            p -= rate * m / divisor

    def _decayed(self, p, g):
        """The gradient with the weight decay in it."""
        return g + self.weight_decay * p if _decays(self, p) else g


class AdamW(Adam):
    """Adam with decoupled weight decay (Loshchilov and Hutter, 2019), PyTorch's rule:

        p ← (1 − lr · weight_decay) p            then Adam's step with the gradient as it is

    Arguments, attributes, raises: as Adam; weight_decay is 0.01 unless given.
    """

    def __init__(
        self, lr: float = 1e-3, betas: tuple[float, float] = (0.9, 0.999), eps: float = 1e-8,
        weight_decay: float = 0.01, decay_vectors: bool = True, amsgrad: bool = False, maximize: bool = False,
    ) -> None:  # fmt: skip
        super().__init__(lr, betas, eps, weight_decay, decay_vectors, amsgrad, maximize)

    def _decayed(self, p, g):
        if _decays(self, p):
            p *= 1 - self.lr * self.weight_decay
        return g


def _decays(optimizer, p):
    return optimizer.weight_decay and (optimizer.decay_vectors or p.ndim >= 2)


def _checked_rate(who, lr, params, grads):
    """lr as a Python float, after all names and shapes were compared: before the first array moves."""
    if params.keys() != grads.keys():
        raise ValueError(f"{who}: params and grads differ in {sorted(params.keys() ^ grads.keys())}")
    for name, p in params.items():
        if grads[name].shape != p.shape:
            raise ValueError(f"{who}: {name} has shape {tuple(p.shape)}, its gradient {tuple(grads[name].shape)}")
    return number(who, "lr", lr)


def _check_state(who, params, state, needed=False):
    """Refuse a state (dict of dicts name -> array) of other shapes, or of half the arrays; needed: or of none."""
    for name, p in params.items():
        for key, arrays in state.items():
            if name not in arrays and (needed or any(name in others for others in state.values())):
                raise ValueError(f"{who}: the state has no {key} of {name}; start with a new optimizer")
            if name in arrays and arrays[name].shape != p.shape:
                raise ValueError(
                    f"{who}: {name} has shape {tuple(p.shape)}, its {key} in the state {tuple(arrays[name].shape)}"
                )
