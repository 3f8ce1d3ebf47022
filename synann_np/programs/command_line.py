"""How programs read their arguments: errors of one line, paths as a shell would read them."""

import argparse
from pathlib import Path
from typing import Any, NoReturn


class Parser(argparse.ArgumentParser):
    """An ArgumentParser whose description keeps its lines, and whose errors are one line.

    Arguments: description: the text of --help. prog: what the program is called. Others as ArgumentParser.
    """

    def __init__(self, description: str | None, prog: str | None = None, **options: Any) -> None:
        formatter = argparse.RawDescriptionHelpFormatter
        super().__init__(prog=prog, description=description, formatter_class=formatter, **options)

    def error(self, message: str) -> NoReturn:
        """End the process with exit status 2."""
        self.exit(2, f"{self.prog}: {message} (--help lists the options)\n")


def add_backend(parser: Any) -> None:
    """Add --backend to a parser."""
    choices = ("numpy", "cupy", "auto")
    parser.add_argument("--backend", choices=choices, default="numpy", help="where to compute (default: numpy)")


def path(text: str) -> Path:
    """The type of an argument: a pathlib.Path. ~ is the home directory also where the shell leaves it, as in --out=~/x.

    Raises: argparse.ArgumentTypeError for an empty text, which would be the current folder.
    """
    if not text.strip():
        raise argparse.ArgumentTypeError("expected a path, got an empty text")
    try:
        return Path(text).expanduser()
    except RuntimeError:  # no such user: a name that begins with ~
        return Path(text)


def png_path(text: str) -> Path:
    """The type of an argument: the path of a picture to write, which is always a PNG file."""
    found = path(text)
    if found.suffix.lower() != ".png":
        raise argparse.ArgumentTypeError(f"expected a file name that ends in .png, got {text!r:.80}")
    return found
