"""Loops in C, compiled on this machine. Without a compiler the plain layers run."""

from .compiler import find_compiler, library, working_compiler

__all__ = ["find_compiler", "library", "working_compiler"]
