"""Put runs side by side: a table of their accuracies, a picture of their curves.

python scripts/compare_runs.py runs/a runs/b runs/c [--out curves.png]

Runs that differ in nothing but the seed are one row. The accuracy is that of the last epoch, never of the best.
"""

import argparse
import sys
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[1]))  # for a checkout that is not installed

from synann_np.programs.broken_pipe import end_with_the_reader
from synann_np.programs.pictures.runs import accuracy_curves
from synann_np.programs.runs.comparison import group, read_run, table


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", nargs="+", type=Path, metavar="RUN", help="folder that train_mnist.py wrote")
    parser.add_argument("--out", type=Path, help="the picture (none)")
    args = parser.parse_args(argv)
    try:
        groups = group([read_run(folder) for folder in args.runs])
        print(table(groups))
        if args.out:
            accuracy_curves(groups, args.out)
            print(f"Picture: {args.out}")
    except (ValueError, OSError) as error:
        place = f"{error.filename}: {error.strerror}" if getattr(error, "filename", None) else error
        print(f"compare_runs: {place}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    end_with_the_reader()
    sys.exit(main())
