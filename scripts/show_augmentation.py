"""Show what augmentation makes of digits: the first image of every class beside its versions in the first steps.

python scripts/show_augmentation.py [--shift 2] [--rotate 10] ... [--data-dir DIR] [--out augmentation.png]
"""

import argparse
import sys
from pathlib import Path

import numpy as np

sys.path.append(str(Path(__file__).resolve().parents[1]))  # for a checkout that is not installed

from synann_np.data import DataError, load_mnist
from synann_np.data.augment import Augment
from synann_np.programs.broken_pipe import end_with_the_reader
from synann_np.programs.pictures.samples import sample_grid

VERSIONS = 8
STRENGTHS = {
    "shift": (2.0, "pixels along each axis"),
    "rotate": (10.0, "degrees"),
    "scale": (0.1, "of width and of height, a fraction"),
    "shear": (0.1, "pixels to the side for one pixel down"),
    "elastic": (1.4, "standard deviation of the elastic displacement, pixels"),
    "smoothness": (4.5, "of the elastic displacement, pixels"),
}


def main(argv=None):
    parser = argparse.ArgumentParser(description="Draw augmented digits. A strength of 0 switches an effect off.")
    for name, (default, what) in STRENGTHS.items():
        parser.add_argument(f"--{name}", type=float, default=default, metavar="X", help=f"{what} (%(default)s)")
    parser.add_argument("--seed", type=int, default=5, help="another seed, other pictures (%(default)s)")
    parser.add_argument("--data-dir", help="folder with the four IDX files (default: MNIST)")
    parser.add_argument("--out", default="augmentation.png", help="the picture (default: %(default)s)")
    args = parser.parse_args(argv)
    try:
        augment = Augment(args.seed, **{name: getattr(args, name) for name in STRENGTHS})
        images, labels, _, _ = load_mnist(args.data_dir)
        classes, first = np.unique(labels, return_index=True)
        versions = np.concatenate([images[first], *(augment(images[first], step) for step in range(VERSIONS))])
        columns = ["original", *(f"step {step}" for step in range(VERSIONS))]
        sample_grid(versions, np.tile(classes, VERSIONS + 1), args.out, VERSIONS + 1, columns)
    except (DataError, ValueError) as error:
        print(f"show_augmentation: {error}", file=sys.stderr)
        return 2
    except OSError as error:
        print(f"show_augmentation: {args.out}: cannot be written ({error.strerror or error})", file=sys.stderr)
        return 2
    print(f"{augment}: {args.out}")
    return 0


if __name__ == "__main__":
    end_with_the_reader()
    sys.exit(main())
