"""What programs do with odd arguments: refused in one line before any work, or understood."""

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from synann_np.distributed import Serial
from synann_np.programs import compare_runs, explain, predict, show_data, train
from synann_np.programs.command_line import Parser, path
from synann_np.programs.examples import DIGITS
from synann_np.programs.runs.engine import threads_of_run
from synann_np.programs.runs.recipes import read_recipe
from synann_np.train import EvalRecord
from synann_np.training.history import to_line

ROOT = Path(__file__).resolve().parents[2]
PHOTO = str(DIGITS / "7_with_bar.png")


@pytest.fixture
def refusal(capsys):
    """A function: the one line with which a program refuses its arguments."""

    def call(main, *arguments):
        try:
            status = main([str(a) for a in arguments])
        except SystemExit as ending:
            status = ending.code
        assert status == 2
        out, err = capsys.readouterr()
        assert out == ""
        assert err.count("\n") == 1
        return err

    return call


def test_usage_errors_are_one_line_that_names_the_program(refusal):
    parser = Parser("What it does.", "program")
    parser.add_argument("--number", type=int)
    line = refusal(parser.parse_args, "--number", "x")
    assert line == "program: argument --number: invalid int value: 'x' (--help lists the options)\n"


def test_paths_are_read_as_a_shell_reads_them(monkeypatch):
    monkeypatch.setenv("HOME", "/home/me")
    assert path("~/run") == Path("/home/me/run")
    assert path("a/~b") == Path("a/~b")
    assert path("~nobody_of_this_name/x") == Path("~nobody_of_this_name/x")


def test_a_home_directory_after_an_equals_sign_is_one(tmp_path, monkeypatch, capsys):
    """The shell leaves the ~ of --out=~/samples.png alone."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    assert predict.main([PHOTO, "--save-seen=~/seen.png"]) == 0
    assert (tmp_path / "seen.png").exists()
    assert not (tmp_path / "~").exists()


@pytest.mark.parametrize(
    ("main", "arguments"),
    [
        (train.main, ["--out", ""]),
        (train.main, ["--resume", ""]),
        (train.main, ["--data-dir", " "]),
        (predict.main, [""]),
        (show_data.main, ["--out", ""]),
        (compare_runs.main, [""]),
    ],
)
def test_an_empty_path_is_refused_and_not_the_current_folder(tmp_path, monkeypatch, refusal, main, arguments):
    monkeypatch.chdir(tmp_path)
    assert "expected a path, got an empty text" in refusal(main, *arguments)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", [".", "seen.jpg", "seen", "folder/"])
def test_a_picture_is_written_as_png_or_refused(refusal, tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    assert "ends in .png" in refusal(predict.main, PHOTO, "--save-seen", name)
    assert not list(tmp_path.iterdir())


def test_a_folder_in_the_place_of_a_picture_is_named(tmp_path, capsys):
    (tmp_path / "seen.png").mkdir()
    assert predict.main([PHOTO, "--save-seen", str(tmp_path / "seen.png")]) == 2
    assert capsys.readouterr().err == f"predict: {tmp_path / 'seen.png'}: Is a directory\n"


def test_a_number_is_not_taken_for_an_image_of_the_test_set(refusal):
    """`explain 7` explained image 7, which is a 9."""
    assert "image 7 of the test set is --index 7" in refusal(explain.main, "7")
    assert "--index N" in refusal(explain.main)
    assert "--index N" in refusal(explain.main, PHOTO, "--index", "7")
    assert "the test set has 0..9999" in refusal(explain.main, "--index", "-1")


def test_a_run_that_is_named_twice_counts_once(tmp_path, capsys):
    folder = tmp_path / "run"
    folder.mkdir()
    (folder / "run.json").write_text(json.dumps({"model": "mlp", "seed": 3}))
    (folder / "history.jsonl").write_text(to_line(EvalRecord(1, 10, 0.5, 900, 1000)))
    (tmp_path / "link").symlink_to(folder)
    assert compare_runs.main([str(folder), f"{folder}/../run", str(tmp_path / "link")]) == 0
    assert "| mlp | MNIST, test | 1 | 3 | 90.00 | 90.00 |" in capsys.readouterr().out


def test_a_recipe_may_begin_with_a_byte_order_mark(tmp_path):
    (tmp_path / "mine.toml").write_bytes("# größe\nlr = 0.5\n".encode("utf-8-sig"))
    assert read_recipe(str(tmp_path / "mine.toml"))[1] == {"lr": 0.5}


def ablation():
    spec = importlib.util.spec_from_file_location("ablation", ROOT / "scripts" / "ablation.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("content", [None, "no place for a table"])
def test_a_table_that_cannot_be_filled_is_refused_before_the_training(tmp_path, monkeypatch, capsys, content):
    module = ablation()
    monkeypatch.setattr(module, "do", lambda *arguments: pytest.fail("trained"))
    if content:
        (tmp_path / "new.md").write_text(content)
    assert module.main(["--table", str(tmp_path / "new.md"), "--out", str(tmp_path / "results.jsonl")]) == 2
    assert "new.md" in capsys.readouterr().err


def test_numbers_that_are_not_finite_end_a_run_with_one_line(tmp_path):
    """No RuntimeWarning of NumPy comes before it."""
    rng = np.random.default_rng(0)
    for split, n in (("train", 60), ("t10k", 20)):
        for kind, a in (("images-idx3", rng.integers(0, 256, (n, 28, 28))), ("labels-idx1", rng.integers(0, 10, n))):
            header = bytes([0, 0, 8, a.ndim]) + b"".join(size.to_bytes(4, "big") for size in a.shape)
            (tmp_path / f"{split}-{kind}-ubyte").write_bytes(header + a.astype("uint8").tobytes())
    command = [sys.executable, "-m", "synann_np", "train", "--data-dir", ".", "--lr", "1e30", "--batch-size", "10"]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    for engine in ("plain", "fast"):
        run = subprocess.run(
            [*command, "--engine", engine, "--out", engine], cwd=tmp_path, env=environment, capture_output=True,
            text=True, timeout=120, check=False,
        )  # fmt: skip
        assert run.returncode == 1
        assert run.stderr.startswith("synann train: ")
        assert "smaller learning rate" in run.stderr
        assert run.stderr.count("\n") == 1


@pytest.mark.parametrize(("asked", "used"), [(57, 2), (2, 2), (1, 1), (None, 2)])
def test_more_threads_than_cores_are_taken_down_with_a_line(monkeypatch, capsys, asked, used):
    """They would wait for each other: 57 on 2 cores took thirty times as long."""
    monkeypatch.setattr("synann_np.fast.usable_cores", lambda: 2)
    assert threads_of_run(SimpleNamespace(threads=asked), Serial()) == used
    line = "--threads 57: this process may use 2 cores, so 2 threads are used\n"
    assert capsys.readouterr().err == (line if asked == 57 else "")
