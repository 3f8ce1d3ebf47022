"""Recipes: named sets of arguments in TOML files, key = name of the argument with underscores."""

import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ...storage.regular_file import read_text

FOLDER = Path(__file__).resolve().parents[1] / "recipes"


class RecipeError(ValueError):
    """There is no such recipe, or it cannot be used. The message is one line: which file, which key, why."""


def recipe_names() -> list[Any]:
    """The recipes of the package, sorted."""
    return sorted(path.stem for path in FOLDER.glob("*.toml"))


def recipe_lines() -> Iterator[Any]:
    """A line on each recipe: its name and the comment that its file begins with."""
    for name in recipe_names():
        yield f"{name}: {_path_of(name).read_text(encoding='utf-8').partition(chr(10))[0].lstrip('# ')}"


def read_recipe(name: str) -> tuple[Any, Any]:
    """The settings of a recipe, not yet checked.

    Arguments: name: of a recipe of the package, or a file whose name ends in .toml.

    Returns: path, dict key -> TOML value. Raises: RecipeError.
    """
    path = _path_of(name)
    try:
        return path, tomllib.loads(read_text(path))
    except (OSError, ValueError, RecursionError) as error:
        reason = getattr(error, "strerror", None) or " ".join(str(error)[:100].split())
        raise RecipeError(f"{path}: cannot be read ({reason})") from error


def _path_of(name):
    if name.endswith(".toml"):
        return Path(name)
    if name not in recipe_names():
        raise RecipeError(f"no recipe {name:.40}: choose one of {', '.join(recipe_names())}, or give a .toml file")
    return FOLDER / f"{name}.toml"
