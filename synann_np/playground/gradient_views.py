"""One gradient, ∂L/∂w, obtained four times: formula, the formula with numbers, backward, finite difference."""

from typing import Any

import numpy as np

from ..data import normalise
from ..gradcheck import numeric_gradient
from ..layers import BatchNorm1d, BatchNorm2d, Conv2d, Linear, Synapse
from ..losses import nll_loss
from .networks import in_float64
from .requested import RequestError, finite, one_of, whole

SHOWN_TERMS = 4


def gradients(model: Any, image: np.ndarray, label: Any, request: dict[str, Any]) -> dict[str, Any]:
    """The gradient of the loss of one picture with respect to one parameter, and to one of its elements.

    Arguments: model: Sequential. image: (28, 28) uint8. label: the true class. request: dict, may hold "parameter"
    (a name) and "element" (a flat index; without it the element of the largest gradient).

    Returns: dict of JSON values. The model is used in evaluation mode, in float64. Raises: RequestError.
    """
    model = in_float64(model)
    name = one_of(request, "parameter", tuple(model.params), next(iter(model.params)))
    x, labels = normalise(image[None], "float64"), np.array([label])
    loss, grads, inputs, upstream = _walk(model, x, labels)
    weight, gradient = model.params[name], grads[name]
    largest = int(np.abs(gradient).argmax())
    place = np.unravel_index(whole(request, "element", 0, weight.size - 1, largest), weight.shape)
    cell = weight[tuple(slice(p, p + 1) for p in place)]  # a view of one element
    difference = numeric_gradient(lambda: float(nll_loss(model.forward(x)[0], labels)[0]), cell)
    layer_name, _, kind = name.partition(".")
    formula, terms = _terms(model.layers[layer_name], kind, place, inputs[layer_name], upstream[layer_name])
    return {
        "parameters": [[n, list(p.shape)] for n, p in model.params.items()],
        "parameter": name,
        "shape": list(weight.shape),
        "gradient": finite(gradient.ravel()),
        "element": int(np.ravel_multi_index(place, weight.shape)),
        "place": [int(p) for p in place],
        "weight": float(weight[place]),
        "loss": float(loss),
        "formula": formula,
        **_numbers(terms),
        "backward": float(gradient[place]),
        "difference": float(difference.item()),
    }


def _walk(model, x, labels):
    """The loss and its gradients; by layer its input and the gradient of its output."""
    inputs, upstream, caches, grads = {}, {}, {}, {}
    for name, layer in model.layers.items():
        inputs[name] = x
        x, caches[name] = layer.forward(x)
    loss, dy = nll_loss(x, labels)
    for name, layer in reversed(model.layers.items()):
        upstream[name] = dy
        dy, own = layer.backward(dy, caches[name])
        grads |= {f"{name}.{key}": g for key, g in own.items()}
    return loss, grads, inputs, upstream


def _terms(layer, kind, place, x, dy):
    """The formula as text, and the factors of its terms: an array (terms, factors); None where there is no short one.

    Written from the formulas in the layers' docstrings, for one picture, and not with the code of `backward`.
    """
    if isinstance(layer, Linear):
        if kind == "bias":
            return "dbias_k = dy_k", dy[0, place]
        k, i = place
        return "dweight_ki = dy_k x_i", np.array([[dy[0, k], x[0, i]]])
    if isinstance(layer, Conv2d) and layer.stride == (1, 1) and layer.padding == (0, 0):
        d = dy[0, place[0]]
        if kind == "bias":
            return "dbias_f = Σ_hw dy_fhw", d.reshape(-1, 1)
        _, c, i, j = place
        seen = x[0, c, i : i + d.shape[0], j : j + d.shape[1]]
        return "dweight_fcij = Σ_hw dy_fhw x_c,h+i,w+j", np.stack([d.ravel(), seen.ravel()], axis=1)
    if isinstance(layer, BatchNorm1d | BatchNorm2d):
        c = place[0]
        d = dy[0, c].reshape(-1, 1)
        if kind == "bias":
            return "dbias_c = Σ dy_c", d
        mean, var = layer.buffers["running_mean"][c], layer.buffers["running_var"][c]
        x_hat = (x[0, c].reshape(-1, 1) - mean) / np.sqrt(var + layer.eps)
        return "dweight_c = Σ dy_c x̂_c", np.concatenate([d, x_hat], axis=1)
    if isinstance(layer, Synapse):
        alpha, beta = layer.coefficients()
        i = place[0]
        q = 1 - beta[i] * x[0]
        if kind == "alpha":
            return "dα_i = dy_i x_i ∏_j (1 − β_ij x_j)", np.array([[dy[0, i], x[0, i], q.prod()]])
        if kind == "beta":
            j = place[1]
            others = np.delete(q, j).prod()
            formula = "dβ_ij = −dy_i α_i x_i ∏_{k≠j} (1 − β_ik x_k) x_j"
            return formula, np.array([[-dy[0, i], alpha[i], x[0, i], others, x[0, j]]])
    return None, None


def _numbers(terms):
    """The terms of largest size, how many are not zero, and their sum."""
    if terms is None:
        return {"terms": [], "nonzero": 0, "sum": None}
    terms = terms.reshape(len(terms), -1)
    products = terms.prod(axis=1)
    largest = np.argsort(-np.abs(products), kind="stable")[:SHOWN_TERMS]
    shown = [terms[t].tolist() for t in largest if products[t] != 0]
    return {"terms": shown, "nonzero": int((products != 0).sum()), "sum": float(products.sum())}


def label_of(request: dict[str, Any]) -> Any:
    """The true class that the page says, 0..9."""
    if "label" not in request:
        raise RequestError("label: expected the true class of the picture")
    return whole(request, "label", 0, 9)
