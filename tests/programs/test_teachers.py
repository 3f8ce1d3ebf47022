"""--teacher of the training program."""

import numpy as np
import pytest

from in_process import train
from synann_np import load, save
from synann_np.models import MODELS, SynaNN
from synann_np.training.history import read_history


@pytest.fixture(scope="module")
def small_mnist(tmp_path_factory):
    """Few images of noise in a .npz file."""
    rng, folder = np.random.default_rng(0), tmp_path_factory.mktemp("data")
    arrays = {}
    for split, n in (("train", 120), ("test", 40)):
        arrays |= {f"x_{split}": rng.integers(0, 256, (n, 28, 28), dtype="uint8"), f"y_{split}": rng.integers(0, 10, n)}
    np.savez(folder / "noise.npz", **arrays)
    return folder


@pytest.fixture(scope="module")
def teacher(tmp_path_factory, small_mnist):
    """A run of one epoch."""
    folder = tmp_path_factory.mktemp("teacher") / "run"
    assert train("--model", "lenet", "--data-dir", small_mnist, "--epochs", 1, "--out", folder).returncode == 0
    return folder


def settings(data, *more):
    return ["--model", "lenet", "--data-dir", data, "--batch-size", 20, "--seed", 3, *more]


def weights(folder):
    return load(folder / "last.safetensors").state_dict()


def test_a_run_and_its_file_are_one_teacher_and_its_weight_counts(small_mnist, teacher, tmp_path):
    runs = {
        "none": [], "run": ["--teacher", teacher], "file": ["--teacher", teacher / "last.safetensors"],
        "default": ["--teacher", teacher, "--teacher-weight", 0.9],
        "zero": ["--teacher", teacher, "--teacher-weight", 0],
        "plain": ["--teacher", teacher, "--engine", "plain"], "two": ["--teacher", f"{teacher},{teacher}"],
    }  # fmt: skip
    found = {}
    for name, more in runs.items():
        run = train(*settings(small_mnist, *more), "--epochs", 1, "--out", tmp_path / name)
        assert run.returncode == 0, run.stderr
        found[name] = weights(tmp_path / name)["fc2.weight"]
    for same in ("file", "default"):
        np.testing.assert_array_equal(found["run"], found[same])
    for close in ("plain", "two"):
        np.testing.assert_allclose(found["run"], found[close], rtol=1e-3, atol=1e-5)
    np.testing.assert_allclose(found["none"], found["zero"], rtol=1e-3, atol=1e-5)
    assert np.abs(found["run"] - found["none"]).max() > 1e-4


def test_a_run_is_continued_elsewhere_with_its_teacher_and_with_no_other(small_mnist, teacher, tmp_path, monkeypatch):
    monkeypatch.chdir(teacher.parent)
    arguments = settings(small_mnist, "--teacher", "run", "--ema", 0.9)
    assert train(*arguments, "--epochs", 2, "--out", tmp_path / "whole").returncode == 0
    assert train(*arguments, "--epochs", 1, "--out", tmp_path / "parts").returncode == 0
    monkeypatch.chdir(tmp_path)
    assert train("--resume", "parts", "--epochs", 2).returncode == 0
    for name, a in weights(tmp_path / "whole").items():
        np.testing.assert_array_equal(a, weights(tmp_path / "parts")[name])
    assert list(read_history(tmp_path / "whole" / "history.jsonl")) == list(
        read_history(tmp_path / "parts" / "history.jsonl")
    )
    save(tmp_path / "other.safetensors", MODELS["lenet"](9))
    run = train("--resume", "parts", "--epochs", 3, "--teacher", "other.safetensors")
    assert run.returncode == 2
    assert "teacher was " in run.stderr


def test_what_is_no_teacher_is_refused_in_one_line(small_mnist, tmp_path):
    save(tmp_path / "three.safetensors", SynaNN(classes=3))
    (tmp_path / "text.safetensors").write_text("no model")
    (tmp_path / "empty").mkdir()
    for teacher, words in (
        ("three.safetensors", "expected answers (1, 10) like the student's, got (1, 3)"),
        ("text.safetensors", "text.safetensors"),
        ("nothing.safetensors", "nothing.safetensors"),
        ("empty", "last.safetensors"),
    ):
        run = train(*settings(small_mnist, "--teacher", tmp_path / teacher), "--epochs", 1, "--out", tmp_path / "run")
        assert run.returncode == 2
        assert run.stderr.count("\n") == 1
        assert words in run.stderr
        assert not (tmp_path / "run" / "last.safetensors").exists()
    run = train(*settings(small_mnist, "--teacher-weight", 0.5), "--epochs", 1, "--out", tmp_path / "run")
    assert run.returncode == 2
    assert "--teacher-weight: needs --teacher" in run.stderr
