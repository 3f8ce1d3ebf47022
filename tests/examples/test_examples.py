"""The programs of examples/ run, learn what they should, and need public names only."""

import ast
import os
import re
import subprocess
import sys
from pathlib import Path

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
def test_a_program_learns_saves_loads_and_predicts(name, tmp_path):
    pytest.importorskip("sklearn")
    environment = os.environ | {"PYTHONPATH": str(ROOT), "PYTHONWARNINGS": "error"}
    command = [sys.executable, ROOT / "examples" / f"{name}.py"]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    pattern, least = LEAST[name]
    assert float(re.search(pattern, done.stdout)[1]) >= least, done.stdout
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
