"""Optimisers: parameters change in place, state is numbers and dicts of arrays named like the parameters.

Each has PyTorch's names, defaults and update rule. `lr` is an attribute, so that a schedule may change it between
steps. decay_vectors=False leaves what has fewer than two dimensions (biases, batch-norm's weights, a synapse's alpha)
out of the weight decay, for which PyTorch's users make two groups of parameters.
"""

import math

from .backend import array_module


class SGD:
    """Stochastic gradient descent, PyTorch's rule (no dampening):

        g ← g + weight_decay p
        v ← momentum v + g                       v = 0 before the first step
        p ← p − lr v                             or, nesterov: p ← p − lr (g + momentum v)

    Arguments:
        lr: learning rate ≥ 0.
        momentum, weight_decay: ≥ 0.
        nesterov: look ahead by one momentum step; needs momentum > 0.
        decay_vectors: weight decay of arrays of fewer than two dimensions too.

    Raises: ValueError for arguments outside these ranges.
    """

    def __init__(self, lr, momentum=0.0, weight_decay=0.0, nesterov=False, decay_vectors=True):
        _check_not_negative("SGD", lr=lr, momentum=momentum, weight_decay=weight_decay)
        if nesterov and momentum == 0:
            raise ValueError("SGD: nesterov=True needs momentum > 0")
        self.lr = lr
        self.momentum = momentum
        self.weight_decay = weight_decay
        self.nesterov = nesterov
        self.decay_vectors = decay_vectors
        self.velocity = {}

    def step(self, params, grads):
        """Move every array of params (dict name -> array), in place, by its gradient (same names and shapes).

        Raises: ValueError if the names or a shape differ.
        """
        _check_names_and_shapes("SGD", params, grads)
        for name, p in params.items():
            g = grads[name]
            if _decays(self, p):
                g = g + self.weight_decay * p
            if self.momentum:
                v = self.velocity.get(name)
                if v is None:
                    v = self.velocity[name] = g.copy()
                else:
                    v *= self.momentum
                    v += g
                g = g + self.momentum * v if self.nesterov else v
            p -= self.lr * g


class Adam:
    """Adam (Kingma and Ba, 2015), PyTorch's rule. In step t = 1, 2, ..., with m = v = 0 before the first:

        g ← g + weight_decay p
        m ← β₁ m + (1 − β₁) g
        v ← β₂ v + (1 − β₂) g²
        p ← p − lr/(1 − β₁ᵗ) · m / (√v / √(1 − β₂ᵗ) + eps)

    The divisions by 1 − βᵗ undo that the averages m and v start at 0.

    Arguments:
        lr: learning rate ≥ 0.
        betas: (β₁, β₂), both in [0, 1).
        eps: ≥ 0; what keeps a step finite where v = 0.
        weight_decay: ≥ 0.
        decay_vectors: weight decay of arrays of fewer than two dimensions too.

    Attributes: steps, the number t of steps done; mean and mean_square, m and v by name.

    Raises: ValueError for arguments outside these ranges.
    """

    def __init__(self, lr=1e-3, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.0, decay_vectors=True):
        name = type(self).__name__
        _check_not_negative(name, lr=lr, eps=eps, weight_decay=weight_decay)
        if len(betas) != 2 or not all(0 <= beta < 1 for beta in betas):
            raise ValueError(f"{name}: expected two betas in [0, 1), got {betas}")
        self.lr = lr
        self.betas = tuple(betas)
        self.eps = eps
        self.weight_decay = weight_decay
        self.decay_vectors = decay_vectors
        self.steps = 0
        self.mean = {}
        self.mean_square = {}

    def step(self, params, grads):
        """Move every array of params (dict name -> array), in place, by its gradient (same names and shapes).

        Raises: ValueError if the names or a shape differ.
        """
        _check_names_and_shapes(type(self).__name__, params, grads)
        beta1, beta2 = self.betas
        self.steps += 1
        rate = self.lr / (1 - beta1**self.steps)
        root = math.sqrt(1 - beta2**self.steps)
        for name, p in params.items():
            xp = array_module(p)
            g = self._decayed(p, grads[name])
            if name not in self.mean:
                self.mean[name], self.mean_square[name] = xp.zeros_like(p), xp.zeros_like(p)
            m, v = self.mean[name], self.mean_square[name]
            m *= beta1
            m += (1 - beta1) * g
            v *= beta2
            v += (1 - beta2) * (g * g)
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

    def __init__(self, lr=1e-3, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.01, decay_vectors=True):
        super().__init__(lr, betas, eps, weight_decay, decay_vectors)

    def _decayed(self, p, g):
        if _decays(self, p):
            p *= 1 - self.lr * self.weight_decay
        return g


def _decays(optimizer, p):
    return optimizer.weight_decay and (optimizer.decay_vectors or p.ndim >= 2)


def _check_not_negative(who, **arguments):
    for name, value in arguments.items():
        if not value >= 0:  # false for NaN too
            raise ValueError(f"{who}: expected {name} >= 0, got {value}")


def _check_names_and_shapes(who, params, grads):
    """All of them before the first one moves."""
    if params.keys() != grads.keys():
        raise ValueError(f"{who}: params and grads differ in {sorted(params.keys() ^ grads.keys())}")
    for name, p in params.items():
        if grads[name].shape != p.shape:
            raise ValueError(f"{who}: {name} has shape {tuple(p.shape)}, its gradient {tuple(grads[name].shape)}")
