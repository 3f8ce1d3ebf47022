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
    # config is what a layer was made with; p, eps and momentum are what it computes with, and may have been set since.
    return [
        (
            name,
            type(layer).__name__,
            {key: value for key, value in getattr(layer, "config", {}).items() if key != "seed"},
            [getattr(layer, key, None) for key in ("p", "scale", "eps", "momentum")],
        )
        for name, layer in model.layers.items()
    ]
