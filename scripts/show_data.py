"""Show the data set: images a class as a table, samples as a picture.

python scripts/show_data.py [--data-dir DIR] [--out samples.png]
"""

import argparse
import sys
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[1]))  # for a checkout that is not installed

from synann_np.data import DataError, class_counts, load_mnist
from synann_np.programs.broken_pipe import end_with_the_reader
from synann_np.programs.pictures.samples import sample_grid


def main(argv=None):
    parser = argparse.ArgumentParser(description="Count the images of each class and draw samples.")
    parser.add_argument("--data-dir", help="folder with the four IDX files (default: MNIST)")
    parser.add_argument("--out", default="samples.png", help="the picture (default: %(default)s)")
    args = parser.parse_args(argv)
    try:
        train_images, train_labels, _, test_labels = load_mnist(args.data_dir)
        sample_grid(train_images, train_labels, args.out)
    except DataError as error:
        print(f"show_data: {error}", file=sys.stderr)
        return 2
    except OSError as error:
        print(f"show_data: {args.out}: cannot be written ({error.strerror or error})", file=sys.stderr)
        return 2
    print(table(class_counts(train_labels), class_counts(test_labels)))
    print(f"Samples: {args.out}")
    return 0


def table(train_counts, test_counts):
    rows = [("class", "train", "test")]
    rows += list(zip(range(len(train_counts)), train_counts, test_counts, strict=True))
    rows += [("total", train_counts.sum(), test_counts.sum())]
    return "\n".join(f"{name:>5} {train:>7} {test:>7}" for name, train, test in rows)


if __name__ == "__main__":
    end_with_the_reader()
    sys.exit(main())
