"""Where the fast path says that something is slower than it could be."""

import sys


def print_to_stderr(line):
    """Print a line on standard error: standard output is for the results of a program, which others may read."""
    print(line, file=sys.stderr)
