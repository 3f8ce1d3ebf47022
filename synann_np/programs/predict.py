"""Classify photographs of digits (PNG, JPEG) with a trained model.

synann predict photo.jpg another.png folder/                    with the model that comes with the package
synann predict runs/mine/best.safetensors photo.jpg             with yours
synann predict photo.jpg --save-seen seen.png                   and draw what the network saw

A photograph shows one digit, dark on light or light on dark. Each line gives the three most probable digits. A model
that was trained on pictures in folders by class takes pictures of their size as they are, and gives the names of the
classes.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ..backend import Array
from ..data import DataError, read_picture
from ..sequential import Sequential
from ..storage.checkpoint import load
from .command_line import Parser, add_backend, path, png_path
from .digits.classify import best_classes, name_of, probabilities
from .digits.digit_image import to_mnist
from .digits.photo_file import PhotoError, find_photos, read_photo
from .examples import MODEL
from .pictures.classification import digit_sheet
from .process import complain, status_of

AT_A_TIME = 100


def main(argv: Sequence[str] | None = None, prog: str = "predict") -> int | None:
    """The program. Returns: its exit status."""
    parser = Parser(__doc__, prog)
    parser.add_argument(
        "images",
        nargs="+",
        type=path,
        metavar="IMAGE",
        help="PNG or JPEG files, or folders of them; the first may be a model",
    )
    parser.add_argument("--model", type=path, help="a .safetensors file (default: the model of the package)")
    parser.add_argument("--save-seen", type=png_path, metavar="PNG", help="draw what the network saw into this file")
    add_backend(parser)
    args = parser.parse_intermixed_args(argv)
    if args.model is None and args.images[0].suffix == ".safetensors":
        args.model = args.images.pop(0)
    if not args.images:
        parser.error("name an image to read, too")
    return status_of(prog, predict, args, prog)


def predict(args: argparse.Namespace, prog: str) -> Array:
    """Print a line for each photograph. Returns: 2 if any could not be read."""
    model = load(args.model or MODEL, args.backend)
    paths: list[Path] = []
    bad: list[Exception] = []
    for name in args.images:
        try:
            paths += find_photos([name])
        except PhotoError as error:
            bad.append(error)
            complain(prog, error)
    all_seen, titles = [], []
    for start in range(0, len(paths), AT_A_TIME):
        seen, names = [], []
        for photo in paths[start : start + AT_A_TIME]:
            try:
                seen.append(see(model, photo))
                names.append(photo)
            except (DataError, PhotoError) as error:
                bad.append(error)
                complain(prog, error if str(error).startswith(str(photo)) else f"{photo}: {error}")
        if not seen:
            continue
        for photo, row in zip(names, probabilities(model, np.stack(seen)), strict=True):
            best = [(name_of(model, k), p) for k, p in best_classes(row)]
            print(f"{photo}: {', '.join(f'{name} ({p:.1%})' for name, p in best)}")
            titles.append(f"{photo.name[:18]}\n{best[0][0][:18]} ({best[0][1]:.0%})")
        all_seen += seen
    if args.save_seen and all_seen:
        digit_sheet(all_seen, titles, args.save_seen)
        print(f"What the network saw: {args.save_seen}")
    return 2 if bad else 0


def see(model: Sequential, photo: Path) -> np.ndarray:
    """The pixels that the model gets: a digit as in MNIST, or for a model of other pictures, the picture as it is."""
    if model.class_names and model.in_shape and len(model.in_shape) == 3:
        return read_picture(photo, model.in_shape)
    return to_mnist(read_photo(photo))
