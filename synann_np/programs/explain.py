"""Explain a decision: the share of every unit and inhibitory channel in the score, as numbers and as a picture.

synann explain --index 7                                        image 7 of MNIST's test set
synann explain photo.jpg --model runs/mine/best.safetensors --out shares.png
"""

import argparse
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from ..data import DataError, load_mnist, normalise
from ..mathematics.explain import class_shares
from ..storage.checkpoint import CheckpointError, load
from ..training.data_set import scaling
from .command_line import Parser, path, png_path
from .digits.digit_image import to_mnist
from .digits.photo_file import read_photo
from .examples import MODEL
from .pictures.explanations import draw_shares
from .process import status_of

SHOWN = 5


def main(argv: Sequence[str] | None = None, prog: str = "explain") -> int | None:
    """The program. Returns: its exit status."""
    parser = Parser(__doc__, prog)
    parser.add_argument("image", nargs="?", type=path, help="a PNG or JPEG file of one digit; or use --index")
    parser.add_argument("--index", type=int, metavar="N", help="explain image N of the test set instead")
    parser.add_argument("--model", type=path, default=MODEL, help="a .safetensors file (default: the package's)")
    parser.add_argument("--out", type=png_path, default="shares.png", help="the picture (default: %(default)s)")
    parser.add_argument("--data-dir", type=path, help="folder of the data set (default: MNIST)")
    args = parser.parse_args(argv)
    if (args.image is None) == (args.index is None):
        parser.error("name a picture, or choose an image of the test set with --index N")
    if args.image and args.image.name.isdecimal() and not args.image.exists():
        parser.error(f"{args.image}: no such file; image {args.image} of the test set is --index {args.image}")
    return status_of(prog, explain, args)


def explain(args: argparse.Namespace) -> None:
    """Print the tables and draw the picture."""
    model = load(args.model)
    image, name = read_image(args)
    try:
        shares = class_shares(model, normalise(image[None], model.dtype, *scaling(model)))
    except ValueError as error:  # a model of other layers
        raise CheckpointError(f"{args.model}: {error}") from error
    print("\n".join(describe(shares)))
    draw_shares(image, shares, args.out, f"{name}: the network says {shares.logits[0].argmax()}")
    print(f"Picture: {args.out}")


def read_image(args: argparse.Namespace) -> Any:
    """(28, 28) uint8 and what to call it."""
    if args.image is not None:
        return to_mnist(read_photo(args.image)), args.image.name
    images, labels = load_mnist(args.data_dir)[2:]
    if not 0 <= args.index < len(images):
        raise DataError(f"image {args.index}: the test set has 0..{len(images) - 1}")
    return images[args.index], f"test image {args.index}, a {labels[args.index]}"


def describe(shares: Any) -> Iterator[str]:
    """Tables of text: the classes; the units and channels that matter most for the best class."""
    logits, units = shares.logits[0], shares.units
    probabilities = np.exp(logits - logits.max())
    probabilities /= probabilities.sum()
    yield "class  probability     logit =     base + excitation + inhibition + not divided"
    for k, p in enumerate(probabilities):
        excitation, inhibition = shares.excitation[0, k].sum(), shares.inhibition[0, k].sum()
        parts = f"{shares.base[k]:10.3f} {excitation:12.3f} {inhibition:12.3f} {shares.unsplit[0, k]:11.3f}"
        yield f"{k:5} {p:12.2%} {logits[k]:9.3f} {parts}"
    k = int(logits.argmax())
    yield f"\nunits of most weight for {k}: share of the logit; −log y = −log α − log x + inhibition, nats; factors < 0"
    inhibition = units.inhibition[0].sum(axis=1)
    for i in np.argsort(-np.abs(shares.by_unit[0, k]), kind="stable")[:SHOWN]:
        terms = f"{units.total[0, i]:8.3f} = {units.alpha[i]:6.3f} + {units.own[0, i]:.3f} + {inhibition[i]:.3f}"
        yield f"{i:5} {shares.by_unit[0, k, i]:12.3f}   {terms}   {(units.factors[0, i] < 0).sum()}"
    yield f"\ninhibitory channels of most weight for {k}: share of the logit"
    for j in np.argsort(-np.abs(shares.inhibition[0, k]), kind="stable")[:SHOWN]:
        yield f"{j:5} {shares.inhibition[0, k, j]:12.4f}"
