"""How good is a model, and where does it fail? Accuracy, confusion matrix and worst mistakes on a labelled set.

python scripts/evaluate.py MODEL [--data-dir DIR] [--split test|train] [--out evaluation.png]
"""

import argparse
import sys
from pathlib import Path

import numpy as np

sys.path.append(str(Path(__file__).resolve().parents[1]))  # for a checkout that is not installed

import synann_np
from synann_np.backend import BackendError
from synann_np.data import DataError, load_mnist
from synann_np.programs.broken_pipe import end_with_the_reader
from synann_np.programs.digits.classify import confusion_matrix, probabilities, worst_mistakes
from synann_np.programs.pictures.classification import evaluation_picture
from synann_np.storage.checkpoint import CheckpointError


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", help="a .safetensors file, such as runs/…/best.safetensors")
    parser.add_argument("--data-dir", type=Path, help="folder with four files in MNIST's format (MNIST)")
    parser.add_argument("--split", choices=("test", "train"), default="test", help="which images (test)")
    parser.add_argument("--out", default="evaluation.png", help="the picture (evaluation.png)")
    parser.add_argument("--backend", choices=("numpy", "cupy", "auto"), default="numpy", help="(numpy)")
    args = parser.parse_args(argv)
    try:
        evaluate(args)
    except (BackendError, CheckpointError, DataError, OSError) as error:
        print(f"evaluate: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("evaluate: interrupted", file=sys.stderr)
        return 130
    return 0


def evaluate(args):
    model = synann_np.load(args.model, args.backend)
    data = load_mnist(args.data_dir)
    images, labels = data[:2] if args.split == "train" else data[2:]
    labels = labels.astype("int64")
    probs = probabilities(model, images)
    classes = probs.shape[1]
    if labels.max() >= classes:
        raise CheckpointError(f"{args.model}: knows {classes} classes, the data have a label {labels.max()}")
    predicted = probs.argmax(axis=1)
    confusion = confusion_matrix(labels, predicted, classes)
    right = int(confusion.trace())
    loss = -np.log(probs[np.arange(len(labels)), labels].clip(1e-300)).mean()
    print(f"{args.split} set: Average loss: {loss:.4f}, Accuracy: {right}/{len(labels)} ({right / len(labels):.2%})")
    print(table(confusion))
    worst = worst_mistakes(labels, probs)
    titles = [f"{labels[n]} → {predicted[n]} ({probs[n, predicted[n]]:.0%})" for n in worst]
    evaluation_picture(confusion, images[worst], titles, args.out)
    print(f"Confusion matrix and worst mistakes: {args.out}")


def table(confusion):
    """The confusion matrix as text, with the accuracy of each class."""
    classes = range(len(confusion))
    lines = ["true \\ predicted " + "".join(f"{k:>6}" for k in classes) + "  accuracy"]
    for k in classes:
        total = confusion[k].sum()
        accuracy = f"{confusion[k, k] / total:>9.2%}" if total else "        –"
        lines.append(f"{k:>16} " + "".join(f"{n:>6}" for n in confusion[k]) + f" {accuracy}")
    return "\n".join(lines)


if __name__ == "__main__":
    end_with_the_reader()
    sys.exit(main())
