"""Parameters, buffers, gradients and whatever is updated with them, each as one array: one kernel updates them all."""

import math

ALIGNMENT = 32  # elements: every array begins on a line of 128 bytes


class NotFlat(ValueError):
    """The arrays of a model cannot be parts of one array. The message says why."""


class FlatState:
    """The parameters and buffers of a model as views of one array, with the same values and names.

    Arguments:
        model: Sequential. dtype: that all of its arrays must have.
        places: dict name -> (offset, shape) of every array, parameters first; None: in their order.

    Attributes:
        places: dict name -> (offset, shape); parameters first, then buffers.
        params_size, size: elements of the parameters, and of all.
        values (size,), grads (params_size,), is_matrix: uint8 (params_size,), 1 where a parameter has two axes or more.

    Raises: NotFlat.
    """

    def __init__(self, model, dtype, places=None):
        self.model, self.dtype = model, dtype
        arrays = model.params | model.buffers
        found = dict(_owners(model))
        if found.keys() != arrays.keys() or any(found[name][0][found[name][1]] is not a for name, a in arrays.items()):
            raise NotFlat("a layer does not keep its arrays in its dicts params and buffers")
        if len({id(a) for a in arrays.values()}) < len(arrays):
            raise NotFlat("two layers share an array")
        if other := [name for name, a in arrays.items() if a.dtype != dtype]:
            raise NotFlat(f"{other[0]} is {arrays[other[0]].dtype}, not {dtype}")
        if not model.params:
            raise NotFlat("the model has no parameters")
        self.places = places or _one_after_the_other(arrays)
        self.params_size, self.size = (_end(self.places[name] for name in names) for names in (model.params, arrays))
        xp = model.backend.xp
        self.values, self.grads = xp.zeros(self.size, dtype), xp.zeros(self.params_size, dtype)
        self.is_matrix = xp.zeros(self.params_size, "uint8")
        self.views, self.grad_views = self.views_of(self.values), self.views_of(self.grads, model.params)
        for name, view in self.views_of(self.is_matrix, model.params).items():
            view[...] = int(arrays[name].ndim >= 2)
        self.adopt()

    def views_of(self, flat, names=None):
        """dict name -> view of a flat array."""
        places = {name: self.places[name] for name in (self.places if names is None else names)}
        return {name: flat[o : o + math.prod(shape)].reshape(shape) for name, (o, shape) in places.items()}

    def adopt(self):
        """Make the layers' arrays those of this object. Nothing to do unless somebody put others in their place."""
        for name, (arrays, key) in _owners(self.model):
            adopt(arrays, key, self.views[name])


def _one_after_the_other(arrays):
    places, offset = {}, 0
    for name, a in arrays.items():
        places[name] = offset, tuple(a.shape)
        offset = _end([places[name]])
    return places


def _end(places):
    """Where the next array may begin."""
    return max(-(-(offset + math.prod(shape)) // ALIGNMENT) * ALIGNMENT for offset, shape in places)


def adopt(arrays, key, view):
    """Put a view into a dict, with the values of the array that was there."""
    if arrays[key] is not view:
        view[...] = arrays[key]
        arrays[key] = view


def _owners(layer, prefix=""):
    """(name, (dict, key)) of every array of a layer: where it is kept."""
    inner = {"": layer.body} if hasattr(layer, "body") else getattr(layer, "layers", None)
    if inner is None:
        for arrays in (layer.params, layer.buffers):
            yield from ((prefix + key, (arrays, key)) for key in arrays)
        return
    for name, part in inner.items():
        yield from _owners(part, f"{prefix}{name}." if name else prefix)
