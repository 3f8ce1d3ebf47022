"""A program as a process: its streams, the one line that an error is, its exit status."""

import sys
from collections.abc import Callable
from typing import Any

from ..backend import BackendError
from .standard_streams import UNREAD, prepare_streams, take_failure

FAILED, REFUSED, INTERRUPTED = 1, 2, 130


def run_program(main: Callable[[], Any]) -> Any:
    """Call main() as a program of its own. Returns: the exit status, for sys.exit."""
    prepare_streams()
    try:
        status = main()
    except SystemExit as ending:
        status = ending.code
    except KeyboardInterrupt:
        status = INTERRUPTED
    failure = take_failure()
    if isinstance(failure, BrokenPipeError):
        return status or UNREAD
    if failure is not None:
        complain("standard output", one_line(failure))
        return status or REFUSED
    return status


def status_of(prog: str, work: Callable[..., Any], *arguments: Any) -> int:
    """Do the work of a program: work(*arguments).

    Returns: what it returns, or 0; 2 and a line on standard error where it refused or could not do something, 1 where
        numbers were not finite, 130 where it was interrupted.
    """
    try:
        return work(*arguments) or 0
    except ArithmeticError as error:
        complain(prog, one_line(error))
        return FAILED
    except (BackendError, ImportError, MemoryError, OSError, ValueError) as error:
        complain(prog, one_line(error))
        return REFUSED
    except KeyboardInterrupt:
        complain(prog, "interrupted")
        return INTERRUPTED


def complain(prog: str, text: object) -> None:
    """A line on standard error."""
    print(f"{prog}: {text}", file=sys.stderr)


def one_line(error: BaseException) -> str:
    """What an exception says, in one line; of an OSError the file and the reason."""
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename}: {error.strerror}" if error.filename is not None else error.strerror
    return " ".join(str(error).splitlines()) or type(error).__name__
