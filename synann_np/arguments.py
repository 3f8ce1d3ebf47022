"""Checks of arguments: what is not meant is refused by name, before anything is computed or changed.

Each function returns the value as plain Python has it, so that a NumPy scalar neither promotes float32 to float64 nor
ends up in a saved configuration. `who` begins the message: the function or the layer that refuses.

Raises (all of them): TypeError for another kind of value, ValueError for one out of range.
"""

import math
import numbers
from collections.abc import Iterable
from typing import Any

import numpy as np


def integer(who: Any, name: str, value: Any, least: int = 1) -> int:
    """An integer of `least` or more. NumPy's integers are welcome; bools and floats, even 2.0, are not."""
    if not isinstance(value, numbers.Integral) or isinstance(value, bool):
        raise TypeError(f"{who!s:.300}: expected {name} to be an integer, got {value!r:.80}")
    if value < least:
        raise ValueError(f"{who!s:.300}: expected {name} >= {least}, got {value!r:.80}")
    return int(value)


def number(who: Any, name: str, value: Any, low: float = 0.0, high: float = math.inf) -> float:
    """A finite real number with low <= value <= high."""
    if not isinstance(value, numbers.Real) or isinstance(value, bool):
        raise TypeError(f"{who!s:.300}: expected {name} to be a number, got {value!r:.80}")
    if not (math.isfinite(value) and low <= float(value) <= high):
        limits = f">= {low:g} and finite" if high == math.inf else f"in {low:g}..{high:g}"
        raise ValueError(f"{who!s:.300}: expected {name} {limits}, got {value!r:.80}")
    return float(value)


def flag(who: Any, name: str, value: Any) -> bool:
    """True or False. The strings, numbers and arrays that Python would take for one of them are not."""
    if not isinstance(value, bool | np.bool):
        raise TypeError(f"{who!s:.300}: expected {name} to be True or False, got {value!r:.80}")
    return bool(value)


def word(who: Any, name: str, value: Any, words: Iterable[str]) -> str:
    """One of the words."""
    words = list(words)
    if not isinstance(value, str) or value not in words:
        raise ValueError(f"{who!s:.300}: expected {name} to be one of {', '.join(words)}, got {value!r:.80}")
    return value


def names(who: Any, name: str, value: Any) -> tuple[str, ...]:
    """A list or tuple of distinct strings that can be printed in one line."""
    if not isinstance(value, list | tuple) or not all(isinstance(v, str) for v in value):
        raise TypeError(f"{who!s:.300}: expected {name} to be a list of strings, got {value!r:.80}")
    if bad := [v for v in value if not v or not v.isprintable()]:
        raise ValueError(f"{who!s:.300}: expected {name} that can be printed, got {bad[0]!r:.80}; rename it")
    if len(set(value)) < len(value):
        twice = next(v for v in value if value.count(v) > 1)
        raise ValueError(f"{who!s:.300}: expected {name} that differ, {twice!r:.80} occurs twice")
    return tuple(value)


def shape(who: Any, name: str, value: Any) -> tuple[int, ...]:
    """A list or tuple of positive integers."""
    if not isinstance(value, list | tuple):
        raise TypeError(f"{who!s:.300}: expected {name} to be a tuple of integers, got {value!r:.80}")
    return tuple(integer(who, name, v) for v in value)


def generator(who: Any, rng: Any) -> Any:
    """A numpy.random.Generator, or what draws like one; for None one with fresh entropy. A seed is refused."""
    if rng is None:
        return np.random.default_rng()
    if not hasattr(rng, "integers"):
        raise TypeError(
            f"{who!s:.300}: expected rng to be a numpy.random.Generator, got {rng!r:.80}; "
            "use rng=numpy.random.default_rng(seed)"
        )
    return rng
