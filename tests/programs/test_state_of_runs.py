"""What the files of a run claim is there: saves that failed, files that are gone, runs that never began."""

import errno
import json
import os

import numpy as np
import pytest

from synann_np.layers import Linear
from synann_np.optim import SGD
from synann_np.programs.runs.engine import check_batches
from synann_np.programs.runs.folder import RunFolder, RunFolderError
from synann_np.programs.runs.saver import RunSaver
from synann_np.programs.runs.training_state import check_best
from synann_np.programs.train import main
from synann_np.sequential import Sequential
from synann_np.storage import checkpoint
from synann_np.train import EvalRecord
from synann_np.training.history import read_history


@pytest.fixture
def data(tmp_path):
    """Few images of noise in MNIST's format."""
    folder = tmp_path / "data"
    folder.mkdir()
    rng = np.random.default_rng(0)
    for split, n in (("train", 60), ("t10k", 20)):
        for kind, a in (("images-idx3", rng.integers(0, 256, (n, 28, 28))), ("labels-idx1", rng.integers(0, 10, n))):
            header = bytes([0, 0, 8, a.ndim]) + b"".join(size.to_bytes(4, "big") for size in a.shape)
            (folder / f"{split}-{kind}-ubyte").write_bytes(header + a.astype("uint8").tobytes())
    return folder


@pytest.fixture
def train(data, tmp_path, capsys, monkeypatch):
    """A function: exit status, standard output and error of a training run in tmp_path/run."""

    monkeypatch.setattr("synann_np.programs.train.draw_curves", lambda folder, title: None)

    def call(*arguments, status=0):
        settings = ["--data-dir", data, "--epochs", 2, "--batch-size", 10, "--engine", "plain", "--log-interval", 2]
        settings = [] if "--resume" in arguments else settings
        out = [] if "--out" in arguments else ["--out", tmp_path / "run"]
        try:
            found = main([str(a) for a in [*settings, *out, *arguments]], prog="synann train")
        except SystemExit as ending:
            found = ending.code
        captured = capsys.readouterr()
        assert found == status, captured.err
        return captured.out, captured.err

    return call


@pytest.fixture
def no_room(monkeypatch):
    """A function: writing the named file fails as on a full disk, or no longer with None."""
    from synann_np.programs.runs import saver

    real = saver.write_atomically
    broken = {"name": None}

    def write(path, content):
        if path.name == broken["name"]:
            raise OSError(errno.ENOSPC, "No space left on device", str(path))
        real(path, content)

    monkeypatch.setattr(saver, "write_atomically", write)
    return lambda name: broken.update(name=name)


def epochs_of(path):
    return [record for record in read_history(path / "history.jsonl") if isinstance(record, EvalRecord)]


# `best` that could not be written


@pytest.fixture
def saver(tmp_path):
    """A function: a RunSaver in tmp_path/run of a network of two weights."""

    def make(folder, warnings=None):
        warn = [].append if warnings is None else warnings.append
        model = Sequential([("fc", Linear(1, 1, rng=np.random.default_rng(1)))])
        return RunSaver(folder, model, SGD(0.1), {}, 1, warn=warn)

    return make


def test_a_best_that_could_not_be_saved_is_saved_with_the_next_state_and_with_its_own_weights(tmp_path, saver, no_room):
    warnings = []
    with RunFolder(tmp_path / "run") as folder:
        run = saver(folder, warnings)
        run.start()
        for epoch, correct in ((1, 5), (2, 9), (3, 7)):
            no_room("best.safetensors" if epoch == 2 else None)
            run.model.params["fc.bias"][...] = epoch
            run.after(EvalRecord(epoch, epoch, 0.5, correct, 10))
            if epoch == 2:
                assert not run.save_if_new()  # the result is not saved
                assert check_best(folder.best, 2) == f"{folder.best}: of epoch 1, but the best was epoch 2"
        assert run.save_if_new()
        run.close()
    assert len(warnings) == 2
    best = checkpoint.read_checkpoint(folder.best)
    assert best.training["best_epoch"] == 2
    assert best.state["fc.bias"] == 2
    assert checkpoint.read_checkpoint(folder.last).state["fc.bias"] == 3


def test_weights_that_are_not_the_best_are_never_tested_as_the_best(train, tmp_path, no_room):
    """Validation accuracy on noise: with this seed the last epoch is the best. Its file cannot be written."""
    no_room("best.safetensors")
    out, err = train("--validation", 20, "--keep", "best", status=2)
    assert "Test set" not in out
    assert "No weights to test: " in err
    assert "best.safetensors: no such file" in err or "best.safetensors" in err.splitlines()[-1]


def best_gone(folder):
    (folder / "best.safetensors").unlink()


def best_empty(folder):
    (folder / "best.safetensors").write_bytes(b"")


def best_damaged(folder):
    content = bytearray((folder / "best.safetensors").read_bytes())
    content[-1] ^= 1
    (folder / "best.safetensors").write_bytes(content)


def make_run(tmp_path, saver, correct):
    """A finished run of epochs with these right answers."""
    with RunFolder(tmp_path / "run") as folder:
        run = saver(folder)
        run.start()
        for epoch, right in enumerate(correct, start=1):
            run.model.params["fc.bias"][...] = epoch
            run.after(EvalRecord(epoch, epoch, 0.5, right, 10))
        run.close()
    return tmp_path / "run"


def resumed(path, saver, needs_best=False, accept=False):
    with RunFolder(path, resume=True) as folder:
        run = saver(folder)
        run.needs_best = needs_best
        try:
            return run, run.resume(accept)
        finally:
            run.close()


@pytest.mark.parametrize("harm", [best_gone, best_empty, best_damaged])
def test_a_run_that_lost_its_best_epoch_is_refused_or_says_so(tmp_path, saver, harm):
    path = make_run(tmp_path, saver, [9, 7])
    harm(path)
    with pytest.raises(checkpoint.CheckpointError, match=r"best.safetensors: .*--accept-changes"):
        resumed(path, saver, needs_best=True)
    for options in ({}, {"needs_best": True, "accept": True}):
        run, notes = resumed(path, saver, **options)
        assert "best.safetensors: " in notes[0]
        assert "the best is chosen among the epochs to come" in notes[0]
        assert (run.best_epoch, run.best_correct) == (0, 0)


@pytest.mark.parametrize("harm", [best_gone, best_empty, best_damaged])
def test_a_lost_best_that_is_the_last_epoch_is_written_again(tmp_path, saver, harm):
    path = make_run(tmp_path, saver, [7, 9])
    before = (path / "best.safetensors").read_bytes()
    harm(path)
    _, notes = resumed(path, saver, needs_best=True)
    assert "written again" in notes[0]
    assert (path / "best.safetensors").read_bytes() == before


def test_a_best_of_a_later_epoch_is_right_since_the_run_was_killed_between_two_saves(tmp_path, saver):
    path = make_run(tmp_path, saver, [7, 9])
    later = (path / "best.safetensors").read_bytes()
    path = make_run(tmp_path / "other", saver, [7])
    (path / "best.safetensors").write_bytes(later)
    assert resumed(path, saver, needs_best=True)[1] == []


# `last` and run.json


def test_a_run_without_its_last_state_is_never_begun_again_by_resuming(train, tmp_path):
    train()
    (tmp_path / "run" / "last.safetensors").unlink()
    before = (tmp_path / "run" / "history.jsonl").read_bytes()
    _, err = train("--resume", status=2)
    assert "last.safetensors: is gone" in err
    assert (tmp_path / "run" / "history.jsonl").read_bytes() == before
    (tmp_path / "run" / "best.safetensors").unlink()
    _, err = train("--resume", status=2)
    assert "last.safetensors: is gone" in err


def test_the_settings_are_written_before_any_state(train, tmp_path, monkeypatch):
    def killed(self):
        raise KeyboardInterrupt

    monkeypatch.setattr(RunFolder, "_undo", lambda self: None)  # nobody tidies up after a kill
    with monkeypatch.context() as patch:
        patch.setattr(RunSaver, "start", killed)
        train("--seed", 9, status=130)
    assert sorted(path.name for path in (tmp_path / "run").iterdir()) == [".lock", "run.json"]
    out, err = train("--resume")
    assert "starting from the beginning" in err
    assert json.loads((tmp_path / "run" / "run.json").read_text())["seed"] == 9
    assert "seed=9" in " ".join(out.split())


def test_a_run_without_settings_is_not_resumed_with_the_defaults(train, tmp_path):
    train()
    (tmp_path / "run" / "run.json").unlink()
    _, err = train("--resume", status=2)
    assert "has no run.json" in err


def test_a_finished_run_says_that_it_is_finished(train):
    train()
    out, _ = train("--resume")
    assert "The run is finished: --epochs 3 or more would train on" in out
    out, _ = train("--resume", "--epochs", 3)
    assert "The run is finished" not in out


# What fails before the first step


@pytest.mark.parametrize("existing", [False, True])
def test_what_fails_before_the_first_step_leaves_nothing_that_blocks(train, tmp_path, monkeypatch, existing):
    if existing:
        (tmp_path / "run").mkdir()
        (tmp_path / "run" / "mine.txt").write_text("kept")

    def fail(*arguments, **options):
        raise ValueError("no step")
        yield

    with monkeypatch.context() as patch:
        patch.setattr("synann_np.programs.train.fit", fail)
        _, err = train(status=2)
    assert "no step" in err
    if existing:
        assert {path.name for path in (tmp_path / "run").iterdir()} <= {".lock", "mine.txt"}
    else:
        assert not (tmp_path / "run").exists()
    train()
    assert len(epochs_of(tmp_path / "run")) == 2


def test_an_old_run_survives_a_new_one_that_fails_before_its_first_step(train, tmp_path, monkeypatch):
    train()
    before = {path.name: path.read_bytes() for path in (tmp_path / "run").iterdir() if path.name != ".lock"}

    def fail(*arguments, **options):
        raise ValueError("no step")
        yield

    with monkeypatch.context() as patch:
        patch.setattr("synann_np.programs.train.fit", fail)
        train("--overwrite", status=2)
    assert {p.name: p.read_bytes() for p in (tmp_path / "run").iterdir() if p.name != ".lock"} == before
    train("--overwrite", "--seed", 6)
    assert sorted(p.name for p in (tmp_path / "run").iterdir()) == sorted([".lock", *before])
    assert json.loads((tmp_path / "run" / "run.json").read_text())["seed"] == 6


def test_an_old_run_that_was_to_be_replaced_survives_a_kill_before_the_first_step(tmp_path, saver):
    path = make_run(tmp_path, saver, [7])
    before = (path / "last.safetensors").read_bytes()
    folder = RunFolder(path, overwrite=True)
    folder.__enter__()
    run = saver(folder)
    run.model.params["fc.bias"][...] = 5
    run.start()
    run.close()
    os.close(folder.lock)  # the process is gone
    assert (path / "last.safetensors").read_bytes() != before
    with pytest.raises(RunFolderError, match="holds a run already"):
        RunFolder(path).__enter__()
    assert (path / "last.safetensors").read_bytes() == before


@pytest.mark.parametrize("size", [1, 59])
def test_a_batch_of_one_image_is_refused_only_where_a_layer_needs_more(train, tmp_path, size):
    _, err = train("--batch-size", size, status=2)
    assert "choose a --batch-size" in err
    assert not (tmp_path / "run").exists()
    check_batches(Sequential([("fc", Linear(1, 1))]), 60, size)


def test_two_runs_of_the_same_second_get_two_folders(tmp_path):
    folders = [RunFolder.named_by_date(tmp_path / "runs") for _ in range(3)]
    assert len({folder.path for folder in folders}) == 3
    for folder in folders:
        with folder:
            assert folder.path.is_dir()
