"""The options of `synann train`: their names, their defaults and what each accepts."""

import argparse
import os

from ...distributed.launch import KINDS
from ..command_line import Parser, add_backend, path
from .option_types import augment, count, decay, interval, rate, share, whole
from .parts import NETWORKS, OPTIMIZERS, SCHEDULES
from .recipes import recipe_names

# What the numbers of a run depend on, and what else a resumed run takes over.
HYPERPARAMETERS = (
    "model", "hidden", "shard", "normalize", "batch_size", "test_batch_size", "optimizer", "lr", "momentum", "nesterov",
    "weight_decay", "decay_vectors", "schedule", "warmup", "step_size", "gamma", "label_smoothing", "clip", "ema",
    "augment", "plain_epochs", "seed", "log_interval", "validation", "validation_seed", "engine", "chunks",
)  # fmt: skip
TAKEN_OVER = (
    *HYPERPARAMETERS, "dtype", "backend", "epochs", "patience", "keep", "data_dir", "save_every", "recipe",
    "tensorboard",
)  # fmt: skip
OF_ONE_CALL = ("resume", "overwrite", "accept_changes", "distributed")
SWITCHES = ("normalize", "shard", "nesterov", "decay_vectors")  # --nesterov and --no-nesterov
CHUNKS = 8  # with --distributed mpi or --shard
HIDDEN = ("mlp", "rnn", "tanh_rnn")  # the networks with a hidden layer of any width
# What each optimiser takes where nothing is given.
DEFAULTS = {
    "sgd": {"lr": 0.012, "weight_decay": 0.0},
    "adam": {"lr": 0.001, "weight_decay": 0.0},
    "adamw": {"lr": 0.001, "weight_decay": 0.01},
}


def make_parser(description: str | None, prog: str | None = None, exit_on_error: bool = True) -> Parser:
    """The parser of all options."""
    parser = Parser(description, prog, exit_on_error=exit_on_error)
    recipes = (
        f"settings from a recipe ({', '.join(recipe_names())}) or a .toml file; explicit options override it; "
        "'list' prints all recipes"
    )
    parser.add_argument("--recipe", metavar="NAME", help=recipes)
    _add_training(parser.add_argument_group("training").add_argument)
    run = parser.add_argument_group("the run")
    add_backend(run)
    _add_run(run.add_argument)
    return parser


# fmt: off
def _add_training(add):
    switch = argparse.BooleanOptionalAction
    add("--model", choices=tuple(NETWORKS), default="synann", help="network to train (default: synann)")
    add("--hidden", type=count, metavar="N",
        help="units of the hidden layer of mlp, rnn and tanh_rnn (default: 250, 64, 64)")
    add("--normalize", action=switch, default=False,
        help="measure mean and scale of the training data and save them in the model (default: off)")
    add("--epochs", type=count, default=20, help="passes over the training images (default: 20)")
    add("--batch-size", type=count, default=100, help="training images per step (default: 100)")
    add("--optimizer", choices=tuple(OPTIMIZERS), default="sgd", help="update rule (default: sgd)")
    add("--lr", type=rate, help="learning rate, the peak of the schedule (default: 0.012 for sgd, else 0.001)")
    add("--momentum", type=rate, default=0.5, help="momentum of sgd (default: 0.5)")
    add("--nesterov", action=switch, default=False, help="Nesterov momentum for sgd (default: off)")
    add("--weight-decay", type=rate, help="weight decay (default: 0.01 for adamw, else 0)")
    add("--decay-vectors", action=switch, default=True,
        help="apply weight decay to biases and other vectors too (default: on)")
    add("--schedule", choices=SCHEDULES, default="constant", help="learning-rate schedule (default: constant)")
    add("--warmup", type=rate, default=0.0, metavar="EPOCHS",
        help="warm-up length in epochs (default: 0; one_cycle: 30%% of the run)")
    add("--step-size", type=count, default=10, metavar="EPOCHS",
        help="epochs per step of --schedule step (default: 10)")
    add("--gamma", type=rate, default=0.1, help="learning-rate factor at each step of --schedule step (default: 0.1)")
    add("--label-smoothing", type=share, default=0.0,
        help="probability spread over all classes in the target (default: 0)")
    add("--clip", type=rate, default=0.0, metavar="NORM", help="clip the global gradient norm (default: 0, off)")
    add("--ema", type=decay, default=0.0, metavar="DECAY",
        help="evaluate and save a moving average of the weights, such as 0.999 (default: 0, off)")
    add("--augment", type=augment, default="none",
        help="random deformations, such as shift=2,rotate=10,scale=0.1,elastic=1,erase=4 (default: none)")
    add("--plain-epochs", type=whole, default=0, metavar="N", help="no augmentation in the last N epochs (default: 0)")
    add("--validation", type=whole, default=0, metavar="N",
        help="hold out N training images and monitor those (default: 0, monitor the test set)")
    add("--validation-seed", type=whole, metavar="SEED",
        help="seed of the random choice of those images, the same for every --seed (default: 5)")
    add("--patience", type=whole, default=0, metavar="EPOCHS",
        help="stop after this many epochs without improvement (default: 0, never)")
    add("--keep", choices=("last", "best"), help="weights to test at the end (default: last; with --patience: best)")
    add("--seed", type=whole, default=5, help="seed of weights, order, dropout and augmentation (default: 5)")
    add("--test-batch-size", type=count, default=1000, help="test images per batch of the evaluation (default: 1000)")
    add("--log-interval", type=count, default=100, help="log every N batches (default: 100)")
    add("--data-dir", type=path,
        help="folder of IDX files, of pictures by class, or with a .npz file (default: MNIST)")


def _add_run(add):
    switch = argparse.BooleanOptionalAction
    add("--dtype", choices=("float32", "float64"), default="float32",
        help="type of weights and arithmetic (default: float32)")
    add("--threads", type=count, help="threads of the fast engine; results do not depend on it (default: all cores)")
    add("--distributed", choices=KINDS, default="none",
        help="mpi: split each batch across the processes started by mpiexec (default: none)")
    add("--chunks", type=whole, metavar="C",
        help="parts of a batch, a power of two; with equal chunks, results do not depend on the number of processes "
        "(default: 8 with --distributed mpi or --shard, else 0: undivided)")
    add("--shard", action=switch,
        help="divide the synapse layer of mlp across the processes, for --hidden too large for one (default: off)")
    engine = "plain" if os.environ.get("SYNANN_FAST") == "0" else "fast"
    add("--engine", choices=("fast", "plain"), default=engine,
        help="fast: compiled layers; plain: the readable NumPy layers, slower (default: fast)")
    add("--out", type=path, help="folder for history, models and curves (default: runs/DATE-TIME)")
    add("--tensorboard", type=path, metavar="DIR",
        help="write losses, learning rate and histograms of the synapses for TensorBoard (default: no)")
    add("--overwrite", action="store_true", help="replace the run in --out")
    add("--resume", type=path, nargs="?", const=True, metavar="DIR",
        help="continue the run in DIR (without DIR: in --out)")
    add("--accept-changes", action="store_true", help="resume although settings, data or code have changed")
    add("--save-every", type=interval, default="1", metavar="N",
        help="save every N epochs, or after a time such as 10min (default: 1)")
    add("--stop-if-unsaved", action="store_true", help="stop when a save fails (default: warn and continue)")
    add("--check-finite", action="store_true", help="name the first layer that produces NaN or infinity (slower)")
# fmt: on
