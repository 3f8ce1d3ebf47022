"""Reading what the page sends: JSON objects whose values are checked before anything is done with them."""

import base64
import binascii
import json
import math
from typing import Any

import numpy as np

SIDE = 28


class RequestError(ValueError):
    """The request cannot be answered as it is; the message says what was expected."""


def json_object(body: bytes) -> Any:
    """dict from the bytes of a request."""
    try:
        value = json.loads(body or b"{}")
    except (ValueError, RecursionError) as error:
        raise RequestError("expected JSON") from error
    if not isinstance(value, dict):
        raise RequestError("expected a JSON object")
    return value


def number(request: dict[str, Any], name: str, low: float, high: float, default: Any = None) -> float:
    """A finite float in low..high."""
    value = request.get(name, default)
    if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
        raise RequestError(f"{name}: expected a number from {low:g} to {high:g}, got {value!r:.40}")
    return float(value)


def whole(request: dict[str, Any], name: str, low: int, high: int, default: Any = None) -> int:
    """An int in low..high."""
    value = number(request, name, low, high, default)
    if value != math.floor(value):
        raise RequestError(f"{name}: expected a whole number, got {value}")
    return int(value)


def one_of(request: dict[str, Any], name: str, choices: Any, default: Any = None) -> Any:
    """A text out of a set of choices."""
    value = request.get(name, default)
    if not isinstance(value, str) or value not in choices:
        raise RequestError(f"{name}: expected one of {', '.join(choices)}, got {value!r:.40}")
    return value


def switch(request: dict[str, Any], name: str, default: Any) -> bool:
    """True or false."""
    value = request.get(name, default)
    if not isinstance(value, bool):
        raise RequestError(f"{name}: expected true or false, got {value!r:.40}")
    return value


def pixels(request: dict[str, Any]) -> np.ndarray:
    """(28, 28) uint8 from the base64 text under "pixels"."""
    try:
        values = base64.b64decode(request.get("pixels", ""), validate=True)
    except (TypeError, ValueError, binascii.Error) as error:
        raise RequestError("pixels: expected base64 text") from error
    if len(values) != SIDE * SIDE:
        raise RequestError(f"pixels: expected {SIDE * SIDE} bytes, got {len(values)}")
    return np.frombuffer(values, np.uint8).reshape(SIDE, SIDE)


def to_base64(values: np.ndarray) -> str:
    """Text from a uint8 array."""
    return base64.b64encode(values.tobytes()).decode()


def finite(values: np.ndarray) -> Any:
    """An array as nested lists for JSON: float64, with None where it is infinite or NaN."""
    values, nothing = np.asarray(values, "float64"), np.array(None)
    return np.where(np.isfinite(values), values, nothing).tolist()
