"""The command line of train_mnist.py: what it accepts, and what a resumed run takes over from run.json."""

import argparse
import json
import math
import os
import sys
from pathlib import Path

from .save_interval import Interval

# What the numbers of a run depend on, and what a resumed run takes over beside them.
HYPERPARAMETERS = (
    "batch_size", "test_batch_size", "lr", "momentum", "seed", "log_interval", "validation", "engine", "threads",
)  # fmt: skip
TAKEN_OVER = (*HYPERPARAMETERS, "dtype", "backend", "epochs", "data_dir", "save_every")


def parse_arguments(argv, description):
    """The arguments as a namespace. With --resume, `out` is the folder, and settings that were not given are the
    run's own. Wrong ones end the process with a line and exit code 2, as argparse does it.
    """
    argv = sys.argv[1:] if argv is None else argv
    parser = _parser(description)
    args = parser.parse_args(argv)
    if args.resume is None:
        return args
    folder = args.out if args.resume is True else args.resume
    if folder is not None and folder.name == "last.safetensors":
        folder = folder.parent
    if folder is None or (args.out or folder) != folder:
        parser.error("argument --resume: name the folder of the run once, as --resume DIR or as --out DIR --resume")
    try:
        settings = _read_settings(folder)
    except (OSError, ValueError, RecursionError) as error:
        parser.error(f"argument --resume: {folder / 'run.json'} cannot be read ({error}); start a new run")
    # Settings of the run come first, so that those given now replace them.
    taken_over = [f"--{key.replace('_', '-')}={value}" for key, value in settings.items()]
    return parser.parse_args([*taken_over, *argv, f"--out={folder}"])


def to_json(args, **more):
    """The content of run.json: every argument, and more."""
    settings = {key: str(value.resolve()) if isinstance(value, Path) else value for key, value in vars(args).items()}
    for key in ("resume", "overwrite", "accept_changes"):
        del settings[key]  # of this call, not of the run
    return json.dumps(settings | more, indent=2) + "\n"


def to_interval(text):
    """Epochs or minutes: "3" -> every 3 epochs, "10min" -> every 10 minutes."""
    if text.endswith("min"):
        return Interval(None, _rate(text.removesuffix("min")))
    return Interval(_count(text))


def _parser(description):
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--backend", choices=("numpy", "cupy", "auto"), default="numpy", help="where to compute (numpy)")
    add("--dtype", choices=("float32", "float64"), default="float32", help="of weights and arithmetic (float32)")
    add("--epochs", type=_count, default=20, help="times through the training images (20)")
    add("--batch-size", type=_count, default=100, help="training images of one step (100)")
    add("--test-batch-size", type=_count, default=1000, help="test images evaluated at a time (1000)")
    add("--lr", type=_rate, default=0.012, help="learning rate (0.012)")
    add("--momentum", type=_rate, default=0.5, help="momentum of SGD (0.5)")
    add("--seed", type=_seed, default=5, help="of weights, order of the images and dropout (5)")
    add("--log-interval", type=_count, default=100, help="batches between two lines of the log (100)")
    add("--validation", type=_count, metavar="N", help="hold out N training images and evaluate on them each epoch")
    add("--threads", type=_count, help="threads of the fast path (all cores); part of what makes a run repeatable")
    engine = "plain" if os.environ.get("SYNANN_FAST") == "0" else "fast"
    add("--engine", choices=("fast", "plain"), default=engine, help="plain: the layers as they are read; slower (fast)")
    add("--data-dir", type=Path, help="folder with four files in MNIST's format (the repository's MNIST)")
    add("--out", type=Path, help="folder of history, checkpoints and curves (runs/ and the time of day)")
    add("--overwrite", action="store_true", help="replace the run that --out holds already")
    add("--resume", type=Path, nargs="?", const=True, metavar="DIR", help="continue the run in DIR, or in --out")
    add("--accept-changes", action="store_true", help="resume although settings, data or code differ")
    add("--save-every", type=_interval, default="1", metavar="N", help="epochs between saves, or minutes: 10min (1)")
    add("--stop-if-unsaved", action="store_true", help="stop when a save fails (otherwise warn and train on)")
    add("--check-finite", action="store_true", help="name the first layer that makes NaN or infinity (slower)")
    return parser


def _read_settings(folder):
    if not (folder / "run.json").exists():
        return {}  # killed before it was written, or no run at all, which RunFolder refuses
    settings = json.loads((folder / "run.json").read_text(encoding="utf-8"))
    if not isinstance(settings, dict):
        raise ValueError("no JSON object")
    return {key: settings[key] for key in TAKEN_OVER if settings.get(key) is not None}


def _count(text):
    return _at_least(1, int, text)


def _seed(text):
    return _at_least(0, int, text)


def _rate(text):
    return _at_least(0, float, text)


def _at_least(least, kind, text):
    try:
        number = kind(text)
    except ValueError:
        number = math.nan
    if not least <= number < math.inf:  # false for NaN too
        what = "whole number" if kind is int else "finite number"
        raise argparse.ArgumentTypeError(f"expected {least} or more and a {what}, got {text:.40}")
    return number


def _interval(text):
    to_interval(text)  # checked here, but kept as text: so it goes into run.json and comes back
    return text
