"""Fast paths. The plain layers say what is computed; here it is computed faster, with the same names and numbers."""

from .compile import compile, usable_cores
from .loops import working_compiler
from .memory import keep_freed_memory

__all__ = ["compile", "keep_freed_memory", "usable_cores", "working_compiler"]
