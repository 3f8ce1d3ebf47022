"""The rules of the house, executed on the source: who imports whom, who names CuPy, how long a file may be."""

import ast
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

# Who may import whom, within the package: scripts → train, models → layers, losses, optim, data → backend → numpy.
# A new file needs a line here. "folder.*" stands for every file of a folder but its __init__.
MAY_IMPORT = {
    "__init__": {"backend", "checkpoint", "models", "train", "version"},
    # the ground floor
    "atomic_file": set(),
    "backend": set(),
    "broken_pipe": set(),
    "idx": set(),
    "initializers": set(),
    "logistic": {"backend"},
    "safetensors_file": set(),
    "schedules": set(),
    "version": set(),
    # arrays
    "augment": {"backend", "counter_random"},
    "clipping": {"backend"},
    "counter_random": {"backend"},
    "data": {"backend", "download", "idx"},
    "download": {"idx"},
    "gradcheck": {"backend"},
    "losses": {"backend"},
    "optim": {"backend"},
    # layers know nothing of each other
    "layers": {
        "layers.*",
        "layers.base",
        "layers.rnn",
        "layers.sigmoid",
        "layers.synapse",
        "layers.synapse_rnn",
        "layers.synapse_tensor",
    },
    "layers.*": {"backend", "counter_random", "initializers", "layers.base"},
    "layers.rnn": {"backend", "initializers", "layers.recurrent"},
    "layers.sigmoid": {"layers.base", "logistic"},
    "layers.synapse": {"backend", "layers.base", "layers.synapse_parameters"},
    "layers.synapse_parameters": {"backend", "initializers", "logistic"},
    "layers.synapse_rnn": {"backend", "initializers", "layers.recurrent", "layers.synapse", "logistic"},
    "layers.synapse_tensor": {"backend", "layers.base", "layers.synapse"},  # made of synapse graphs
    "layers.base": {"backend"},
    # the mathematics that is no layer of the network
    "derivative_arrays": {"backend"},
    "odds": {"backend", "synapse_function"},
    "surprisal": {"backend", "derivative_arrays"},
    "synapse_function": {"backend", "derivative_arrays"},
    # what is made of layers
    "check_finite": {"backend", "sequential"},
    "explain": {"layers"},
    "fast": {"fast.*", "fast.c"},
    "fast.cuda": {"fast.cuda.*"},
    "fast.cuda.*": {"fast.cuda.*", "layers", "models", "optim", "sequential", "train", "training_tools"},
    "fast.c": {"fast.c.*"},
    "fast.c.*": {"atomic_file", "fast.c.*"},
    "fast.*": {
        "backend",
        "counter_random",
        "data",
        "fast.*",
        "fast.c.*",
        "fast.cuda.*",
        "layers",
        "layers.base",
        "logistic",
        "sequential",
    },
    "model_config": {"backend", "layers", "safetensors_file", "sequential"},
    "models": {"layers", "sequential"},
    "sequential": {"backend"},
    "torch_names": {"layers"},
    # training and its files
    "checkpoint": {"atomic_file", "backend", "model_config", "safetensors_file", "version"},
    "history": {"train"},
    "train": {"check_finite", "clipping", "data", "losses", "training_tools"},
    "training_tools": {"weight_average"},
    "weight_average": {"safetensors_file"},
    # a run: what stands around training
    "runs": set(),
    "runs.arguments": {"runs.options", "runs.recipes"},
    "runs.folder": {"atomic_file"},
    "runs.comparison": {"history", "train"},
    "runs.history_file": {"history"},
    "runs.identity": {"model_config", "version"},
    "runs.options": {"models", "runs.parts", "runs.recipes", "runs.save_interval"},
    "runs.parts": {"augment", "optim", "schedules", "training_tools", "weight_average"},
    "runs.recipes": set(),
    "runs.save_interval": {"train"},
    "runs.training_state": {"safetensors_file"},
    "runs.saver": {
        "checkpoint",
        "runs.history_file",
        "runs.identity",
        "runs.save_interval",
        "runs.training_state",
        "train",
    },
    "runs.stop_signals": set(),
    # circuits of synapses
    "circuit": {"circuit.builder", "circuit.drawing", "circuit.library", "circuit.simulator", "circuit.training"},
    "circuit.builder": set(),
    "circuit.drawing": {"circuit.layout", "pictures.png_file"},
    "circuit.layout": set(),
    "circuit.library": {"circuit.builder"},
    "circuit.program": {"circuit.builder"},
    "circuit.scatter_add": set(),
    "circuit.simulator": {"backend", "circuit.program", "circuit.scatter_add", "layers.base"},
    "circuit.training": set(),
    # what a trained model is used for
    "digits": set(),
    "digits.classify": {"data", "safetensors_file"},
    "digits.digit_image": {"digits.photo_file"},
    "digits.photo_file": set(),
    # the synapse and what could stand in its place
    "ablation": set(),
    "ablation.published_listing": {"backend", "initializers", "layers"},
    "ablation.report": {"ablation.variants", "pictures.png_file"},
    "ablation.training": {
        "ablation.published_listing",
        "ablation.variants",
        "data",
        "explain",
        "fast",
        "optim",
        "train",
    },
    "ablation.variants": {"ablation.published_listing", "layers", "models", "sequential"},
    # pictures, each of one subject
    "pictures": set(),
    "pictures.*": {"pictures.png_file"},
    "pictures.circuits": {"circuit", "optim", "pictures.png_file"},
    "pictures.png_file": {"atomic_file"},
    "pictures.synapses": {"circuit", "pictures.png_file", "surprisal", "synapse_function"},
    "pictures.training": {"pictures.png_file", "train"},
}

# What is not NumPy is imported inside the function that needs it: the library, and which modules may do so.
LAZY = {
    "cupy": {"backend", "fast.cuda.launcher"},
    "matplotlib": set(FILES),
    "PIL": {"digits.photo_file"},
    "pooch": {"download"},
    "threadpoolctl": {"fast.compile"},
    "torch": {"torch_names"},
}

# Modules and folders. The arguments of a program offer it by name.
MAY_NAME_CUPY = {"backend", "fast.cuda", "runs.options"}

NAMES_THAT_SAY_NOTHING = {"utils", "util", "common", "core", "misc", "helpers"}


every_file = pytest.mark.parametrize("module", FILES)
every_source = pytest.mark.parametrize("path", [*FILES.values(), *SCRIPTS], ids=lambda p: str(p.relative_to(ROOT)))


def rule_of(module):
    """The key of MAY_IMPORT for a module: its own name or that of its folder."""
    folder = module.rpartition(".")[0] + ".*"
    return module if module in MAY_IMPORT else folder


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


def imports_of(module):
    path = FILES[module]
    return list(imports(parse(path), ["synann_np", *path.relative_to(PACKAGE).parts[:-1]]))


@every_file
def test_imports_point_one_way(module):
    rule = rule_of(module)
    assert rule in MAY_IMPORT, f"{module} is new: say in MAY_IMPORT of {Path(__file__).name} what it may import"
    used = {name.removeprefix("synann_np.") for name, _ in imports_of(module) if name.startswith("synann_np")}
    wrong = {name for name in used if not {name, rule_of(name)} & MAY_IMPORT[rule]}
    assert not wrong, f"{module} imports {sorted(wrong)}; it may import {sorted(MAY_IMPORT[rule])}"


def test_the_table_of_imports_has_no_circle():
    graph = {rule: targets - {rule} for rule, targets in MAY_IMPORT.items()}
    graphlib.TopologicalSorter(graph).prepare()  # raises CycleError


@every_file
def test_at_module_level_only_numpy_is_imported(module):
    for name, at_module_level in imports_of(module):
        top = name.partition(".")[0]
        if top in sys.stdlib_module_names or top in ("numpy", "synann_np"):
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
for name in {[f"synann_np.{name}" for name in FILES if name != "__init__"]!r}:
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


def code_tokens(path):
    """The tokens of a file without comments, docstrings and blank lines."""
    source = path.read_text(encoding="utf-8")
    silent = {tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER}
    inside_docstring = {
        line for node in docstrings(ast.parse(source)) for line in range(node.lineno, node.end_lineno + 1)
    }
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type not in silent and token.start[0] not in inside_docstring:
            yield token


@every_file
def test_cupy_is_named_in_the_backend_only(module):
    """Docstrings and comments may speak of it; identifiers, imports and strings may not."""
    if any(module == place or module.startswith(f"{place}.") for place in MAY_NAME_CUPY):
        return
    for token in code_tokens(FILES[module]):
        assert "cupy" not in token.string.lower(), f"{module}, line {token.start[0]}: {token.line}"


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda p: p.name)
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
def test_file_names_say_what_is_inside(path):
    assert not NAMES_THAT_SAY_NOTHING & set(path.relative_to(ROOT).with_suffix("").parts)


@pytest.mark.parametrize("module", [module for module, path in FILES.items() if path.name == "__init__.py"])
def test_an_init_file_holds_names_and_no_logic(module):
    for node in parse(FILES[module]).body:
        assert isinstance(node, ast.Import | ast.ImportFrom | ast.Assign | ast.Expr), f"{module}, line {node.lineno}"


@pytest.mark.parametrize("folder", sorted({path.parent for path in FILES.values()}), ids=lambda p: p.name)
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
