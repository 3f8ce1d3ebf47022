"""Fast paths. The plain layers define what is computed; here it is computed faster, with the same names and numbers."""

from .cores import usable_cores
from .loops.compiler import working_compiler
from .memory import keep_freed_memory
from .replace_layers import compile, report
from .tune_process import tune_process

__all__ = ["compile", "keep_freed_memory", "report", "tune_process", "usable_cores", "working_compiler"]
