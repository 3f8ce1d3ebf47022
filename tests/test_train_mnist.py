"""scripts/train_mnist.py as a user calls it, on a small data set in MNIST's format."""

import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from synann_np.backend import BackendError, get_backend
from synann_np.history import read_history

SCRIPT = Path(__file__).resolve().parents[1] / "scripts" / "train_mnist.py"


def write_idx(path, array):
    header = bytes([0, 0, 8, array.ndim]) + b"".join(n.to_bytes(4, "big") for n in array.shape)
    path.write_bytes(header + array.astype("uint8").tobytes())


@pytest.fixture
def small_mnist(tmp_path):
    folder = tmp_path / "data"
    folder.mkdir()
    rng = np.random.default_rng(0)
    for split, n in (("train", 120), ("t10k", 40)):
        write_idx(folder / f"{split}-images-idx3-ubyte", rng.integers(0, 256, (n, 28, 28)))
        write_idx(folder / f"{split}-labels-idx1-ubyte", rng.integers(0, 10, n))
    return folder


def train(*arguments):
    return subprocess.run([sys.executable, SCRIPT, *map(str, arguments)], capture_output=True, text=True, timeout=120)


def test_the_published_log_lines_history_and_curves_come_out(small_mnist, tmp_path):
    out = tmp_path / "run"
    run = train("--data-dir", small_mnist, "--epochs", 2, "--batch-size", 50, "--log-interval", 2, "--out", out)
    assert run.returncode == 0, run.stderr
    assert re.search(r"^Train Epoch: 1 \[100/120 \(83%\)\]\tLoss: \d\.\d{6}$", run.stdout, re.MULTILINE)
    assert re.search(r"^Test set: Average loss: \d\.\d{4}, Accuracy: \d+/40 \(\d+\.\d\d%\)$", run.stdout, re.MULTILINE)
    assert [(r.epoch, r.step) for r in read_history(out / "history.jsonl")] == [
        (1, 1),
        (1, 3),
        (1, 3),
        (2, 4),
        (2, 6),
        (2, 6),
    ]
    assert (out / "curves.png").read_bytes().startswith(b"\x89PNG")
    assert json.loads((out / "run.json").read_text())["lr"] == 0.012


def test_a_validation_split_is_watched_and_the_test_set_seen_once(small_mnist, tmp_path):
    run = train("--data-dir", small_mnist, "--epochs", 2, "--validation", 20, "--out", tmp_path / "run")
    assert run.returncode == 0, run.stderr
    assert len(re.findall(r"^Validation set: .*/20 ", run.stdout, re.MULTILINE)) == 2
    assert len(re.findall(r"^Test set: .*/40 ", run.stdout, re.MULTILINE)) == 1


def test_random_labels_at_chance_are_warned_of_with_causes(small_mnist, tmp_path):
    run = train("--data-dir", small_mnist, "--epochs", 1, "--lr", 0, "--out", tmp_path / "run")
    assert "at chance" in run.stderr
    assert "learning rate" in run.stderr


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--data-dir", "no/such/folder"], "no/such/folder"),
        (["--batch-size", "0"], "expected 1 or more"),
        (["--batch-size", "119"], "--batch-size"),
        (["--lr", "nan"], "finite"),
        (["--epochs", "many"], "many"),
        (["--backend", "tpu"], "tpu"),
    ],
)
def test_bad_arguments_are_one_clear_line_and_exit_code_2(small_mnist, tmp_path, arguments, words):
    run = train("--data-dir", small_mnist, "--epochs", 1, "--out", tmp_path / "run", *arguments)
    assert run.returncode == 2
    assert words in run.stderr.splitlines()[-1]
    assert "Traceback" not in run.stderr


def test_a_missing_gpu_is_said_and_never_replaced_by_the_cpu(small_mnist, tmp_path):
    try:
        get_backend("cupy")
    except BackendError as refusal:
        reason = str(refusal)
    else:
        pytest.skip("a GPU is here")
    run = train("--data-dir", small_mnist, "--epochs", 1, "--backend", "cupy", "--out", tmp_path / "run")
    assert run.returncode == 2
    assert reason in run.stderr
    assert "Traceback" not in run.stderr
