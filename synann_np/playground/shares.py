"""Why this class? The exact shares of mathematics/explain.py, as values for the page."""

from typing import Any

import numpy as np

from ..data import normalise
from ..mathematics.explain import class_shares
from .requested import finite, whole


def explain(model: Any, image: np.ndarray, request: dict[str, Any]) -> dict[str, Any]:
    """The shares of all classes, and in detail those of one class and one unit.

    Arguments: model: Sequential with a synapse on top. image: (28, 28) uint8. request: dict, may hold "class" and
    "unit"; without them the most probable class, and the unit with the largest share of it.

    Returns: dict of JSON values; of a network without that synapse, only a "reason" why there are none. Raises:
    RequestError: no such class or unit.
    """
    try:
        shares = class_shares(model, normalise(image[None], model.dtype))
    except ValueError:
        return {"reason": "This network has no synapse in its classifier, so there are no shares to show."}
    logits = shares.logits[0]
    k = whole(request, "class", 0, len(logits) - 1, int(logits.argmax()))
    by_unit = shares.by_unit[0, k]
    i = whole(request, "unit", 0, len(by_unit) - 1, int(np.abs(by_unit).argmax()))
    probabilities = np.exp(logits - logits.max())
    return {
        "class": k,
        "classes": [
            {
                "logit": float(logits[c]),
                "probability": float(probabilities[c] / probabilities.sum()),
                "base": float(shares.base[c]),
                "excitation": float(shares.excitation[0, c].sum()),
                "inhibition": float(shares.inhibition[0, c].sum()),
                "unsplit": float(shares.unsplit[0, c]),
            }
            for c in range(len(logits))
        ],
        "by_unit": finite(by_unit),
        "excitation": finite(shares.excitation[0, k]),
        "by_channel": finite(shares.inhibition[0, k]),
        "unit": _unit(shares.units, i),
    }


def _unit(units, i):
    """The surprisal of a unit and its shares."""
    return {
        "number": i,
        "output": float(units.y[0, i]),
        "surprisal": finite(units.total[0, i]),
        "alpha": finite(units.alpha[i]),
        "own": finite(units.own[0, i]),
        "channels": finite(units.inhibition[0, i]),
        "negative_factors": int((units.factors[0, i] < 0).sum()),
    }
