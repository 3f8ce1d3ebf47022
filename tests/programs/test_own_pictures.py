"""Pictures do not depend on the user's matplotlib, and text from outside is text."""

import os
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest

from synann_np.mathematics.circuit import Circuit, draw_circuit
from synann_np.programs.pictures.classification import digit_sheet
from synann_np.programs.pictures.forest_plot import draw_forest
from synann_np.programs.pictures.runs import accuracy_curves
from synann_np.programs.pictures.training import training_curves
from synann_np.programs.runs.comparison import Run
from synann_np.storage import png_file
from synann_np.storage.png_file import drawable, own_settings
from synann_np.train import EvalRecord, TrainRecord

ROOT = Path(__file__).resolve().parents[2]
RECORDS = [TrainRecord(1, 0, 0, 10, 1, 2.0), EvalRecord(1, 1, 0.5, 9, 10)]
NAME = "_a$5_$ b\udcff漢\x1b[31m"  # a formula, no text, no glyph, a control character


def draw_run(path, name=NAME):
    training_curves(RECORDS, path, name)


def draw_comparison(path, name=NAME):
    accuracy_curves([[Run(path, {"recipe": name}, [0.5, 0.6])]], path)


def draw_digits(path, name=NAME):
    digit_sheet([np.zeros((28, 28), np.uint8)], [name], path)


def draw_odds(path, name=NAME):
    draw_forest(path, [name], [1.0], [0.5], [2.0], title=name)


FOREIGN = [draw_run, draw_comparison, draw_digits, draw_odds]


@pytest.fixture
def texts(monkeypatch):
    """A list of what the pictures show: (text, whether it may be a formula)."""
    from matplotlib.text import Text

    shown = []
    real = png_file.write_png

    def write(figure, path):
        shown.extend((text.get_text(), text.get_parse_math()) for text in figure.findobj(Text))
        real(figure, path)

    for draw in FOREIGN:
        for value in draw.__globals__.values():
            module = sys.modules.get(getattr(value, "__module__", None))
            if hasattr(module, "write_png"):
                monkeypatch.setattr(module, "write_png", write)
    return shown


@pytest.mark.parametrize("draw", FOREIGN)
@np.errstate(all="ignore")
def test_names_from_outside_are_text(tmp_path, texts, draw):
    draw(tmp_path / "p.png")
    assert (tmp_path / "p.png").read_bytes().startswith(b"\x89PNG")
    found = [parse for text, parse in texts if "$5_$" in text]
    assert found
    assert not any(found)


@np.errstate(all="ignore")
def test_names_of_a_circuit_are_text(tmp_path):
    circuit = Circuit()
    circuit.input("a$5_$")
    circuit.synapse("y$_$", "a$5_$", "a$5_$")
    draw_circuit(circuit, tmp_path / "p.png", NAME)
    assert (tmp_path / "p.png").exists()


def test_what_cannot_be_drawn_becomes_an_escape():
    assert drawable("plain 漢 ü\n$x$") == "plain 漢 ü\n$x$"
    assert drawable("a\udcff\x1b[0m\t") == "a\\udcff\\x1b[0m\\t"


@np.errstate(all="ignore")
def test_the_settings_of_the_user_do_not_change_a_picture_and_are_there_afterwards(tmp_path):
    import matplotlib

    draw_run(tmp_path / "plain.png", "name")
    mine = {"font.size": 30, "axes.facecolor": "red", "text.usetex": True, "savefig.bbox": "tight", "figure.dpi": 33}
    with matplotlib.rc_context(mine):
        draw_run(tmp_path / "mine.png", "name")
        assert {key: matplotlib.rcParams[key] for key in mine} == {**mine, "figure.dpi": 33.0, "font.size": 30.0}
    assert (tmp_path / "mine.png").read_bytes() == (tmp_path / "plain.png").read_bytes()


def test_the_settings_are_back_after_an_error():
    import matplotlib

    with matplotlib.rc_context({"font.size": 30}):
        with suppress(ValueError), own_settings():
            assert matplotlib.rcParams["font.size"] == 10
            raise ValueError
        assert matplotlib.rcParams["font.size"] == 30


@pytest.mark.parametrize("backend", ["module://matplotlib_inline.backend_inline", "nonsense"])
def test_the_backend_of_a_notebook_that_is_not_installed_here_is_not_needed(tmp_path, backend):
    """A fresh process, since matplotlib reads the variable when it is imported."""
    program = f"""
import os, sys
from pathlib import Path
from synann_np.programs.pictures.training import training_curves
from synann_np.train import EvalRecord
training_curves([EvalRecord(1, 1, 0.5, 9, 10)], Path("p.png"), "a$5_$ b")
assert os.environ["MPLBACKEND"] == {backend!r}
"""
    environment = os.environ | {"MPLBACKEND": backend, "PYTHONPATH": str(ROOT)}
    run = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=120
    )
    assert (run.returncode, run.stderr) == (0, "")
    assert (tmp_path / "p.png").read_bytes().startswith(b"\x89PNG")
