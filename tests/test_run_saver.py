"""Saving and resuming inside one process: a run may be cut at any record, and nothing is lost but time."""

import errno
import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest

import synann_np
from synann_np.layers import BatchNorm1d, Dropout, Flatten, Linear, LogSoftmax
from synann_np.optim import SGD
from synann_np.programs.runs.folder import RunFolder, RunFolderError
from synann_np.programs.runs.identity import AFTER_TRAINING, PACKAGE, run_identity, source_hash
from synann_np.programs.runs.save_interval import Interval
from synann_np.programs.runs.saver import NotSaved, RunSaver
from synann_np.sequential import Sequential
from synann_np.storage.checkpoint import CheckpointError, load, read_checkpoint, save
from synann_np.train import NonFiniteLoss, TrainRecord, fit
from synann_np.training.history import read_history

RNG = np.random.default_rng(3)
DATA = [RNG.integers(0, 256, (n, 28, 28), dtype=np.uint8) for n in (37, 20)]
LABELS = [RNG.integers(0, 10, n, dtype=np.uint8) for n in (37, 20)]
BATCHES = 4  # of 10; with log_interval 1 the last batch of an epoch has a record, just before the evaluation
EPOCHS = 3


def network(seed=1):
    rng = np.random.default_rng(seed)
    options = {"rng": rng}
    return Sequential(
        [
            ("flatten", Flatten()),
            ("fc1", Linear(784, 6, **options)),
            ("bn", BatchNorm1d(6)),
            ("drop", Dropout(0.3, rng=rng)),
            ("fc2", Linear(6, 10, **options)),
            ("log", LogSoftmax()),
        ]
    )


class Run:
    """The parts of a training script, without the script."""

    def __init__(self, folder, lr=0.1, seed=1, warnings=None, **options):
        self.model, self.optimizer = network(seed), SGD(lr, 0.9)
        identity = run_identity({"lr": lr, "seed": seed}, self.model, [*DATA, *LABELS])
        warn = [].append if warnings is None else warnings.append
        self.saver = RunSaver(folder, self.model, self.optimizer, identity, BATCHES, warn=warn, **options)

    def records(self, epochs=EPOCHS):
        sets = zip(DATA, LABELS, strict=True)
        position = {"step": self.saver.step, "finished": self.saver.finished}
        return fit(self.model, self.optimizer, *sets, epochs, batch_size=10, log_interval=1, **position)

    def train(self, stop_after=None, epochs=EPOCHS):
        for count, record in enumerate(self.records(epochs), start=1):
            self.saver.after(record)
            if count == stop_after:
                return
        self.saver.save_if_new()


def train_in_one_go(path, **options):
    with RunFolder(path) as folder:
        run = Run(folder, **options)
        run.saver.start()
        run.train()
        run.saver.close()


def contents(path):
    return {name: (path / name).read_bytes() for name in ("last.safetensors", "best.safetensors", "history.jsonl")}


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The files of the run that nobody interrupted."""
    path = tmp_path_factory.mktemp("whole")
    train_in_one_go(path)
    return contents(path)


@pytest.mark.parametrize("minutes", [None, 0], ids=["every epoch", "every record"])
@pytest.mark.parametrize("cut", range(1, EPOCHS * (BATCHES + 1) + 1))
def test_a_run_cut_after_any_record_ends_with_the_same_files(tmp_path, whole, cut, minutes):
    interval = Interval(1, minutes)
    with RunFolder(tmp_path) as folder:
        run = Run(folder, interval=interval)
        run.saver.start()
        run.train(stop_after=cut)
        run.saver.close()
    with RunFolder(tmp_path, resume=True) as folder:
        run = Run(folder, interval=interval)
        assert run.saver.resume() == []
        run.train()
        run.saver.close()
    assert contents(tmp_path) == whole


def test_more_epochs_continue_a_finished_run(tmp_path, whole):
    for epochs in (1, 2, 3):
        with RunFolder(tmp_path, resume=epochs > 1) as folder:
            run = Run(folder)
            run.saver.start() if epochs == 1 else run.saver.resume()
            run.train(epochs=epochs)
            run.saver.close()
    assert contents(tmp_path) == whole


def test_a_run_killed_before_its_first_save_starts_from_the_beginning(tmp_path, whole):
    (tmp_path / "history.jsonl").write_text("half a li")
    (tmp_path / ".last.safetensors.123").write_text("half a file")
    with RunFolder(tmp_path, resume=True) as folder:
        run = Run(folder)
        assert "from the beginning" in run.saver.resume()[0]
        run.train()
        run.saver.close()
    assert contents(tmp_path) == whole
    assert not list(tmp_path.glob(".last*"))


def test_the_best_epoch_is_kept(tmp_path):
    train_in_one_go(tmp_path)
    accuracies = [r.correct for r in read_history(tmp_path / "history.jsonl") if not isinstance(r, TrainRecord)]
    model = load(tmp_path / "best.safetensors")
    log_probs, _ = model.forward(((DATA[1][:, None] / 255 - 0.1307) / 0.3081).astype("float32"))
    assert (log_probs.argmax(axis=1) == LABELS[1]).sum() == max(accuracies)


def test_minutes_between_saves_are_kept(tmp_path):
    now = [0.0]
    saved = []
    with RunFolder(tmp_path) as folder:
        run = Run(folder, interval=Interval(None, 10), clock=lambda: now[0])
        run.saver.start()
        for record in run.records(1):
            if isinstance(record, TrainRecord):
                now[0] += 400
                run.saver.after(record)
                saved.append(run.saver.saved[0])
        run.saver.close()
    assert saved == [0, 2, 2, 4]


def test_a_save_after_the_last_batch_is_not_taken_for_one_after_the_evaluation(tmp_path):
    now = [0.0]
    with RunFolder(tmp_path) as folder:
        run = Run(folder, interval=Interval(None, 1), clock=lambda: now[0])
        run.saver.start()
        run.saver.best_correct = 1000  # no best epoch, which would be saved anyway
        for record in run.records(1):
            now[0] += 61 * (isinstance(record, TrainRecord) and record.batch == BATCHES - 1)
            run.saver.after(record)
        assert run.saver.saved == (BATCHES, 0)
        assert run.saver.save_if_new()
        assert read_checkpoint(folder.last).training["finished"] == 1
        run.saver.close()


# What differs from the run that was saved


def resume(path, accept=False, **options):
    with RunFolder(path, resume=True) as folder:
        run = Run(folder, **options)
        try:
            return run, run.saver.resume(accept)
        finally:
            run.saver.close()


def test_other_hyperparameters_are_named_and_refused_or_accepted(tmp_path):
    train_in_one_go(tmp_path)
    before = contents(tmp_path)
    with pytest.raises(CheckpointError, match=r"lr was 0.1 and is 0.2.*--accept-changes") as refusal:
        resume(tmp_path, lr=0.2)
    assert "seed" not in str(refusal.value)
    assert contents(tmp_path) == before
    run, notes = resume(tmp_path, accept=True, lr=0.2)
    assert notes == ["lr was 0.1 and is 0.2"]
    assert run.optimizer.lr == 0.2
    assert run.optimizer.velocity
    assert run.saver.step == EPOCHS * BATCHES


@pytest.mark.parametrize("key", ["data set", "dtype", "source code", "network", "numpy", "synann_np", "backend"])
def test_another_data_set_dtype_or_code_is_named_and_refused(tmp_path, key):
    train_in_one_go(tmp_path)
    with RunFolder(tmp_path, resume=True) as folder:
        run = Run(folder)
        run.saver.identity[key] = "another"
        with pytest.raises(CheckpointError, match=f"{key} was [^;]* and is another [(]"):
            run.saver.resume()


def test_another_batch_size_begins_the_epoch_again(tmp_path):
    with RunFolder(tmp_path) as folder:
        run = Run(folder, interval=Interval(None, 0))
        run.saver.start()
        run.train(stop_after=BATCHES + 3)
        run.saver.close()
    with RunFolder(tmp_path, resume=True) as folder:
        run = Run(folder)
        run.saver.batches_per_epoch = 7
        notes = run.saver.resume(True)
        run.saver.close()
    assert "epoch 2 begins again" in notes[0]
    assert (run.saver.finished, run.saver.step) == (1, 7)


def test_a_network_of_other_shapes_is_refused_although_changes_are_accepted(tmp_path):
    train_in_one_go(tmp_path)
    with RunFolder(tmp_path, resume=True) as folder:
        run = Run(folder)
        run.saver.model = Sequential([("fc1", Linear(784, 5))])
        run.saver.identity["network"] = "another"
        with pytest.raises(CheckpointError, match="does not fit this run"):
            run.saver.resume(True)


def test_files_that_are_no_state_of_training_are_refused_in_one_line(tmp_path):
    train_in_one_go(tmp_path)
    last, history = tmp_path / "last.safetensors", tmp_path / "history.jsonl"
    good = history.read_bytes()
    history.write_bytes(good[:-30])
    with pytest.raises(CheckpointError, match=f"^{history}: not the history that belongs[^\n]*$"):
        resume(tmp_path)
    history.write_bytes(good.replace(b"loss", b"lass"))
    with pytest.raises(CheckpointError, match="not the history that belongs"):
        resume(tmp_path)
    history.write_bytes(good)
    last.write_bytes(last.read_bytes()[:-1])
    with pytest.raises(CheckpointError, match=f"^{last}: [^\n]*$"):
        resume(tmp_path)
    save(last, network())
    with pytest.raises(CheckpointError, match=f"^{last}: holds a model but no state of training[^\n]*$"):
        resume(tmp_path)
    save(last, network(), SGD(0.1), {"step": -1, "identity": []})
    with pytest.raises(CheckpointError, match="no state of training"):
        resume(tmp_path)


# A disk that is full, or may not be written


@pytest.fixture
def full_disk(monkeypatch):
    """A switch: after full_disk(True) nothing reaches the disk any more."""
    real = os.fsync

    def switch(on):
        def fsync(descriptor):
            if on:
                raise OSError(errno.ENOSPC, "No space left on device")
            return real(descriptor)

        monkeypatch.setattr("os.fsync", fsync)

    return switch


def test_on_a_full_disk_training_goes_on_with_a_warning_and_old_files_stay(tmp_path, full_disk, whole):
    warnings = []
    with RunFolder(tmp_path) as folder:
        run = Run(folder, warnings=warnings)
        run.saver.start()
        for record in run.records():
            full_disk(record.epoch == 2)
            before = (tmp_path / "last.safetensors").read_bytes()
            run.saver.after(record)
            if record.epoch == 2:
                assert (tmp_path / "last.safetensors").read_bytes() == before
        run.saver.close()
    assert warnings
    assert all("No space left on device" in line and "training continues" in line for line in warnings)
    assert contents(tmp_path)["history.jsonl"] == whole["history.jsonl"]
    assert contents(tmp_path)["last.safetensors"] == whole["last.safetensors"]


def test_on_a_full_disk_the_run_stops_if_asked(tmp_path, full_disk):
    with RunFolder(tmp_path) as folder:
        run = Run(folder, stop_on_error=True)
        run.saver.start()
        full_disk(True)
        with pytest.raises(NotSaved, match=r"last.safetensors: cannot be written .No space left"):
            run.saver.save()
        run.saver.close()
    full_disk(False)
    assert load(tmp_path / "last.safetensors")


def test_history_lines_that_could_not_be_written_follow_later_and_whole(tmp_path, whole):
    class Tight:
        """A file of which every write succeeds by half, then fails."""

        def __init__(self, file):
            self.file, self.halves = file, 0

        def write(self, content):
            self.halves += 1
            if self.halves % 4 == 1:
                return self.file.write(content[: len(content) // 2])
            if self.halves % 4 == 2:
                raise OSError(errno.ENOSPC, "No space left on device")
            return self.file.write(content)

        def __getattr__(self, name):
            return getattr(self.file, name)

    warnings = []
    with RunFolder(tmp_path) as folder:
        run = Run(folder, warnings=warnings)
        run.saver.start()
        run.saver.history.file = Tight(run.saver.history.file)
        run.train()
        run.saver.close()
    assert any("history.jsonl" in line for line in warnings)
    assert contents(tmp_path) == whole


# Numbers that are not finite


def test_weights_that_are_not_finite_never_replace_a_good_checkpoint(tmp_path):
    with RunFolder(tmp_path) as folder:
        run = Run(folder)
        run.saver.start()
        run.train(stop_after=BATCHES + 1)
        before = contents(tmp_path)
        run.model.params["fc1.weight"][0, 0] = np.nan
        with pytest.raises(NonFiniteLoss, match=r"fc1.weight is not finite.*smaller learning rate"):
            run.saver.save()
        run.saver.close()
    assert contents(tmp_path) == before


# The folder


def test_two_runs_in_one_folder_are_refused(tmp_path):
    with RunFolder(tmp_path), pytest.raises(RunFolderError, match=r"another run .process [0-9]+. is writing here"):
        RunFolder(tmp_path, resume=True).__enter__()
    with RunFolder(tmp_path):
        pass


def test_a_folder_that_holds_a_run_is_refused_unless_asked(tmp_path):
    train_in_one_go(tmp_path)
    before = contents(tmp_path)
    with pytest.raises(RunFolderError, match=r"holds a run already .*--resume.*--overwrite"):
        RunFolder(tmp_path).__enter__()
    assert contents(tmp_path) == before
    (tmp_path / "mine.txt").write_text("kept")
    with RunFolder(tmp_path, overwrite=True):
        assert not any((tmp_path / name).exists() for name in before)
    assert sorted(path.name for path in tmp_path.iterdir()) == [".lock", "mine.txt"]


def test_resuming_where_nothing_is_is_refused(tmp_path):
    with pytest.raises(RunFolderError, match="no such folder"):
        RunFolder(tmp_path / "nothing", resume=True).__enter__()
    assert not (tmp_path / "nothing").exists()


def test_the_identity_is_json_and_depends_on_every_byte_of_the_data():
    model = network()
    identity = run_identity({"lr": 0.1}, model, DATA)
    assert json.loads(json.dumps(identity)) == identity
    other = [DATA[0].copy(), DATA[1]]
    other[0][-1, -1, -1] ^= 1
    changed = run_identity({"lr": 0.1}, model, other)
    assert {key for key in identity if identity[key] != changed[key]} == {"data set"}


def test_the_identity_depends_on_the_source_files_of_every_folder(tmp_path, monkeypatch):
    assert Path(synann_np.__file__).parent == PACKAGE
    original = source_hash()
    copy = shutil.copytree(PACKAGE, tmp_path / "copy", ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr("synann_np.programs.runs.identity.PACKAGE", copy)
    assert source_hash() == original
    files = [path for path in sorted(copy.rglob("*")) if path.suffix in (".py", ".c", ".h", ".cu")]
    after = {path for path in files if path.relative_to(copy).as_posix().startswith(AFTER_TRAINING)}
    assert {"identity.py", "conv2d.c", "linear.py", "train.py"} <= {path.name for path in {*files} - after}
    assert copy / "programs" / "pictures" / "training.py" in after
    one_of_each_kind = {(path.parent, path.suffix, path in after): path for path in files}
    for path in one_of_each_kind.values():
        content = path.read_bytes()
        path.write_bytes(content + b"#")
        assert (source_hash() == original) == (path in after), path
        path.write_bytes(content)
    assert source_hash() == original


def test_what_is_no_source_is_no_other_version_of_the_code(tmp_path, monkeypatch):
    copy = shutil.copytree(PACKAGE, tmp_path / "copy", ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr("synann_np.programs.runs.identity.PACKAGE", copy)
    original = source_hash()
    for name in (".DS_Store", "layers/.DS_Store", "layers/linear.py~", "layers/#linear.py#", "layers/.linear.py.swp",
                 "layers/.#linear.py", "layers/linear.py.orig", "fast/Thumbs.db", "notes.txt"):  # fmt: skip
        (copy / name).write_bytes(b"x")
    (copy / "layers" / ".#softmax.py").symlink_to("nobody@nowhere.123")
    assert source_hash() == original
    (copy / "layers" / "gru.py").write_bytes(b"")
    assert source_hash() != original
