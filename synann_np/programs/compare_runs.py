"""Compare runs: a table of their accuracies, a plot of their curves.

synann compare runs/a runs/b runs/c [--out curves.png]

Runs that differ only in the seed share a row. The accuracy is that of the last epoch, never of the best.
"""

import argparse
from collections.abc import Sequence

from .command_line import Parser, path, png_path
from .pictures.runs import accuracy_curves
from .process import status_of
from .runs.comparison import group, read_run, table


def main(argv: Sequence[str] | None = None, prog: str = "compare_runs") -> int | None:
    """The program. Returns: its exit status."""
    parser = Parser(__doc__, prog)
    parser.add_argument("runs", nargs="+", type=path, metavar="RUN", help="folder of a training run")
    parser.add_argument("--out", type=png_path, help="the plot (default: none)")
    args = parser.parse_args(argv)
    return status_of(prog, compare_runs, args)


def compare_runs(args: argparse.Namespace) -> None:
    """Print the table and draw the plot. A folder that is named twice is one run."""
    folders = {folder.resolve(): folder for folder in reversed(args.runs)}
    groups = group([read_run(folder) for folder in reversed(folders.values())])
    print(table(groups))
    if args.out:
        accuracy_curves(groups, args.out)
        print(f"Picture: {args.out}")
