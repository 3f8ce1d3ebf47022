"""The options of train_mnist.py: their names, defaults and what each accepts."""

import argparse
import math
import os

from ...distributed.launch import KINDS
from ...models import MODELS
from ..command_line import Parser, add_backend, path
from .parts import OPTIMIZERS, SCHEDULES, to_augment
from .recipes import recipe_names
from .save_interval import to_interval

# What the numbers of a run depend on, and what a resumed run takes over beside them.
HYPERPARAMETERS = (
    "model", "batch_size", "test_batch_size", "optimizer", "lr", "momentum", "nesterov", "weight_decay",
    "decay_vectors", "schedule", "warmup", "step_size", "gamma", "label_smoothing", "clip", "ema", "augment",
    "plain_epochs", "seed", "log_interval", "validation", "engine", "chunks",
)  # fmt: skip
TAKEN_OVER = (
    *HYPERPARAMETERS, "dtype", "backend", "epochs", "patience", "keep", "data_dir", "save_every", "recipe",
)  # fmt: skip
OF_ONE_CALL = ("resume", "overwrite", "accept_changes", "distributed")
SWITCHES = ("nesterov", "decay_vectors")  # --nesterov and --no-nesterov
CHUNKS = 8  # with --distributed mpi
# What each optimiser takes where nothing is given.
DEFAULTS = {
    "sgd": {"lr": 0.012, "weight_decay": 0.0},
    "adam": {"lr": 0.001, "weight_decay": 0.0},
    "adamw": {"lr": 0.001, "weight_decay": 0.01},
}


def make_parser(description, prog=None, exit_on_error=True):
    """The parser of all options."""
    parser = Parser(description, prog, exit_on_error=exit_on_error)
    recipes = f"settings from a file: {', '.join(recipe_names())}, or a .toml file; what is given here wins; list: tell"
    parser.add_argument("--recipe", metavar="NAME", help=recipes)
    _add_training(parser.add_argument_group("training").add_argument)
    run = parser.add_argument_group("the run")
    add_backend(run)
    _add_run(run.add_argument)
    return parser


def _add_training(add):
    switch = argparse.BooleanOptionalAction
    add("--model", choices=tuple(MODELS), default="synann", help="the network (synann)")
    add("--epochs", type=_count, default=20, help="times through the training images (20)")
    add("--batch-size", type=_count, default=100, help="training images of one step (100)")
    add("--optimizer", choices=tuple(OPTIMIZERS), default="sgd", help="rule of the updates (sgd)")
    add("--lr", type=_rate, help="learning rate, the highest of the schedule (sgd 0.012, adam and adamw 0.001)")
    add("--momentum", type=_rate, default=0.5, help="of sgd (0.5)")
    add("--nesterov", action=switch, default=False, help="sgd looks ahead by one momentum step")
    add("--weight-decay", type=_rate, help="pull of the weights towards 0 (adamw 0.01, others 0)")
    add("--decay-vectors", action=switch, default=True, help="weight decay of biases and other vectors too")
    add("--schedule", choices=SCHEDULES, default="constant", help="course of the learning rate (constant)")
    add("--warmup", type=_rate, default=0.0, metavar="EPOCHS", help="of linear rise; one_cycle: of its rise (0: 30%%)")
    add("--step-size", type=_count, default=10, metavar="EPOCHS", help="between two steps of --schedule step (10)")
    add("--gamma", type=_rate, default=0.1, help="factor of each of these steps (0.1)")
    add("--label-smoothing", type=_share, default=0.0, help="share of the target spread over all classes (0)")
    add("--clip", type=_rate, default=0.0, metavar="NORM", help="largest norm of all gradients together (0: any)")
    add("--ema", type=_decay, default=0.0, metavar="DECAY", help="evaluate and save a moving average: 0.999 (0: none)")
    add("--augment", type=_augment, default="none", help="strengths, as shift=2,rotate=10,scale=0.1,elastic=1 (none)")
    add("--plain-epochs", type=_whole, default=0, metavar="N", help="the last, whose images are not augmented (0)")
    add("--validation", type=_whole, default=0, metavar="N", help="hold out N training images and watch them instead")
    add("--patience", type=_whole, default=0, metavar="EPOCHS", help="without a better one before stopping (0: never)")
    add("--keep", choices=("last", "best"), help="weights tested at the end (last; with --patience best)")
    add("--seed", type=_whole, default=5, help="of weights, order of the images, dropout and augmentation (5)")
    add("--test-batch-size", type=_count, default=1000, help="test images evaluated at a time (1000)")
    add("--log-interval", type=_count, default=100, help="batches between two lines of the log (100)")
    add("--data-dir", type=path, help="folder with four files in MNIST's format (the repository's MNIST)")


def _add_run(add):
    add("--dtype", choices=("float32", "float64"), default="float32", help="of weights and arithmetic (float32)")
    add("--threads", type=_count, help="threads of the fast engine (default: all cores); results do not depend on it")
    add(
        "--distributed",
        choices=KINDS,
        default="none",
        help="mpi: a batch is divided among the processes of mpiexec (none)",
    )
    chunks = "parts of a batch, a power of two; results do not depend on the processes (with mpi 8; else 0: whole)"
    add("--chunks", type=_whole, metavar="C", help=chunks)
    engine = "plain" if os.environ.get("SYNANN_FAST") == "0" else "fast"
    add(
        "--engine",
        choices=("fast", "plain"),
        default=engine,
        help="fast: compiled layers; plain: the readable NumPy layers, slower (default: fast)",
    )
    add("--out", type=path, help="folder of history, checkpoints and curves (runs/ and the time of day)")
    add("--overwrite", action="store_true", help="replace the run that --out holds already")
    add("--resume", type=path, nargs="?", const=True, metavar="DIR", help="continue the run in DIR, or in --out")
    add("--accept-changes", action="store_true", help="resume although settings, data or code differ")
    add("--save-every", type=_interval, default="1", metavar="N", help="epochs between saves, or minutes: 10min (1)")
    add("--stop-if-unsaved", action="store_true", help="stop when a save fails (otherwise warn and train on)")
    add("--check-finite", action="store_true", help="name the first layer that makes NaN or infinity (slower)")


def _count(text):
    return _at_least(1, int, text)


def _whole(text):
    return _at_least(0, int, text)


def _rate(text):
    return _at_least(0, float, text)


def _share(text):
    return _below(_rate(text), text, "at most 1", lambda value: value <= 1)


def _decay(text):
    return _below(_rate(text), text, "less than 1", lambda value: value < 1)


def _at_least(least, kind, text):
    try:
        number = kind(text)
    except ValueError:
        number = math.nan
    if not least <= number < math.inf:  # false for NaN too
        what = "whole number" if kind is int else "finite number"
        raise argparse.ArgumentTypeError(f"expected {least} or more and a {what}, got {text:.40}")
    return number


def _below(value, text, words, fits):
    if not fits(value):
        raise argparse.ArgumentTypeError(f"expected {words}, got {text:.40}")
    return value


def _interval(text):
    return _checked(to_interval, text)


def _augment(text):
    return _checked(to_augment, text)


def _checked(read, text):
    """The text as it is, once it could be read: so it goes into run.json and comes back."""
    try:
        read(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error
    return text
