"""Optimisers: parameters change in place, state is a dict of arrays named like the parameters."""


class SGD:
    """Stochastic gradient descent, PyTorch's rule (no dampening):

        g ← g + weight_decay p
        v ← momentum v + g                       v = 0 before the first step
        p ← p − lr v                             or, nesterov: p ← p − lr (g + momentum v)

    Arguments:
        lr: learning rate ≥ 0. An attribute, so that a schedule may change it between steps.
        momentum, weight_decay: ≥ 0.
        nesterov: look ahead by one momentum step; needs momentum > 0.

    Raises: ValueError for arguments outside these ranges.
    """

    def __init__(self, lr, momentum=0.0, weight_decay=0.0, nesterov=False):
        for name, value in (("lr", lr), ("momentum", momentum), ("weight_decay", weight_decay)):
            if not value >= 0:
                raise ValueError(f"SGD: expected {name} >= 0, got {value}")
        if nesterov and momentum == 0:
            raise ValueError("SGD: nesterov=True needs momentum > 0")
        self.lr = lr
        self.momentum = momentum
        self.weight_decay = weight_decay
        self.nesterov = nesterov
        self.velocity = {}

    def step(self, params, grads):
        """Move every array of params (dict name -> array), in place, by its gradient (same names and shapes).

        Raises: ValueError if the names or a shape differ.
        """
        if params.keys() != grads.keys():
            raise ValueError(f"SGD: params and grads differ in {sorted(params.keys() ^ grads.keys())}")
        for name, p in params.items():  # all checked before the first one moves
            if grads[name].shape != p.shape:
                raise ValueError(f"SGD: {name} has shape {tuple(p.shape)}, its gradient {tuple(grads[name].shape)}")
        for name, p in params.items():
            g = grads[name]
            if self.weight_decay:
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
