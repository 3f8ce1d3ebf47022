"""Compare runs: a table of their accuracies, a plot of their curves.

synann compare runs/a runs/b runs/c [--out curves.png]
synann compare --write README.md      replace the tables in a Markdown file

Runs that differ only in the seed share a row. The accuracy is that of the last epoch, never of the best.
"""

import argparse
from collections.abc import Sequence

from .command_line import Parser, path, png_path
from .pictures.runs import accuracy_curves
from .process import status_of
from .runs.comparison import group, read_run
from .runs.table import table, write_tables


def main(argv: Sequence[str] | None = None, prog: str = "compare_runs") -> int | None:
    """The program. Returns: its exit status."""
    parser = Parser(__doc__, prog)
    parser.add_argument("runs", nargs="*", type=path, metavar="RUN", help="folder of a training run")
    parser.add_argument("--out", type=png_path, help="the plot (default: none)")
    parser.add_argument(
        "--write", nargs="+", type=path, default=[], metavar="FILE",
        help="Markdown files whose tables between <!-- runs: FOLDER ... --> and <!-- end of runs --> are replaced",
    )  # fmt: skip
    args = parser.parse_args(argv)
    if not args.runs and (args.out or not args.write):
        parser.error("name the folder of at least one run")
    return status_of(prog, compare_runs, args)


def compare_runs(args: argparse.Namespace) -> None:
    """Print the table and draw the plot, or replace the tables in files. A folder that is named twice is one run."""
    for file in args.write:
        print(f"Tables replaced in {file}: {write_tables(file)}")
    if not args.runs:
        return
    folders = {folder.resolve(): folder for folder in reversed(args.runs)}
    groups = group([read_run(folder) for folder in reversed(folders.values())])
    print(table(groups))
    if args.out:
        accuracy_curves(groups, args.out)
        print(f"Picture: {args.out}")
