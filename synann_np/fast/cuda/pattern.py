"""Which models the kernels of a training step are written for."""

from ...models import SynaNN
from .arrays import PARAMETERS


def is_synann(model):
    """Whether model is SynaNN as published: the same layers under the same names, all of them trained.

    The seeds of dropout may be any; the kernels' sizes, the dropout rate of ½ and batch-norm's eps and momentum may
    not.
    """
    return _description(model) == _description(SynaNN()) and model.params.keys() == PARAMETERS.keys()


def _description(model):
    return [
        (name, type(layer).__name__, {key: value for key, value in layer.config.items() if key != "seed"})
        for name, layer in model.layers.items()
        if hasattr(layer, "config")  # a Sequential in a Sequential has none: the lengths differ then
    ]
