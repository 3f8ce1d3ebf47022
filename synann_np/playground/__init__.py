"""A page in the browser: draw a digit, train the network live, look inside it. `main` is the program."""

from .program import main

__all__ = ["main"]
