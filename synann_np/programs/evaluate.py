"""Evaluate a model on a labelled set: accuracy, confusion matrix and worst mistakes.

synann evaluate                                                 the model that comes with the package, on MNIST
synann evaluate runs/mine/best.safetensors [--data-dir DIR] [--split test|train] [--out evaluation.png]
"""

import argparse
from collections.abc import Sequence
from typing import Any

import numpy as np

from .. import fast
from ..backend import Array
from ..data import load_dataset
from ..sequential import Sequential
from ..storage.checkpoint import CheckpointError, load
from .command_line import Parser, add_backend, path, png_path
from .digits.classify import confusion_matrix, name_of, probabilities, worst_mistakes
from .examples import MODEL
from .pictures.classification import evaluation_picture
from .process import status_of


def main(argv: Sequence[str] | None = None, prog: str = "evaluate") -> int | None:
    """The program. Returns: its exit status."""
    parser = Parser(__doc__, prog)
    parser.add_argument(
        "model", nargs="?", type=path, default=MODEL, help="a .safetensors file (default: the model of the package)"
    )
    parser.add_argument("--data-dir", type=path, help="folder or .npz file of the data set (default: MNIST)")
    parser.add_argument("--split", choices=("test", "train"), default="test", help="which images (default: test)")
    parser.add_argument("--out", type=png_path, default="evaluation.png", help="the picture (default: %(default)s)")
    add_backend(parser)
    args = parser.parse_args(argv)
    return status_of(prog, evaluate, args)


def evaluate(args: argparse.Namespace) -> None:
    """Print the results and draw the picture."""
    model = load(args.model, args.backend)
    data = load_dataset(args.data_dir)
    images, labels = data[:2] if args.split == "train" else data[2:]
    labels = labels.astype("int64")
    probs = with_progress(fast.compile(model), images)
    classes = probs.shape[1]
    if labels.max() >= classes:
        raise CheckpointError(f"{args.model}: knows {classes} classes, the data have a label {labels.max()}")
    predicted = probs.argmax(axis=1)
    confusion = confusion_matrix(labels, predicted, classes)
    right = int(confusion.trace())
    loss = -np.log(probs[np.arange(len(labels)), labels].clip(1e-300)).mean()
    print(f"{args.split} set: Average loss: {loss:.4f}, Accuracy: {right}/{len(labels)} ({right / len(labels):.2%})")
    names = [name_of(model, k) for k in range(classes)]
    print(table(confusion, names))
    worst = worst_mistakes(labels, probs)
    titles = [f"{names[labels[n]]} → {names[predicted[n]]} ({probs[n, predicted[n]]:.0%})" for n in worst]
    shown = images[worst] if images.ndim in (3, 4) else images[:0]  # rows of a table cannot be drawn
    evaluation_picture(confusion, shown, titles, args.out)
    print(f"Confusion matrix and worst mistakes: {args.out}")


def with_progress(model: Sequential, images: Array, chunk: int = 500) -> Any:
    """The probabilities (N, K), with a bar on a terminal: a large network takes a while."""
    from tqdm import tqdm

    with tqdm(total=len(images), unit="image", disable=None, leave=False) as bar:
        found = []
        for start in range(0, len(images), chunk):
            found.append(probabilities(model, images[start : start + chunk]))
            bar.update(len(found[-1]))
    return np.concatenate(found)


def table(confusion: Array, names: Sequence[str]) -> str:
    """The confusion matrix as text, with the accuracy of each class."""
    width = max(6, *(len(name) + 1 for name in names))
    lines = ["true \\ predicted " + "".join(f"{name:>{width}}" for name in names) + "  accuracy"]
    for name, row, right in zip(names, confusion, confusion.diagonal(), strict=True):
        accuracy = f"{right / row.sum():>9.2%}" if row.sum() else "        -"
        lines.append(f"{name:>16} " + "".join(f"{n:>{width}}" for n in row) + f" {accuracy}")
    return "\n".join(lines)
