"""The programs of examples/ run, learn what they should, and need public names only."""

import ast
import re
import runpy
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[2]

# program: what it prints about its accuracy, and the least that it must reach, in %
LEAST = {
    "breast_cancer": (r"test: loss .* accuracy ([\d.]+)%", 93),
    "wine": (r"test: accuracy ([\d.]+)%", 90),
    "colour_images": (r"epoch 6: accuracy ([\d.]+)%", 85),
    "digits_8x8": (r"epoch 15: .* accuracy ([\d.]+)%", 95),
}
every_program = pytest.mark.parametrize("name", LEAST)


@every_program
def test_a_program_learns_saves_loads_and_predicts(name, tmp_path, monkeypatch, capsys):
    pytest.importorskip("sklearn")
    monkeypatch.chdir(tmp_path)
    with np.errstate(all="warn", under="ignore"):  # as users have it, but for warnings, which are errors
        runpy.run_path(str(ROOT / "examples" / f"{name}.py"), run_name="__main__")
    pattern, least = LEAST[name]
    out = capsys.readouterr().out
    assert float(re.search(pattern, out)[1]) >= least, out
    assert [path.name for path in tmp_path.iterdir()] == [f"{name}.safetensors"]


@every_program
def test_a_program_imports_no_private_name_and_is_short(name):
    source = (ROOT / "examples" / f"{name}.py").read_text(encoding="utf-8")
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Attribute):
            assert not node.attr.startswith("_"), node.attr
        if isinstance(node, ast.ImportFrom):
            assert not any(part.startswith("_") for part in node.module.split("."))
            assert not any(alias.name.startswith("_") for alias in node.names)
    assert len(source.splitlines()) < 80
