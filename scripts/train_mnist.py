"""Train SynaNN on MNIST, or on any data set in its format.

python scripts/train_mnist.py                        20 epochs on the data of the repository
python scripts/train_mnist.py --backend cupy         on an NVIDIA GPU
python scripts/train_mnist.py --epochs 200           the published run
"""

import argparse
import json
import math
import sys
import time
from datetime import datetime
from pathlib import Path

import numpy as np
from tqdm import tqdm

import synann_np
from synann_np.backend import BackendError, get_backend
from synann_np.data import DataError, load_mnist, split_validation
from synann_np.history import to_line
from synann_np.models import SynaNN
from synann_np.optim import SGD
from synann_np.plot import training_curves
from synann_np.train import EvalRecord, NonFiniteLoss, at_chance, evaluate, fit

CHANCE_WARNING = """\
Warning: the accuracy is still at chance after one epoch. The usual causes: a learning rate that is too high (all relus
dead) or far too low, images and labels that do not belong together, or data that are not scaled like MNIST."""


def parse_arguments(argv):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--backend", choices=("numpy", "cupy", "auto"), default="numpy", help="where to compute (numpy)")
    add("--epochs", type=count, default=20, help="times through the training images (20)")
    add("--batch-size", type=count, default=100, help="training images of one step (100)")
    add("--test-batch-size", type=count, default=1000, help="test images evaluated at a time (1000)")
    add("--lr", type=rate, default=0.012, help="learning rate (0.012)")
    add("--momentum", type=rate, default=0.5, help="momentum of SGD (0.5)")
    add("--seed", type=int, default=5, help="of weights, order of the images and dropout (5)")
    add("--log-interval", type=count, default=100, help="batches between two lines of the log (100)")
    add("--validation", type=count, metavar="N", help="hold out N training images and evaluate on them each epoch")
    add("--data-dir", type=Path, help="folder with four files in MNIST's format (the repository's MNIST)")
    add("--out", type=Path, help="folder for history and curves (runs/ and the time of day)")
    return parser.parse_args(argv)


def count(text):
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"expected 1 or more, got {text}")
    return number


def rate(text):
    number = float(text)
    if not (math.isfinite(number) and number >= 0):
        raise argparse.ArgumentTypeError(f"expected a finite number, 0 or more, got {text}")
    return number


def train(args):
    backend = get_backend(args.backend)
    train_images, train_labels, test_images, test_labels = load_mnist(args.data_dir)
    train_set, test_set, test_name = (train_images, train_labels), (test_images, test_labels), "Test"
    watched = test_set
    if args.validation:
        train_set, watched = split_validation(*train_set, args.validation)
        test_name = "Validation"
    if len(train_set[0]) % args.batch_size == 1:
        raise DataError(
            f"the last of the batches would hold one image, of which batch-norm can take no variance: "
            f"choose a --batch-size that does not leave 1 of {len(train_set[0])}"
        )
    model = SynaNN(args.seed, backend=backend)
    optimizer = SGD(args.lr, args.momentum)
    out = args.out or Path("runs") / datetime.now().strftime("%Y%m%d-%H%M%S")
    out.mkdir(parents=True, exist_ok=True)
    settings = {k: str(v) if isinstance(v, Path) else v for k, v in vars(args).items()}
    versions = {"synann_np": synann_np.__version__, "numpy": np.__version__, "backend": backend.name}
    (out / "run.json").write_text(json.dumps(settings | versions, indent=2) + "\n")

    records = []
    batches_per_epoch = math.ceil(len(train_set[0]) / args.batch_size)
    run = fit(
        model, optimizer, train_set, watched, args.epochs, batch_size=args.batch_size,
        test_batch_size=args.test_batch_size, seed=args.seed, log_interval=args.log_interval,
    )  # fmt: skip
    with (
        open(out / "history.jsonl", "w") as history,
        tqdm(total=args.epochs * batches_per_epoch, unit="batch", disable=None, leave=False) as bar,
    ):
        started = time.perf_counter()
        for record in run:
            records.append(record)
            history.write(to_line(record))
            history.flush()
            bar.update(record.step - bar.n)
            for line in describe(record, test_name):
                tqdm.write(line, file=sys.stdout)
            if isinstance(record, EvalRecord):
                tqdm.write(time_left(time.perf_counter() - started, record.epoch, args.epochs), file=sys.stdout)
                if record.epoch == 1 and at_chance(record):
                    tqdm.write(CHANCE_WARNING, file=sys.stderr)
            sys.stdout.flush()

    if args.validation:
        loss, correct = evaluate(model, backend.asarray(test_images), backend.asarray(test_labels, "int64"))
        print("\n".join(describe(EvalRecord(args.epochs, 0, loss, correct, len(test_images)), "Test")))
    training_curves(records, out / "curves.png", title=f"SynaNN on {args.data_dir or 'MNIST'}, seed {args.seed}")
    print(f"History and curves: {out}")


def describe(record, test_name):
    """The lines of the published log."""
    if isinstance(record, EvalRecord):
        yield (
            f"\n{test_name} set: Average loss: {record.loss:.4f}, "
            f"Accuracy: {record.correct}/{record.total} ({record.accuracy:.2%})\n"
        )
    else:
        share = f"{record.seen}/{record.total} ({record.seen / record.total:.0%})"
        yield f"Train Epoch: {record.epoch} [{share}]\tLoss: {record.loss:.6f}"


def time_left(seconds, epoch, epochs):
    left = seconds / epoch * (epochs - epoch)
    return f"Epoch {epoch} of {epochs}: {seconds / epoch:.1f} s an epoch, about {left / 60:.1f} min left"


def main(argv=None):
    args = parse_arguments(argv)
    try:
        train(args)
    except (DataError, BackendError, OSError) as error:
        print(f"train_mnist: {error}", file=sys.stderr)
        return 2
    except NonFiniteLoss as error:
        print(f"train_mnist: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("train_mnist: interrupted", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
