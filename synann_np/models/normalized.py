"""A network that carries the normalisation of its data."""

from typing import Any

from ..layers import Normalize
from ..sequential import Sequential


def normalized(model: Sequential, x: Any) -> Sequential:
    """The model with a Normalize layer in front, which has mean and standard deviation of the training data x.

    They become a part of the model and are saved with it, so that training and prediction cannot disagree. A Normalize
    layer that is there already is replaced.

    Arguments: model: Sequential, whose layers are shared. x: training data as fit takes them, (N, ...), on the host.

    Raises: ValueError as Normalize.from_data.
    """
    first = Normalize.from_data(x, model.dtype, model.backend)
    layers = [(name, layer) for name, layer in model.layers.items() if type(layer) is not Normalize]
    found = Sequential([("normalize", first), *layers], model.dtype, model.backend)
    found.class_names, found.in_shape = model.class_names, model.in_shape
    return found
