"""Event files, read back by TensorBoard itself."""

import struct
import subprocess
import sys

import numpy as np
import pytest

pytest.importorskip("tensorboard")

from tensorboard.backend.event_processing.plugin_event_accumulator import EventAccumulator

from in_process import train
from stripes import stripes
from synann_np import fast, layers
from synann_np.bridges.tensorboard import TensorBoard, synapses
from synann_np.layers.residual import Residual
from synann_np.models import MODELS
from synann_np.optim import SGD
from synann_np.sequential import Sequential
from synann_np.train import EvalRecord, TrainRecord, fit


@pytest.fixture(autouse=True)
def usual_arithmetic():
    with np.errstate(all="warn", under="ignore"):
        yield


def read(folder):
    """What TensorBoard shows of a folder."""
    return EventAccumulator(str(folder), size_guidance={"tensors": 0}).Reload()


def scalars(board, name):
    return [(event.step, float(event.tensor_proto.float_val[0])) for event in board.Tensors(name)]


@pytest.fixture
def small_mnist(tmp_path):
    """Files in MNIST's format."""
    folder = tmp_path / "data"
    folder.mkdir()
    for split, n in (("train", 60), ("t10k", 20)):
        images, labels = stripes(n, seed=n)
        for kind, a in (("images-idx3", images), ("labels-idx1", labels)):
            header = struct.pack(f">4B{a.ndim}I", 0, 0, 8, a.ndim, *a.shape)
            (folder / f"{split}-{kind}-ubyte").write_bytes(header + a.tobytes())
    return folder


def synapse_net():
    rng = np.random.default_rng(0)
    return Sequential(
        [
            ("fc1", layers.Linear(4, 5, rng=rng)),
            ("sigmoid", layers.Sigmoid()),
            ("fcn", layers.Synapse(5, "logistic", rng=rng)),
            ("fc2", layers.Linear(5, 3, rng=rng)),
            ("log_softmax", layers.LogSoftmax()),
        ]
    )


def test_losses_accuracy_rate_and_histograms_of_a_run(tmp_path, rng):
    x, labels = rng.standard_normal((30, 4)).astype("float32"), rng.integers(0, 3, 30)
    model, optimizer = synapse_net(), SGD(0.25)
    with TensorBoard(tmp_path, model, optimizer) as board:
        run = fit(
            fast.compile(model), optimizer, (x, labels), (x, labels), 2, batch_size=10, log_interval=2,
            callbacks=[board], metrics={"top": lambda y, targets: 0.5},
        )  # fmt: skip
        records = list(run)
    shown = read(tmp_path)
    train, test = ([r for r in records if isinstance(r, kind)] for kind in (TrainRecord, EvalRecord))
    assert scalars(shown, "loss/train") == [(r.step, pytest.approx(r.loss)) for r in train]
    assert scalars(shown, "learning_rate") == [(r.step, 0.25) for r in train]
    assert scalars(shown, "loss/test") == [(r.step, pytest.approx(r.loss)) for r in test]
    assert scalars(shown, "accuracy/test") == [(r.step, pytest.approx(r.accuracy)) for r in test]
    assert scalars(shown, "top/test") == [(3, 0.5), (6, 0.5)]
    for name, a in zip(("fcn/alpha", "fcn/beta"), model.layers["fcn"].coefficients(), strict=True):
        events = shown.Tensors(name)
        assert [event.step for event in events] == [3, 6]
        buckets = np.frombuffer(events[-1].tensor_proto.tensor_content).reshape(-1, 3)  # left, right, count
        assert buckets[:, 2].sum() == a.size
        assert (buckets[0, 0], buckets[-1, 1]) == (pytest.approx(a.min()), pytest.approx(a.max()))


def test_every_synapse_of_a_model_is_found():
    names = {name: [found for found, _ in synapses("", make(seed=1))] for name, make in MODELS.items()}
    assert names["synann"] == names["mlp"] == names["cnn"] == ["fcn"]
    assert (names["rnn"], names["tanh_rnn"]) == (["rnn"], [])
    skipped = Residual(Sequential([("fcn", layers.Synapse(3))]))
    assert [found for found, _ in synapses("", Sequential([("skip", skipped)]))] == ["skip/fcn"]
    assert [found for found, _ in synapses("", Sequential([("skip", Residual(layers.Synapse(3)))]))] == ["skip"]
    inner = Sequential([("deep", layers.SynapseTensor(3, (2,)))])
    assert [found for found, _ in synapses("", Sequential([("block", inner)]))] == [
        "block/deep/hidden1", "block/deep/output",
    ]  # fmt: skip


def test_a_resumed_run_hides_what_was_written_beyond_its_step(tmp_path):
    for step, losses in ((0, (1.0, 2.0, 3.0)), (2, (30.0,))):
        with TensorBoard(tmp_path, step=step) as board:
            for number, loss in enumerate(losses, start=step + 1):
                board(TrainRecord(1, number, 0, 10, number, loss))
    assert scalars(read(tmp_path), "loss/train") == [(1, 1.0), (2, 2.0), (3, 30.0)]


def test_targets_that_are_no_labels_have_no_accuracy(tmp_path):
    with TensorBoard(tmp_path) as board:
        assert board(EvalRecord(1, 5, 0.5, None, 10)) is None
    assert read(tmp_path).Tags()["tensors"] == ["loss/test"]


def test_a_folder_that_cannot_be_written_any_more_is_one_warning_and_training_goes_on(tmp_path, monkeypatch):
    board = TensorBoard(tmp_path)

    def full(event):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(board.writer, "add_event", full)
    with pytest.warns(RuntimeWarning, match=r"cannot be written \(No space left on device\)"):
        board(TrainRecord(1, 0, 0, 10, 1, 0.5))
    board(TrainRecord(1, 1, 0, 10, 2, 0.5))
    board.close()


def test_the_option_of_the_program_writes_all_of_it_and_a_resumed_run_adds(tmp_path, small_mnist):
    out, board = tmp_path / "run", tmp_path / "board"
    options = ["--data-dir", str(small_mnist), "--out", str(out), "--tensorboard", str(board), "--log-interval", "1"]
    assert train(*options, "--epochs", "1", curves=True).returncode == 0
    shown = read(board)
    assert {"loss/train", "learning_rate", "loss/test", "accuracy/test", "fcn/alpha", "fcn/beta"} <= set(
        shown.Tags()["tensors"]
    )
    (curves,) = shown.Tensors("curves")
    assert curves.tensor_proto.string_val[2] == (out / "curves.png").read_bytes()  # after width and height
    assert train("--resume", out, "--epochs", "2").returncode == 0
    assert len(scalars(read(board), "accuracy/test")) == 2


def test_without_tensorboard_the_program_says_so_before_it_writes_anything(tmp_path):
    program = (
        "import sys\nsys.modules['tensorboard'] = None\nfrom synann_np.programs.train import main\n"
        f"sys.exit(main(['--tensorboard', 'board', '--out', {str(tmp_path / 'run')!r}]))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False, cwd=tmp_path)
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "pip install tensorboard" in done.stderr
    assert not list(tmp_path.iterdir())
