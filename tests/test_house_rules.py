"""The rules of the house, executed on the source: who imports whom, who names CuPy, how long a file may be."""

import ast
import functools
import graphlib
import io
import subprocess
import sys
import tokenize
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "synann_np"
SCRIPTS = sorted((ROOT / "scripts").glob("*.py"))
MAX_CODE_LINES = 120


def dotted(path):
    """synann_np/layers/linear.py -> layers.linear; a folder's __init__ is the folder."""
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" and len(parts) > 1 else parts)


FILES = {dotted(path): path for path in sorted(PACKAGE.rglob("*.py"))}

# Which room may import which. A room is a file or folder at the top of the package; inside a folder, imports are free.
GROUND = {"arguments", "backend", "counter_random", "product", "version"}
ENGINE = {"layers", "sequential", "losses", "optim", "gradcheck", "models", "data"}
MAY_IMPORT = {
    "__main__": {"programs"},
    "__init__": GROUND | ENGINE | {"fast", "storage", "train"},
    "arguments": set(),
    "backend": set(),
    "version": set(),
    "counter_random": {"arguments", "backend"},
    "product": {"backend"},
    "data": {"arguments", "backend", "counter_random", "product", "storage"},
    "layers": {"arguments", "backend", "counter_random", "product"},
    "losses": {"arguments", "backend", "layers", "mathematics"},
    "optim": {"arguments", "backend"},
    "gradcheck": {"arguments", "backend"},
    "sequential": {"arguments", "backend", "summary"},
    "summary": set(),
    "models": {"arguments", "backend", "layers", "sequential"},
    "storage": {"arguments", "backend", "layers", "sequential", "version"},
    "training": {"arguments", "backend", "data", "losses", "sequential", "storage"},
    "train": {"arguments", "backend", "data", "losses", "training"},
    "mathematics": {"arguments", "backend", "layers", "storage"},
    "risk": {"mathematics"},
    "bridges": GROUND | ENGINE | {"fast", "storage", "training", "train"},
    "fast": GROUND | ENGINE | {"storage", "training", "train"},
    "distributed": GROUND | ENGINE | {"storage", "training"},
    "playground": GROUND | ENGINE | {"fast", "mathematics", "programs", "storage", "training", "train"},
    "programs": GROUND | ENGINE | {"bridges", "distributed", "fast", "mathematics", "storage", "training", "train"},
}

# Layers do not import each other, except for those made of other layers.
SHARED_BY_LAYERS = {
    "layers.along_axis",
    "layers.base",
    "layers.composed",
    "layers.initializers",
    "layers.logistic",
    "layers.recurrent",
    "layers.standardise",
    "layers.windows",
}
MADE_OF_LAYERS = {"layers", "layers.synapse_rnn", "layers.synapse_tensor"}

# What is not NumPy is imported inside the function that needs it: the library, and which modules may do so.
LAZY = {
    "cupy": {"backend", "fast.cuda.launcher"},
    "cupyx": {"distributed.nccl"},
    "matplotlib": set(FILES),
    "mpi4py": {"distributed.mpi"},
    "PIL": {"data.image_folders", "programs.digits.photo_file"},
    "pooch": {"data.download"},
    "scipy": {"programs.ablation.report"},
    "threadpoolctl": {"fast.tune_process"},
    "torch": {"storage.torch_names"},
    "tqdm": {"programs.evaluate", "programs.runs.log"},
}

# Rooms and bridges that need an extra to be imported at all, and nobody imports them: the libraries of the extra.
EXTRAS = {
    "risk": {"scipy", "sklearn"},
    "bridges.torch": {"torch"},
    "bridges.onnx": {"onnx"},
    "bridges.sklearn": {"sklearn"},
    "bridges.tensorboard": {"tensorboard"},
}

# Modules and folders. The arguments of a program offer it by name.
MAY_NAME_CUPY = {"backend", "distributed.nccl", "fast.cuda", "programs.command_line", "bridges.torch.cuda"}

NAMES_THAT_SAY_NOTHING = {"utils", "util", "common", "core", "misc", "helpers"}


def extra(module):
    """The libraries that a module may import at module level besides NumPy."""
    return next((libraries for place, libraries in EXTRAS.items() if f"{module}.".startswith(f"{place}.")), set())


def for_each(values):
    """Decorator: a rule of one argument becomes one test of all values, which names every one that breaks the rule."""

    def test_of_all(rule):
        @functools.wraps(rule)
        def test():
            broken = []
            for value in values:
                try:
                    rule(value)
                except AssertionError as error:
                    broken.append(f"{value}: {error}")
            assert not broken, "\n".join(broken)

        del test.__wrapped__  # pytest would look there for the arguments
        return test

    return test_of_all


every_file = for_each(FILES)
every_source = for_each([*FILES.values(), *SCRIPTS])


def room(module):
    """The file or folder at the top of the package that a module belongs to."""
    return module.partition(".")[0]


@functools.cache
def parse(path):
    return ast.parse(path.read_text(encoding="utf-8"))


def imports(tree, package):
    """(dotted name, is at module level) of every import; relative ones become synann_np.…

    `from a import b` counts as a.b where that is a file of the package, else as a.
    """
    lazy = {
        id(inner)
        for outer in ast.walk(tree)
        if isinstance(outer, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        for inner in ast.walk(outer)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1] if node.level else []
            base = ".".join([*above, *([node.module] if node.module else [])])
            names = [f"{base}.{alias.name}" for alias in node.names]
            names = [name if name.removeprefix("synann_np.") in FILES else base for name in names]
        else:
            continue
        for name in names:
            yield name, id(node) not in lazy


@functools.cache
def imports_of(module):
    path = FILES[module]
    return list(imports(parse(path), ["synann_np", *path.relative_to(PACKAGE).parts[:-1]]))


def used_by(module):
    """The modules of the package that a module imports."""
    return {name.removeprefix("synann_np.") for name, _ in imports_of(module) if name.startswith("synann_np")}


@every_file
def test_imports_point_one_way(module):
    here = room(module)
    assert here in MAY_IMPORT, f"{here} is a new room: say in MAY_IMPORT of {Path(__file__).name} what it may import"
    wrong = {name for name in used_by(module) if room(name) not in MAY_IMPORT[here] | {here}}
    assert not wrong, f"{module} imports {sorted(wrong)}; {here} may import {sorted(MAY_IMPORT[here])}"


def test_the_rooms_have_no_circle():
    graphlib.TopologicalSorter(MAY_IMPORT).prepare()  # raises CycleError


@for_each([module for module in FILES if room(module) == "layers"])
def test_layers_do_not_import_each_other(module):
    if module in MADE_OF_LAYERS:
        return
    parts = {"layers.synapse_parameters"} if module == "layers.synapse" else set()
    assert {name for name in used_by(module) if room(name) == "layers"} <= SHARED_BY_LAYERS | parts


@every_file
def test_at_module_level_only_numpy_is_imported(module):
    for name, at_module_level in imports_of(module):
        top = name.partition(".")[0]
        if top in sys.stdlib_module_names or top in ("numpy", "synann_np") or top in extra(module):
            continue
        assert not at_module_level, f"{module} imports {name} at module level: import it where it is used"
        assert module in LAZY.get(top, ()), f"{module} imports {name}: LAZY does not allow it"


def test_the_package_does_not_import_scripts_or_tests():
    for module in FILES:
        assert not {name.partition(".")[0] for name, _ in imports_of(module)} & {"scripts", "tests"}


def test_importing_everything_needs_numpy_only():
    """In a fresh interpreter, so that nothing is there already."""
    program = f"""
import sys
sys.path.insert(0, {str(ROOT)!r})
before = set(sys.modules)
import importlib
for name in {[f"synann_np.{name}" for name in FILES if name != "__init__" and not extra(name)]!r}:
    importlib.import_module(name)
tops = {{name.partition(".")[0] for name in set(sys.modules) - before}}
print(*sorted(top for top in tops - sys.stdlib_module_names if not top.startswith("_")))
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["numpy", "synann_np"]


def docstrings(tree):
    """The nodes of all docstrings."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            first = node.body[0] if node.body else None
            if (
                isinstance(first, ast.Expr)
                and isinstance(first.value, ast.Constant)
                and isinstance(first.value.value, str)
            ):
                yield first.value


@functools.cache
def code_tokens(path):
    """The tokens of a file without comments, docstrings and blank lines."""
    source = path.read_text(encoding="utf-8")
    silent = {tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER}
    inside_docstring = {line for node in docstrings(parse(path)) for line in range(node.lineno, node.end_lineno + 1)}
    tokens = tokenize.generate_tokens(io.StringIO(source).readline)
    return [token for token in tokens if token.type not in silent and token.start[0] not in inside_docstring]


@every_file
def test_cupy_is_named_in_the_backend_only(module):
    """Docstrings and comments may speak of it; identifiers, imports and strings may not."""
    if any(module == place or module.startswith(f"{place}.") for place in MAY_NAME_CUPY):
        return
    for token in code_tokens(FILES[module]):
        assert "cupy" not in token.string.lower(), f"{module}, line {token.start[0]}: {token.line}"


@for_each(SCRIPTS)
def test_scripts_do_not_import_cupy(path):
    assert "cupy" not in {name.partition(".")[0] for name, _ in imports(parse(path), [])}


def code_lines(path):
    return len({line for token in code_tokens(path) for line in range(token.start[0], token.end[0] + 1)})


@every_file
def test_a_file_has_few_code_lines(module):
    lines = code_lines(FILES[module])
    assert lines <= MAX_CODE_LINES, f"{module} has {lines} code lines: split it by subject"


def test_code_lines_are_counted_without_docstrings_comments_and_blank_lines(tmp_path):
    path = tmp_path / "example.py"
    path.write_text(
        '"""Two\nlines."""\n\n# comment\nx = [\n    1,  # one\n]\n\n\ndef f():\n    """One."""\n    return """a\nb"""\n'
    )
    assert code_lines(path) == 6


@every_source
def test_every_public_name_has_a_docstring(path):
    tree = parse(path)
    assert ast.get_docstring(tree), f"{path.name} has no docstring"
    if path in SCRIPTS:
        return
    for node in tree.body:
        if isinstance(node, ast.ClassDef | ast.FunctionDef) and not node.name.startswith("_"):
            assert ast.get_docstring(node), f"{path.name}: {node.name} has no docstring"


@every_source
def test_no_advice_installs_this_package_by_name(path):
    """It is in no registry, where a stranger could register the name: advise what works, such as -e '.[risk]'."""
    assert "synann_np[" not in path.read_text(encoding="utf-8")


@every_source
def test_file_names_say_what_is_inside(path):
    assert not NAMES_THAT_SAY_NOTHING & set(path.relative_to(ROOT).with_suffix("").parts)


@for_each([module for module, path in FILES.items() if path.name == "__init__.py"])
def test_an_init_file_holds_names_and_no_logic(module):
    for node in parse(FILES[module]).body:
        assert isinstance(node, ast.Import | ast.ImportFrom | ast.Assign | ast.Expr), f"{module}, line {node.lineno}"


@for_each(sorted({path.parent for path in FILES.values()}))
def test_every_folder_is_a_package_that_says_what_it_is_for(folder):
    assert (folder / "__init__.py").is_file(), f"{folder.name}: setup.cfg would not find it"


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("import numpy as np", [("numpy", True)]),
        ("from .base import Layer", [("synann_np.layers.base", True)]),
        ("from . import base", [("synann_np.layers.base", True)]),
        ("from ..backend import array_module", [("synann_np.backend", True)]),
        ("from .. import backend", [("synann_np.backend", True)]),
        ("from synann_np.layers import Linear", [("synann_np.layers", True)]),
        ("from synann_np import layers", [("synann_np.layers", True)]),
        ("def f():\n    import cupy.cuda", [("cupy.cuda", False)]),
        ("class A:\n    import cupy", [("cupy", True)]),
    ],
)
def test_imports_are_read_in_every_spelling(source, expected):
    assert list(imports(ast.parse(source), ["synann_np", "layers"])) == expected
