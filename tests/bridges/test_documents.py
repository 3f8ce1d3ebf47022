"""The code of the bridges' pages and examples is run as it stands."""

import importlib.util
import re
import runpy
import sys
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted((ROOT / "docs" / "bridges").glob("*.md"))
NEEDS = {"torch": "torch", "sklearn": "sklearn", "onnx": "onnxruntime", "tensorboard": "tensorboard"}


@pytest.fixture(autouse=True)
def as_users_have_it(tmp_path, monkeypatch):
    """In a folder of its own, with NumPy's usual arithmetic."""
    monkeypatch.chdir(tmp_path)
    with np.errstate(all="warn", under="ignore"):
        yield


def require(bridge):
    """Skip the test where the library of a bridge is missing."""
    if importlib.util.find_spec(NEEDS[bridge]) is None:
        pytest.skip(f"{NEEDS[bridge]} is not installed")


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.stem)
def test_the_code_of_a_page_runs(page):
    require(page.stem)
    text = page.read_text(encoding="utf-8")
    assert text.find("```python") < 200, "the five lines of code come first"
    for block in re.findall(r"```python\n(.*?)```", text, re.S):
        exec(compile(block, str(page), "exec"), {"__name__": "page"})


def run_example(monkeypatch, name, *arguments):
    """Run a script of examples/ in this process."""
    monkeypatch.setattr(sys, "argv", [name, *arguments])
    runpy.run_path(str(ROOT / "examples" / name), run_name="__main__")


def test_the_example_of_onnx_agrees(monkeypatch, capsys):
    require("onnx")
    run_example(monkeypatch, "bridge_onnx.py")
    assert "agree" in capsys.readouterr().out


def test_the_example_of_scikit_learn_prints_a_table(monkeypatch, capsys):
    require("sklearn")
    run_example(monkeypatch, "bridge_sklearn.py", "wine", "--folds", "2")
    row = capsys.readouterr().out.splitlines()[-1]
    assert re.fullmatch(r"\| wine \|( [\d.]+%, [\d.]+ \|){3}", row)
    assert all(float(accuracy) > 90 for accuracy in re.findall(r"([\d.]+)%", row))


def test_the_example_of_pytorch_trains(monkeypatch, capsys):
    require("torch")
    run_example(monkeypatch, "bridge_torch.py", "--steps", "60")
    assert float(re.search(r"test accuracy (.*)%", capsys.readouterr().out)[1]) > 30
