"""A matplotlib figure as a PNG file that is there whole or not at all. No display is needed: never pyplot."""

import io
import os
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from os import PathLike
from typing import Any

from .atomic_file import write_atomically


@contextmanager
def own_settings() -> Iterator[Any]:
    """matplotlib as it comes, whatever the user's matplotlibrc, style or MPLBACKEND say. Afterwards theirs are back.

    A notebook exports the MPLBACKEND of its kernel to every program that it starts, and with a backend that is not
    installed matplotlib cannot even be imported. As a decorator, `@own_settings()`, of functions that draw.
    """
    first = "matplotlib" not in sys.modules
    backend = os.environ.pop("MPLBACKEND", None)
    try:
        import matplotlib
    finally:
        if backend is not None:
            os.environ["MPLBACKEND"] = backend
    if first and backend is not None:
        with suppress(ValueError):  # not installed
            matplotlib.rcParams["backend"] = backend
    defaults: Any = {key: value for key, value in dict.items(matplotlib.rcParamsDefault) if key != "backend"}
    with matplotlib.rc_context(defaults), warnings.catch_warnings():
        warnings.filterwarnings("ignore", r"Glyph .* missing from")  # a name in letters that the font does not have
        yield


def drawable(text: str) -> str:
    """Text from outside, such as a file name, as a picture can show it: what is not valid text becomes an escape.

    Draw it with parse_math=False, since a dollar sign would begin a formula.
    """
    valid = str(text).encode("utf-8", "backslashreplace").decode()
    return "".join(c if c.isprintable() or c == "\n" else c.encode("unicode_escape").decode() for c in valid)


def write_png(figure: Any, path: str | PathLike, dpi: int = 120) -> None:
    """Replace the file `path` by a picture of the figure. Raises: OSError if it cannot be written."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    FigureCanvasAgg(figure)
    content = io.BytesIO()
    figure.savefig(content, format="png", dpi=dpi)
    write_atomically(path, content.getvalue())
