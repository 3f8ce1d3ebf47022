"""From the arguments of a run to its network, its optimiser, its schedule and its tools."""

import argparse
from functools import partial
from typing import Any

from ...backend import BackendLike
from ...data import class_names, shape_and_classes
from ...data.augment import Augment
from ...distributed import ShardedSynapse
from ...models import MODELS, SynaGlobalPool, normalized
from ...optim import SGD, Adam, AdamW
from ...training.schedules import constant, cosine, one_cycle, step_decay, warm_up
from ...training.tools import TrainingTools
from ...training.weight_average import WeightAverage

# global_pool, the largest by a factor of 100, takes more than a day on two cores: no benchmark includes it.
NETWORKS = MODELS | {"global_pool": SynaGlobalPool}
OPTIMIZERS = {"sgd": SGD, "adam": Adam, "adamw": AdamW}
SCHEDULES = ("constant", "step", "cosine", "one_cycle")
STRENGTHS = ("shift", "rotate", "scale", "shear", "elastic", "smoothness", "erase")


def make_model(
    args: argparse.Namespace, backend: BackendLike, data: Any, train_images: Any, comm: Any = None
) -> tuple[Any, Any]:
    """The network of args.model for a data set, as load_dataset gives it, and the number of classes.

    Of pictures in folders by class, the model also gets the names of the classes and the size of the pictures.

    Arguments: comm: Communicator, among whose ranks the synapse layer is divided with args.shard.
    """
    in_shape, classes = shape_and_classes(data)
    options: dict[str, Any] = {"hidden": args.hidden} if args.hidden else {}
    if args.shard:
        options["synapse"] = partial(ShardedSynapse, comm=comm, blocks=args.chunks)
    network: Any = NETWORKS[args.model]
    model = network(args.seed, args.dtype, backend, in_shape=in_shape, classes=classes, **options)
    if args.data_dir and (names := class_names(args.data_dir)):
        model.class_names, model.in_shape = names, in_shape
    return normalized(model, train_images) if args.normalize else model, classes


def make_optimizer(args: argparse.Namespace) -> Any:
    """The optimiser of args.optimizer. Raises: ValueError as its class."""
    options = {"lr": args.lr, "weight_decay": args.weight_decay, "decay_vectors": args.decay_vectors}
    if args.optimizer == "sgd":
        options |= {"momentum": args.momentum, "nesterov": args.nesterov}
    return OPTIMIZERS[args.optimizer](**options)


def make_tools(args: argparse.Namespace, model: Any, batches_per_epoch: Any) -> TrainingTools:
    """TrainingTools of a run that trains `model` by so many batches an epoch."""
    return TrainingTools(
        schedule=make_schedule(args, batches_per_epoch),
        label_smoothing=args.label_smoothing,
        max_norm=args.clip or None,
        average=WeightAverage(model, args.ema) if args.ema else None,
        augment=make_augment(args, batches_per_epoch),
    )


def make_augment(args: argparse.Namespace, batches_per_epoch: Any) -> Any:
    """Function of (images, step, first_row=0) for TrainingTools, or None.

    It leaves the last plain_epochs alone. An image that was turned or shifted was interpolated, and is a little
    blurred: a network that never sees a sharp one is less sure of them than of blurred ones.
    """
    augment, last = to_augment(args.augment, args.seed), (args.epochs - args.plain_epochs) * batches_per_epoch
    if augment is None or not args.plain_epochs:
        return augment
    return lambda images, step, first_row=0: augment(images, step, first_row) if step < last else images


def make_schedule(args: argparse.Namespace, batches_per_epoch: Any) -> Any:
    """Function of the step -> learning rate; None if it is always the same."""
    total, rise = args.epochs * batches_per_epoch, round(args.warmup * batches_per_epoch)
    if args.schedule == "one_cycle":  # whose rise is a warm-up
        return one_cycle(args.lr, total, rise / total) if rise else one_cycle(args.lr, total)
    if args.schedule == "constant" and not rise:
        return None
    after = {
        "constant": lambda: constant(args.lr),
        "step": lambda: step_decay(args.lr, args.step_size * batches_per_epoch, args.gamma),
        "cosine": lambda: cosine(args.lr, max(total - rise, 1)),
    }
    return warm_up(after[args.schedule](), rise)


def schedule_epochs(args: argparse.Namespace) -> Any:
    """The epochs that schedule or augmentation depend on, None if they do not: a run may then be continued for more."""
    plain = args.plain_epochs and args.augment != "none"
    return args.epochs if plain or args.schedule in ("cosine", "one_cycle") else None


def to_augment(text: str, seed: int = 0) -> Augment | None:
    """Augment from "shift=2,rotate=10"; None from "none". Raises: ValueError for anything else."""
    if text == "none":
        return None
    strengths: dict[str, Any] = {}
    for part in text.split(","):
        name, _, value = part.partition("=")
        if name not in STRENGTHS or name in strengths:
            raise ValueError(f"expected none, or {'=, '.join(STRENGTHS)}=, each once, got {part:.40}")
        try:
            strengths[name] = float(value)
        except ValueError:
            raise ValueError(f"expected a number for {name}, got {value:.40}") from None
    return Augment(seed, **strengths)
