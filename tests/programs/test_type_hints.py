"""Public functions have type hints; mypy checks them (pyproject.toml)."""

import ast
from pathlib import Path

PACKAGE = Path(__file__).resolve().parents[2] / "synann_np"
FILES = sorted(path for path in PACKAGE.rglob("*.py") if "fast" not in path.relative_to(PACKAGE).parts)


def public_functions(body, owner=""):
    """(name, node) of functions and methods without a leading underscore, and of constructors."""
    for node in body:
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
            yield from public_functions(node.body, f"{node.name}.")
        elif isinstance(node, ast.FunctionDef) and (not node.name.startswith("_") or node.name == "__init__"):
            yield owner + node.name, node


def test_public_functions_have_type_hints():
    missing, known = [], 0
    for path in FILES:
        file = path.relative_to(PACKAGE).as_posix()
        for name, node in public_functions(ast.parse(path.read_text(encoding="utf-8")).body):
            a = node.args
            arguments = [*a.posonlyargs, *a.args, *a.kwonlyargs, *filter(None, (a.vararg, a.kwarg))]
            lacking = [x.arg for x in arguments if x.annotation is None and x.arg not in ("self", "cls")]
            lacking += ["what it returns"] if node.returns is None else []
            missing += [f"{file}: {name}: {what}" for what in lacking]
            known += 1
    assert not missing
    assert known > 500


def test_the_package_says_that_it_has_type_hints():
    assert (PACKAGE / "py.typed").exists()
    setup = (PACKAGE.parent / "setup.cfg").read_text(encoding="utf-8")
    assert "\nsynann_np = py.typed\n" in setup
