"""Find the layer where NaN or infinity begins."""

from typing import Any

from ..backend import array_module
from ..sequential import Sequential


class NotFinite(ArithmeticError):
    """An output or a gradient is NaN or infinite. The message names the first layer and the step."""


def check_finite(model: Sequential) -> Any:
    """The same model, but every call stops at the first value that is not finite.

    A NaN travels: where the loss shows it, every weight may have it already. Here forward looks at the input and at
    the output of every layer, backward at dy and at every gradient, in the order in which they are computed. A device
    is waited for after each, which costs time: for the search, not for every day.

    Arguments: model: Sequential.

    Returns: Sequential of the same names over the same arrays; whatever trains it trains `model`. Its forward and
        backward raise NotFinite.
    """
    names = list(model.layers)
    checked = [
        (name, _Checked(name, layer, name == names[0], name == names[-1])) for name, layer in model.layers.items()
    ]
    return Sequential(checked, model.dtype, model.backend)


class _Checked:
    def __init__(self, name, layer, first, last):
        self.name, self.layer, self.first, self.last = name, layer, first, last
        self.params, self.buffers, self.draws_masks = layer.params, layer.buffers, layer.draws_masks
        self.normalizes = getattr(layer, "normalizes", False)

    def __repr__(self):
        return f"checked {self.layer!r}"

    def forward(self, x, train=False, step=None):
        if self.first:
            self._check(x, "the input of the model")
        y, cache = self.layer.forward(x, train, step) if self.draws_masks else self.layer.forward(x, train)
        self._check(y, f"the output of {self.name}")
        return y, cache

    def backward(self, dy, cache):
        if self.last:
            self._check(dy, "the gradient of the loss")
        dx, grads = self.layer.backward(dy, cache)
        for key, g in grads.items():
            self._check(g, f"the gradient of {self.name}.{key}")
        if dx is not None:
            self._check(dx, f"the gradient of the input of {self.name}")
        return dx, grads

    def _check(self, a, what):
        finite = array_module(a).isfinite(a)
        if not finite.all():
            bad = int(a.size - finite.sum())
            raise NotFinite(
                f"{what} is not finite ({bad} of {a.size} elements; {self.layer!r}): look at the weights and the input "
                "of this layer; a smaller learning rate is the usual cure"
            )
