"""Loops in C, compiled on this machine. Without a compiler the NumPy paths beside do the work."""

from .compiler import find_compiler, library, working_compiler

__all__ = ["find_compiler", "library", "working_compiler"]
