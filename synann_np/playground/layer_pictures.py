"""What the network computes for one picture, layer by layer, as bytes that the page paints."""

from typing import Any

import numpy as np

from ..data import normalise
from ..layers import Dropout, Dropout2d, Flatten, LogSoftmax, Rows
from .requested import to_base64

SAY_NOTHING = (Dropout, Dropout2d, Flatten, LogSoftmax, Rows)  # in evaluation they pass on what they get
MOST_TILES = 24  # of the first layer's weights


def look_through(model: Any, image: np.ndarray) -> dict[str, Any]:
    """The answer to one picture and all that led to it.

    Arguments: model: Sequential. image: (28, 28) uint8.

    Returns: dict of JSON values: seen (the picture), answer, probabilities (K,), layers (see picture_of).
    """
    x = normalise(image[None], model.dtype)
    layers = []
    with np.errstate(all="ignore"):
        for name, layer in model.layers.items():
            x, _ = layer.forward(x)
            if not isinstance(layer, SAY_NOTHING):
                layers.append({"name": name, "layer": repr(layer), **picture_of(x[0])})
        probabilities = np.exp(x[0].astype("float64"))
    answer = int(probabilities.argmax())
    return {
        "seen": to_base64(image), "answer": answer, "probabilities": probabilities.tolist(), "layers": layers,
    }  # fmt: skip


def picture_of(values: np.ndarray) -> dict[str, Any]:
    """An array of one to three axes as bytes: 128 stands for 0, 1 and 255 for ∓ the largest.

    Returns: dict: shape, largest, values (base64).
    """
    largest = float(np.abs(values).max(initial=0.0))
    scaled = values / largest if largest > 0 and np.isfinite(largest) else np.zeros(values.shape)
    return {
        "shape": list(values.shape),
        "largest": largest if np.isfinite(largest) else None,
        "values": to_base64(np.rint(128 + 127 * scaled).astype(np.uint8)),
    }


def first_weights(model: Any) -> dict[str, Any]:
    """The weights that meet the pixels, as pictures: the filters of a convolution, or what each unit looks for.

    Returns: dict as of picture_of with `name` and a shape of (tiles, height, width); at most MOST_TILES of them.
    """
    name, weight = next((name, p) for name, p in model.params.items() if p.ndim >= 2)
    if weight.ndim == 4:
        tiles = weight[:MOST_TILES, 0]
    elif weight.shape[1] == 28 * 28:
        tiles = weight[:MOST_TILES].reshape(-1, 28, 28)
    else:
        tiles = weight[None]
    return {"name": name, **picture_of(tiles)}
