"""Show how augmentation changes images: the first image of every class, and its versions in the first steps.

synann augment [--shift 2] [--rotate 10] ... [--data-dir DIR] [--out augmentation.png]

A strength of 0 switches an effect off.
"""

import argparse
from collections.abc import Sequence

import numpy as np

from ..data import load_dataset
from ..data.augment import Augment
from .command_line import Parser, path, png_path
from .pictures.samples import sample_grid
from .process import status_of

VERSIONS = 8
STRENGTHS = {
    "shift": (2.0, "largest shift along each axis, in pixels"),
    "rotate": (10.0, "largest rotation, in degrees"),
    "scale": (0.1, "change of width and of height, as a fraction"),
    "shear": (0.1, "largest shear: pixels to the side for each pixel down"),
    "elastic": (1.4, "standard deviation of the elastic displacement, in pixels"),
    "smoothness": (4.5, "smoothness of the elastic displacement, in pixels"),
    "erase": (4, "side of a square that is erased, in pixels"),
}


def main(argv: Sequence[str] | None = None, prog: str = "show_augmentation") -> int | None:
    """The program. Returns: its exit status."""
    parser = Parser(__doc__, prog)
    for name, (default, what) in STRENGTHS.items():
        parser.add_argument(
            f"--{name}", type=type(default), default=default, metavar="X", help=f"{what} (default: %(default)s)"
        )
    parser.add_argument("--seed", type=int, default=5, help="seed of the deformations (default: %(default)s)")
    parser.add_argument("--data-dir", type=path, help="folder or .npz file of images (default: MNIST)")
    parser.add_argument("--out", type=png_path, default="augmentation.png", help="the picture (default: %(default)s)")
    args = parser.parse_args(argv)
    return status_of(prog, show_augmentation, args)


def show_augmentation(args: argparse.Namespace) -> None:
    """Draw the picture."""
    augment = Augment(args.seed, **{name: getattr(args, name) for name in STRENGTHS})
    images, labels, _, _ = load_dataset(args.data_dir)
    classes, first = np.unique(labels, return_index=True)
    versions = np.concatenate([images[first], *(augment(images[first], step) for step in range(VERSIONS))])
    columns = ["original", *(f"step {step}" for step in range(VERSIONS))]
    sample_grid(versions, np.tile(classes, VERSIONS + 1), args.out, VERSIONS + 1, columns)
    print(f"{augment}: {args.out}")
