"""Show the data set: the images of each class as a table, samples as a picture.

synann data [--data-dir DIR] [--out samples.png]
"""

import argparse
from collections.abc import Sequence
from typing import Any

from ..backend import Array
from ..data import DataError, class_counts, load_dataset, shape_and_classes
from .command_line import Parser, path, png_path
from .pictures.samples import sample_grid
from .process import status_of


def main(argv: Sequence[str] | None = None, prog: str = "show_data") -> int | None:
    """The program. Returns: its exit status."""
    parser = Parser(__doc__, prog)
    parser.add_argument("--data-dir", type=path, help="folder or .npz file of the data set (default: MNIST)")
    parser.add_argument("--out", type=png_path, default="samples.png", help="the picture (default: %(default)s)")
    args = parser.parse_args(argv)
    return status_of(prog, show_data, args)


def show_data(args: argparse.Namespace) -> None:
    """Draw the samples and print the table."""
    data = load_dataset(args.data_dir)
    (train_images, train_labels, _, test_labels), (_, classes) = data, shape_and_classes(data)
    if train_images.ndim not in (3, 4):
        raise DataError(f"{args.data_dir}: rows of shape {train_images.shape[1:]}, which are no images to draw")
    sample_grid(train_images, train_labels, args.out)
    print(table(class_counts(train_labels, classes), class_counts(test_labels, classes)))
    print(f"Samples: {args.out}")


def table(train_counts: Array, test_counts: Array) -> Any:
    """Lines of class, training images, test images."""
    rows: list[tuple[object, ...]] = [("class", "train", "test")]
    rows += list(zip(range(len(train_counts)), train_counts, test_counts, strict=True))
    rows += [("total", train_counts.sum(), test_counts.sum())]
    return "\n".join(f"{name:>5} {train:>7} {test:>7}" for name, train, test in rows)
