"""scripts/train_mnist.py on a small data set in MNIST's format: as a user calls it once, then in this process."""

import json
import re
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from in_process import train
from synann_np import load
from synann_np.backend import BackendError, get_backend
from synann_np.data.idx import read_idx
from synann_np.storage.checkpoint import read_checkpoint
from synann_np.train import EvalRecord, evaluate
from synann_np.training.history import read_history

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


def test_the_published_log_lines_history_and_curves_come_out(small_mnist, tmp_path):
    out = tmp_path / "run"
    arguments = ["--data-dir", small_mnist, "--epochs", 2, "--batch-size", 50, "--log-interval", 2, "--out", out]
    began = time.monotonic()
    run = subprocess.run(
        [sys.executable, SCRIPT, *map(str, arguments)], capture_output=True, text=True, timeout=120, check=False
    )
    most = time.monotonic() - began
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
    saved = json.loads((out / "run.json").read_text())
    assert saved["lr"] == 0.012
    assert most / 3 < saved["seconds"] < most + 0.02  # of the whole command; the clock of processes ticks in hundredths


def test_a_validation_split_is_watched_and_the_test_set_seen_once(small_mnist, tmp_path):
    run = train("--data-dir", small_mnist, "--epochs", 2, "--validation", 20, "--out", tmp_path / "run")
    assert run.returncode == 0, run.stderr
    assert len(re.findall(r"^Validation set: .*/20 ", run.stdout, re.MULTILINE)) == 2
    assert len(re.findall(r"^Test set: .*/40 ", run.stdout, re.MULTILINE)) == 1


def test_the_validation_seed_chooses_the_held_out_images(small_mnist, tmp_path):
    """Weights that do not move: the loss depends on the held-out images alone."""
    lines = []
    for seed in ([], ["--validation-seed", 5], ["--validation-seed", 6]):
        arguments = ["--data-dir", small_mnist, "--epochs", 1, "--validation", 20, "--lr", 0, *seed, "--overwrite"]
        run = train(*arguments, "--out", tmp_path / "run")
        assert run.returncode == 0, run.stderr
        lines += re.findall(r"^Validation set: .*/20 ", run.stdout, re.MULTILINE)
    assert lines[0] == lines[1] != lines[2]


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


# Recipes, early stopping, the weights that are tested


def test_recipe_and_settings_are_printed_and_saved(small_mnist, tmp_path):
    recipe = tmp_path / "mine.toml"
    recipe.write_text('optimizer = "adam"\nschedule = "one_cycle"\nclip = 1.0\nema = 0.9\nepochs = 1\n')
    run = train("--recipe", recipe, "--data-dir", small_mnist, "--clip", 2, "--out", tmp_path / "run")
    assert run.returncode == 0, run.stderr
    lines = run.stdout.splitlines()
    assert lines[0] == f"Recipe: {recipe}"
    told = " ".join(run.stdout.partition("Train Epoch")[0].split())
    saved = json.loads((tmp_path / "run" / "run.json").read_text())
    for key, value in {"optimizer": "adam", "schedule": "one_cycle", "clip": 2.0, "ema": 0.9, "lr": 0.001}.items():
        assert f" {key}={value}" in told
        assert saved[key] == value
    assert saved["recipe"] == str(recipe)


def test_a_resumed_run_records_its_parameters_but_no_seconds(small_mnist, tmp_path):
    arguments = ["--data-dir", small_mnist, "--model", "mlp", "--out", tmp_path / "run"]
    assert train(*arguments, "--epochs", 1).returncode == 0
    saved = json.loads((tmp_path / "run" / "run.json").read_text())
    assert saved["parameters"] == 785 * 250 + 250 * 251 + 500 + 251 * 10  # of the synapse alpha and beta
    assert saved["seconds"] > 0
    assert train("--resume", tmp_path / "run", "--epochs", 2).returncode == 0
    saved = json.loads((tmp_path / "run" / "run.json").read_text())
    assert saved["parameters"] == 262_010
    assert "seconds" not in saved


def test_the_file_of_a_run_with_an_average_is_the_average_that_was_evaluated(small_mnist, tmp_path):
    arguments = ["--data-dir", small_mnist, "--epochs", 2, "--batch-size", 20, "--lr", 0.1, "--ema", 0.95]
    run = train(*arguments, "--out", tmp_path / "run")
    assert run.returncode == 0, run.stderr
    loss = read_history(tmp_path / "run" / "history.jsonl")[-1].loss
    test = [read_idx(small_mnist / f"t10k-{name}-ubyte") for name in ("images-idx3", "labels-idx1")]
    found, _ = evaluate(load(tmp_path / "run" / "last.safetensors"), test[0], test[1].astype("int64"))
    assert found == pytest.approx(loss, rel=1e-5)
    raw = load(tmp_path / "run" / "last.safetensors")
    raw.load_state_dict(read_checkpoint(tmp_path / "run" / "last.safetensors").weights)
    assert evaluate(raw, test[0], test[1].astype("int64"))[0] != pytest.approx(loss, rel=1e-4)


def final_line(run):
    return re.findall(r"^Test set: .*$", run.stdout, re.MULTILINE)


def test_a_run_out_of_patience_stops_and_tests_its_best_weights_once(small_mnist, tmp_path):
    """Random labels: the best epoch is passed soon, and its weights are worth nothing on the test set, but known."""
    arguments = ["--data-dir", small_mnist, "--epochs", 40, "--validation", 20, "--batch-size", 20, "--lr", 0.1]
    run = train(*arguments, "--patience", 2, "--out", tmp_path / "run")
    assert run.returncode == 0, run.stderr
    records = [r for r in read_history(tmp_path / "run" / "history.jsonl") if isinstance(r, EvalRecord)]
    best = max(records, key=lambda r: (r.correct, -r.epoch))
    assert len(records) == best.epoch + 2 < 40
    assert f"Stopped early: no better epoch since epoch {best.epoch}\n" in run.stdout
    assert f"Weights of epoch {best.epoch}, the best on the validation split\n" in run.stdout
    line = final_line(run)
    test = [read_idx(small_mnist / f"t10k-{name}-ubyte") for name in ("images-idx3", "labels-idx1")]
    loss, correct = evaluate(load(tmp_path / "run" / "best.safetensors"), test[0], test[1].astype("int64"))
    assert line == [f"Test set: Average loss: {loss:.4f}, Accuracy: {correct}/40 ({correct / 40:.2%})"]
    again = train("--resume", tmp_path / "run")
    assert again.returncode == 0, again.stderr
    assert "Train Epoch" not in again.stdout
    assert final_line(again) == line


def test_the_last_weights_are_tested_unless_the_best_are_asked_for(small_mnist, tmp_path):
    arguments = ["--data-dir", small_mnist, "--epochs", 3, "--validation", 20, "--batch-size", 20, "--lr", 0.1]
    test = [read_idx(small_mnist / f"t10k-{name}-ubyte") for name in ("images-idx3", "labels-idx1")]
    for name, extra in (("last", []), ("best", ["--keep", "best"]), ("last", ["--ema", 0.5])):
        run = train(*arguments, *extra, "--overwrite", "--out", tmp_path / "run")
        assert run.returncode == 0, run.stderr
        model = load(tmp_path / "run" / f"{name}.safetensors")
        loss, correct = evaluate(model, test[0], test[1].astype("int64"))
        assert final_line(run) == [f"Test set: Average loss: {loss:.4f}, Accuracy: {correct}/40 ({correct / 40:.2%})"]


def test_every_optimizer_and_schedule_trains(small_mnist, tmp_path):
    for optimizer, schedule in (("sgd", "step"), ("adam", "cosine"), ("adamw", "one_cycle")):
        arguments = ["--optimizer", optimizer, "--schedule", schedule, "--warmup", 0.5, "--out", tmp_path / optimizer]
        run = train("--data-dir", small_mnist, "--epochs", 1, "--batch-size", 20, *arguments)
        assert run.returncode == 0, run.stderr
