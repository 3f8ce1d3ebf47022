"""What the options of a run accept, as types of argparse."""

import argparse
import math

from .parts import to_augment
from .save_interval import to_interval


def count(text: str) -> int:
    """A whole number from 1."""
    return _at_least(1, int, text)


def whole(text: str) -> int:
    """A whole number from 0."""
    return _at_least(0, int, text)


def rate(text: str) -> float:
    """A finite number from 0."""
    return _at_least(0, float, text)


def share(text: str) -> float:
    """A number from 0 to 1."""
    return _below(rate(text), text, "at most 1", lambda value: value <= 1)


def decay(text: str) -> float:
    """A number from 0 to below 1."""
    return _below(rate(text), text, "less than 1", lambda value: value < 1)


def _at_least(least, kind, text):
    try:
        number = kind(text)
    except ValueError:
        number = math.nan
    if not least <= number < math.inf:  # false for NaN too
        what = "whole number" if kind is int else "finite number"
        raise argparse.ArgumentTypeError(f"expected {least} or more and a {what}, got {text:.40}")
    return number


def _below(value, text, words, fits):
    if not fits(value):
        raise argparse.ArgumentTypeError(f"expected {words}, got {text:.40}")
    return value


def interval(text: str) -> str:
    """Epochs or minutes between saves; the text is kept."""
    return _checked(to_interval, text)


def augment(text: str) -> str:
    """Strengths of an augmentation; the text is kept."""
    return _checked(to_augment, text)


def _checked(read, text):
    """The text as it is, once it could be read: so it goes into run.json and comes back."""
    try:
        read(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error
    return text
