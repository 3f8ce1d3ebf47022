"""scripts/train_mnist.py, killed and stopped for real."""

import contextlib
import os
import random
import re
import resource
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from fast.loops.compiled import require
from in_process import train
from synann_np import load

SCRIPT = Path(__file__).resolve().parents[1] / "scripts" / "train_mnist.py"
KILLS = 8
SETTINGS = 4  # lines at the start that tell the settings
TOOLS = [
    "--optimizer", "adamw", "--lr", 0.01, "--weight-decay", 0.1, "--no-decay-vectors", "--schedule", "one_cycle",
    "--warmup", 1, "--label-smoothing", 0.1, "--clip", 0.5, "--ema", 0.9, "--augment", "shift=2,rotate=10,elastic=1",
    "--validation", 15, "--validation-seed", 3,
]  # fmt: skip


def write_idx(path, array):
    header = bytes([0, 0, 8, array.ndim]) + b"".join(n.to_bytes(4, "big") for n in array.shape)
    path.write_bytes(header + array.astype("uint8").tobytes())


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    rng = np.random.default_rng(0)
    for split, n in (("train", 60), ("t10k", 20)):
        write_idx(folder / f"{split}-images-idx3-ubyte", rng.integers(0, 256, (n, 28, 28)))
        write_idx(folder / f"{split}-labels-idx1-ubyte", rng.integers(0, 10, n))
    return folder


def start(*arguments, **options):
    environment = os.environ | {"OPENBLAS_NUM_THREADS": "1"}
    return subprocess.Popen(
        [sys.executable, SCRIPT, *map(str, arguments)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env=environment, **options,
    )  # fmt: skip


def finish(*arguments):
    """returncode, stdout, stderr of a run that is left alone, in this process."""
    run = train(*arguments)
    return run.returncode, run.stdout, run.stderr


@pytest.fixture
def refusal():
    """A function: the last line of stderr of a call that must end with exit code 2."""

    def call(*arguments):
        code, _, err = finish(*arguments)
        assert code == 2
        return err.splitlines()[-1]

    return call


def contents(path):
    return {name: (path / name).read_bytes() for name in ("last.safetensors", "best.safetensors", "history.jsonl")}


def settings(data, epochs):
    return ["--data-dir", data, "--batch-size", 10, "--log-interval", 2, "--save-every", "0min", "--epochs", epochs]


@pytest.fixture(scope="module")
def whole(data, tmp_path_factory):
    """The files of the run of 25 epochs, 100 records, that nobody interrupted."""
    path = tmp_path_factory.mktemp("whole")
    assert finish(*settings(data, 25), "--out", path)[0] == 0
    return contents(path)


@pytest.fixture(scope="module")
def two_epochs(data, tmp_path_factory):
    """A folder with a finished run of two epochs, to be copied."""
    path = tmp_path_factory.mktemp("two")
    assert finish(*settings(data, 2), "--out", path)[0] == 0
    return path


@pytest.fixture
def run(two_epochs, tmp_path):
    """A folder of a test's own with that run."""
    return shutil.copytree(two_epochs, tmp_path / "run")


@pytest.mark.slow
def test_a_run_killed_eight_times_ends_with_the_files_of_the_uninterrupted_run(data, whole, tmp_path, capsys):
    chance = random.Random(5)
    out = tmp_path / "run"
    arguments = [*settings(data, 25), "--out", out]
    cut_in_epoch = set()
    for _ in range(KILLS):
        process = start(*arguments)
        for _ in range(
            SETTINGS + chance.randrange(7)
        ):  # lines of the log: most kills shall meet it at work, some at its start
            process.stdout.readline()
        time.sleep(chance.random() * 0.02)
        process.send_signal(signal.SIGKILL)
        process.communicate(timeout=60)
        assert process.returncode == -signal.SIGKILL, "the run was over before it was killed"
        if (out / "history.jsonl").exists():
            cut_in_epoch.add((out / "history.jsonl").read_bytes().count(b"\n") // 4)
        arguments = ["--resume", out]
        if not (out / "run.json").exists():
            arguments = [*settings(data, 25), "--out", out]
    code, _, err = finish(*arguments)
    assert code == 0, err
    assert contents(out) == whole
    with capsys.disabled():
        print(f"\nkilled {KILLS} times in {len(cut_in_epoch)} different epochs: files equal to the uninterrupted run")


def test_a_run_with_all_tools_killed_in_the_middle_ends_with_the_files_of_the_uninterrupted_run(data, tmp_path):
    assert finish(*settings(data, 6), *TOOLS, "--out", tmp_path / "whole")[0] == 0
    arguments = [*settings(data, 6), *TOOLS, "--out", tmp_path / "run"]
    for lines in (5, 9):
        process = start(*arguments)
        for _ in range(SETTINGS + lines):
            process.stdout.readline()
        process.send_signal(signal.SIGKILL)
        process.communicate(timeout=60)
        assert process.returncode == -signal.SIGKILL, "the run was over before it was killed"
        arguments = ["--resume", tmp_path / "run"]
    code, stdout, err = finish(*arguments)
    assert code == 0, err
    assert "Resumed" in stdout
    assert contents(tmp_path / "run") == contents(tmp_path / "whole")


def test_a_schedule_that_ends_with_the_run_refuses_more_epochs(data, tmp_path, refusal):
    out = tmp_path / "run"
    assert finish(*settings(data, 2), "--schedule", "cosine", "--out", out)[0] == 0
    assert "schedule_epochs was 2 and is 3" in refusal("--resume", out, "--epochs", 3)
    assert finish("--resume", out, "--epochs", 3, "--accept-changes")[0] == 0


def test_an_average_may_be_added_or_left_out_if_the_change_is_accepted(run):
    for ema, change in ((0.9, "ema was 0.0 and is 0.9"), (0, "ema was 0.9 and is 0.0")):
        before = load(run / "last.safetensors").state_dict()
        code, _, err = finish("--resume", run, "--ema", ema, "--accept-changes")
        assert code == 0
        assert change in err
        assert all(np.array_equal(a, before[name]) for name, a in load(run / "last.safetensors").state_dict().items())
        epochs = 3 if ema else 4
        code, _, err = finish("--resume", run, "--ema", ema, "--epochs", epochs, "--accept-changes")
        assert code == 0, err


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_saves_and_says_how_to_continue(data, whole, tmp_path, number, code):
    out = tmp_path / "run"
    # Saved only every 1000 epochs: what is there afterwards, the signal saved.
    process = start(*settings(data, 25), "--save-every", 1000, "--out", out)
    for _ in range(SETTINGS + 12):
        process.stdout.readline()
    process.send_signal(number)
    stdout, stderr = process.communicate(timeout=60)
    assert process.returncode == code
    assert f"Continue: python scripts/train_mnist.py --resume {out}" in stdout
    assert number.name in stderr
    lines = (out / "history.jsonl").read_bytes().count(b"\n")
    assert 5 < lines < 100
    code, stdout, _ = finish("--resume", out)
    assert code == 0
    assert f"Resumed {out} after {lines // 4} epochs" in stdout
    assert contents(out) == whole


def test_more_epochs_continue_a_finished_run_and_a_finished_run_stays(run, whole):
    assert finish("--epochs", 25, "--resume", run / "last.safetensors")[0] == 0
    assert contents(run) == whole
    assert finish("--resume", "--out", run)[0] == 0
    assert contents(run) == whole


def test_what_cannot_be_resumed_is_said_in_one_line_with_exit_code_2(run, tmp_path, refusal):
    before = contents(run)
    cases = [
        (["--resume", tmp_path / "nothing"], "no such folder"),
        (["--resume"], "name the folder of the run once"),
        (["--resume", run, "--out", tmp_path / "other"], "name the folder of the run once"),
        (["--resume", run, "--lr", 0.5, "--momentum", 0.1], "lr was 0.012 and is 0.5; momentum was 0.5 and is 0.1"),
        (["--resume", run, "--dtype", "float64"], "dtype was float32 and is float64"),
        (["--resume", run, "--seed", 6], "seed was 5 and is 6"),
        (["--out", run], "holds a run already"),
    ]
    for arguments, words in cases:
        assert words in refusal(*arguments)
    assert contents(run) == before


def test_a_run_is_not_continued_with_another_compiler_unawares(run, refusal, monkeypatch):
    require()
    monkeypatch.setenv("CC", "cc -DOTHER")
    assert re.search(r"C compiler was \S+ .* and is cc ", refusal("--resume", run))


def test_changes_are_accepted_by_flag_and_said(run):
    code, _, err = finish("--resume", run, "--lr", 0.5, "--epochs", 3, "--accept-changes")
    assert code == 0
    assert "lr was 0.012 and is 0.5" in err


def test_a_damaged_run_json_or_checkpoint_is_one_line_and_exit_code_2(run, refusal):
    for name, content in (("run.json", b"[1"), ("run.json", b"[]"), ("run.json", b'{"lr": "many"}'),
                          ("last.safetensors", b"\x00" * 100)):  # fmt: skip
        good = (run / name).read_bytes()
        (run / name).write_bytes(content)
        assert name in refusal("--resume", run) or "many" in refusal("--resume", run)
        (run / name).write_bytes(good)


def test_two_processes_in_one_folder_are_refused(data, tmp_path, refusal):
    first = start(*settings(data, 200), "--out", tmp_path / "run")
    try:
        first.stdout.readline()
        for extra in ([], ["--overwrite"], ["--resume"]):
            assert f"process {first.pid}" in refusal(*settings(data, 200), "--out", tmp_path / "run", *extra)
    finally:
        first.kill()
        first.communicate(timeout=60)


def test_a_disk_without_room_is_warned_of_or_stops_the_run(data, tmp_path):
    def finish_with_little_room(*arguments):
        process = start(*arguments, preexec_fn=little_room)
        out, err = process.communicate(timeout=120)
        assert "Traceback" not in err
        return process.returncode, out, err

    def little_room():  # the checkpoints, 250 kB each, do not fit; history and settings do
        with contextlib.suppress(ValueError):
            resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))

    code, out, err = finish_with_little_room(*settings(data, 1), "--out", tmp_path / "a")
    assert code == 2, "the result is not saved, so the run did not succeed"
    assert "last.safetensors: cannot be written (File too large)" in err
    assert "Test set: Average loss" in out
    code, out, err = finish_with_little_room(*settings(data, 1), "--out", tmp_path / "b", "--stop-if-unsaved")
    assert code == 2
    assert "stopped as asked" in err
    assert "Test set" not in out


def test_check_finite_names_the_layer_and_the_default_run_says_what_to_change(data, tmp_path):
    code, _, err = finish(*settings(data, 2), "--lr", 1e30, "--out", tmp_path / "a")
    assert code == 1
    assert "smaller learning rate" in err.splitlines()[-1]
    assert all(np.isfinite(a).all() for a in load(tmp_path / "a" / "last.safetensors").state_dict().values())
    code, _, err = finish(*settings(data, 2), "--lr", 1e30, "--check-finite", "--out", tmp_path / "b")
    assert code == 1
    assert "the output of conv2 is not finite" in err.splitlines()[-1]
