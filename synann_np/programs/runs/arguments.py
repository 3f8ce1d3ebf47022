"""The command line of train_mnist.py: recipes, what a resumed run takes over from run.json, what fits together."""

import argparse
import json
import sys
import textwrap
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from ...storage.regular_file import read_text
from .options import CHUNKS, DEFAULTS, HIDDEN, HYPERPARAMETERS, OF_ONE_CALL, SWITCHES, TAKEN_OVER, make_parser
from .parts import schedule_epochs
from .recipes import RecipeError, read_recipe, recipe_lines


def parse_arguments(argv: Sequence[str] | None, description: str | None, prog: str | None = None) -> argparse.Namespace:
    """The arguments as a namespace. Settings that are not given are those of --recipe, or with --resume the run's own,
    and `out` is then its folder. Wrong ones end the process with a line and exit code 2, as argparse does it.
    """
    argv = sys.argv[1:] if argv is None else argv
    parser = make_parser(description, prog)
    args = parser.parse_args(argv)
    if args.recipe == "list":
        print("\n".join(recipe_lines()))
        parser.exit()
    if args.recipe is not None:
        if args.resume is not None:
            parser.error("argument --recipe: not with --resume: the run has its settings")
        # The recipe's settings come first, so that those given now replace them. So do the run's.
        args = parser.parse_args([*_words_of_recipe(args.recipe, parser), *argv])
    elif args.resume is not None:
        folder = _folder_to_resume(args, parser)
        args = parser.parse_args([*_words_of_run(folder, parser), *argv, f"--out={folder}"])
    return _completed(args, parser)


def to_json(args: argparse.Namespace, **more: Any) -> str:
    """The content of run.json: every argument, and more."""
    settings = {key: str(value.resolve()) if isinstance(value, Path) else value for key, value in vars(args).items()}
    for key in OF_ONE_CALL:
        del settings[key]
    return json.dumps(settings | more, indent=2) + "\n"


def settings_of_identity(args: argparse.Namespace) -> dict[str, Any]:
    """What the numbers of a run depend on, dict name -> value: a run is continued only with the same."""
    return {key: getattr(args, key) for key in HYPERPARAMETERS} | {"schedule_epochs": schedule_epochs(args)}


def describe_settings(args: argparse.Namespace) -> Iterator[str]:
    """Lines that tell the recipe and every setting."""
    if args.recipe is not None:
        yield f"Recipe: {args.recipe}"
    settings = [f"{key}={getattr(args, key)}" for key in TAKEN_OVER if key != "recipe"]
    yield textwrap.fill(f"Settings: {' '.join(settings)}", 110, subsequent_indent="  ", break_long_words=False)


def describe_classes(names: Sequence[str] | None) -> Iterator[str]:
    """A line with the numbers and names of the classes, if they have names."""
    if names:
        yield " ".join(["Classes:", *(f"{k} {name}" for k, name in enumerate(names))])


def _completed(args, parser):
    """With the defaults that depend on other arguments. What does not fit together is refused."""
    for key, value in DEFAULTS[args.optimizer].items():
        if getattr(args, key) is None:
            setattr(args, key, value)
    args.keep = args.keep or ("best" if args.patience else "last")
    if not args.validation and (args.patience or args.keep == "best"):
        parser.error("argument --patience, --keep best: need --validation N, since the test set must not choose")
    if not args.validation and args.validation_seed is not None:
        parser.error("argument --validation-seed: needs --validation N")
    if args.chunks is None:
        args.chunks = CHUNKS if args.distributed == "mpi" or args.shard else 0
    if args.hidden and args.model not in HIDDEN:
        parser.error(f"argument --hidden: not with --model {args.model}, which has no such layer")
    if args.shard:
        _check_shard(args, parser)
    if args.chunks and args.check_finite:
        parser.error("argument --check-finite: not with --chunks; search in one process, with --chunks 0")
    if args.nesterov and (args.optimizer != "sgd" or not args.momentum):
        parser.error("argument --nesterov: needs --optimizer sgd and a --momentum above 0")
    if args.warmup >= args.epochs:
        parser.error(f"argument --warmup: {args.warmup:g} epochs leave nothing of --epochs {args.epochs}")
    return args


def _check_shard(args, parser):
    args.stop_if_unsaved = True  # a state of which each rank has a part is not kept for another try
    if args.model != "mlp" or not args.hidden:
        parser.error("argument --shard: needs --model mlp and --hidden N")
    if not args.chunks or args.hidden % args.chunks:
        parser.error(f"argument --shard: --hidden must be a multiple of --chunks, got {args.hidden} and {args.chunks}")
    if args.tensorboard:
        parser.error("argument --tensorboard: not with --shard: no process has all weights")


def _words(key, value):
    """A setting as it is given on a command line."""
    if key in SWITCHES and isinstance(value, bool):
        return f"--{'' if value else 'no-'}{key.replace('_', '-')}"
    return f"--{key.replace('_', '-')}={value}"


def _words_of_recipe(name, parser):
    checker = make_parser("", None, exit_on_error=False)
    known = vars(checker.parse_args([])).keys() - {"recipe", "out", *OF_ONE_CALL}
    try:
        path, settings = read_recipe(name)
        for key, value in settings.items():
            if key not in known:
                raise RecipeError(f"{path}: {key:.40} is not a setting; --help lists them, here with _ for -")
            if not isinstance(value, str | int | float):
                raise RecipeError(f"{path}: {key}: expected a number, a text, true or false, got {value!s:.40}")
            try:
                checker.parse_args([_words(key, value)])
            except argparse.ArgumentError as error:
                raise RecipeError(f"{path}: {key}: {error.message}") from error
    except RecipeError as error:
        parser.error(f"argument --recipe: {error}")
    return [_words(key, value) for key, value in settings.items()]


def _folder_to_resume(args, parser):
    folder = args.out if args.resume is True else args.resume
    if folder is not None and folder.name == "last.safetensors":
        folder = folder.parent
    if folder is None or (args.out or folder) != folder:
        parser.error("argument --resume: name the folder of the run once, as --resume DIR or as --out DIR --resume")
    return folder


def _words_of_run(folder, parser):
    if not folder.is_dir():
        return []  # RunFolder refuses it
    if not (folder / "run.json").exists():
        parser.error(f"argument --resume: {folder} has no run.json, so its settings are not known; start a new run")
    try:
        settings = json.loads(read_text(folder / "run.json"))
        if not isinstance(settings, dict):
            raise ValueError("not a JSON object")
    except (OSError, ValueError, RecursionError) as error:
        parser.error(f"argument --resume: {folder / 'run.json'} cannot be read ({error}); start a new run")
    return [_words(key, settings[key]) for key in TAKEN_OVER if settings.get(key) is not None]
