"""Reading what the page sends: JSON objects whose values are checked before anything is done with them."""

import base64
import binascii
import json
import math

import numpy as np

SIDE = 28


class RequestError(ValueError):
    """The request cannot be answered as it is; the message says what was expected."""


def json_object(body):
    """dict from the bytes of a request."""
    try:
        value = json.loads(body or b"{}")
    except (ValueError, RecursionError) as error:
        raise RequestError("expected JSON") from error
    if not isinstance(value, dict):
        raise RequestError("expected a JSON object")
    return value


def number(request, name, low, high, default=None):
    """A finite float in low..high."""
    value = request.get(name, default)
    if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
        raise RequestError(f"{name}: expected a number from {low:g} to {high:g}, got {value!r:.40}")
    return float(value)


def whole(request, name, low, high, default=None):
    """An int in low..high."""
    value = number(request, name, low, high, default)
    if value != math.floor(value):
        raise RequestError(f"{name}: expected a whole number, got {value}")
    return int(value)


def one_of(request, name, choices, default=None):
    """A text out of a set of choices."""
    value = request.get(name, default)
    if not isinstance(value, str) or value not in choices:
        raise RequestError(f"{name}: expected one of {', '.join(choices)}, got {value!r:.40}")
    return value


def switch(request, name, default):
    """True or false."""
    value = request.get(name, default)
    if not isinstance(value, bool):
        raise RequestError(f"{name}: expected true or false, got {value!r:.40}")
    return value


def pixels(request):
    """(28, 28) uint8 from the base64 text under "pixels"."""
    try:
        values = base64.b64decode(request.get("pixels", ""), validate=True)
    except (TypeError, ValueError, binascii.Error) as error:
        raise RequestError("pixels: expected base64 text") from error
    if len(values) != SIDE * SIDE:
        raise RequestError(f"pixels: expected {SIDE * SIDE} bytes, got {len(values)}")
    return np.frombuffer(values, np.uint8).reshape(SIDE, SIDE)


def to_base64(values):
    """Text from a uint8 array."""
    return base64.b64encode(values.tobytes()).decode()


def finite(values):
    """An array as nested lists for JSON: float64, with None where it is infinite or NaN."""
    values = np.asarray(values, "float64")
    return np.where(np.isfinite(values), values, None).tolist()
