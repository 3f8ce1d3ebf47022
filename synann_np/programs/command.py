"""The command `synann`: its first argument chooses a program, and only that program is imported."""

import importlib
import sys
from collections.abc import Sequence
from typing import Any

from ..version import __version__
from .command_line import Parser
from .process import run_program

# Module, relative to the package, with main(argv, prog) -> exit status; what the program does.
PROGRAMS = {
    "train": ("programs.train", "train a network; `synann train --recipe quick` takes seconds"),
    "predict": ("programs.predict", "read photographs of digits"),
    "evaluate": ("programs.evaluate", "accuracy, confusion matrix and worst mistakes of a model"),
    "explain": ("programs.explain", "which synapses decided about an image"),
    "play": ("playground", "draw digits in a browser and watch the network"),
    "export": ("programs.export", "write a model as an ONNX file"),
    "bench": ("programs.bench", "measure against PyTorch (in a clone of the repository)"),
    "compare": ("programs.compare_runs", "accuracies of several runs as a table and a plot"),
    "data": ("programs.show_data", "count and draw the images of a data set"),
    "augment": ("programs.show_augmentation", "draw augmented images"),
}


def main(argv: Sequence[str] | None = None, prog: str = "synann") -> int | None:
    """Run the program that argv[0] names, with the arguments after it. Returns: its exit status."""
    argv = sys.argv[1:] if argv is None else argv
    if not argv or argv[0] not in PROGRAMS:
        return _help(argv, prog)
    name = argv[0]
    module = f"{__package__.partition('.')[0]}.{PROGRAMS[name][0]}"
    try:
        program = importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name is None or not module.startswith(error.name):
            raise
        print(f"{prog} {name}: not part of this version", file=sys.stderr)
        return 2
    return program.main(argv[1:], prog=f"{prog} {name}")


def _help(argv, prog):
    lines = [f"  {name:10} {what}" for name, (_, what) in PROGRAMS.items()]
    parser = Parser("\n".join(["SynaNN, the synaptic neural network. Programs:", "", *lines]), prog)
    parser.add_argument("--version", action="version", version=f"synann_np {__version__}")
    parser.add_argument(
        "program", metavar="PROGRAM", choices=PROGRAMS, help=f"`{prog} PROGRAM --help` shows its options"
    )
    parser.parse_args(argv or ["--help"])


def run() -> Any:
    """The console entry point."""
    return run_program(main)
