"""The training program on several ranks: its files, and how all ranks end together."""

import re
import signal
import subprocess
import time
from types import SimpleNamespace

import pytest

from distributed.mpiexec import command, environment, mpiexec
from distributed.small_run import FAULTY, SCRIPT, hashes, small_run
from in_process import train
from synann_np.optim import SGD
from synann_np.storage.checkpoint import read_checkpoint, to_bytes
from synann_np.storage.optimizer_state import restore_optimizer

TOGETHER = 5  # seconds after which no rank is left


@pytest.fixture(scope="module")
def options(tmp_path_factory):
    return small_run(tmp_path_factory.mktemp("data"))


@pytest.fixture(scope="module")
def whole(options, tmp_path_factory):
    """The hashes of the files of one process, without MPI, that nothing interrupts."""
    out = tmp_path_factory.mktemp("whole") / "run"
    run = train(*options, "--out", out)
    assert run.returncode == 0, run.stderr
    return hashes(out)


@pytest.fixture
def faulty(mpi, options, tmp_path):
    """Function: a run with a fault on two ranks, into tmp_path / "run"."""

    def run(fault, rank, step, *more, ranks=2):
        arguments = [*options, "--distributed", "mpi", "--out", tmp_path / "run", *more]
        return mpiexec(ranks, FAULTY, fault, rank, step, *arguments)

    return run


def test_four_ranks_write_the_files_of_one_process_and_its_log_once(mpi, options, whole, tmp_path):
    run = mpiexec(4, FAULTY, "none", 0, 0, *options, "--distributed", "mpi", "--out", tmp_path / "run")
    assert run.returncode == 0, run.stderr
    assert hashes(tmp_path / "run") == whole
    assert run.stdout.count("Validation set:") == 3
    assert run.stdout.count("Test set:") == 1
    assert "Batch of 48 = 4 chunks of 12 on 4 ranks; 5 steps an epoch" in run.stdout
    assert "distributed" not in (tmp_path / "run" / "run.json").read_text()


@pytest.mark.parametrize("rank", [0, 1])
def test_a_killed_rank_ends_all_and_the_run_is_resumed_on_other_ranks_to_the_same_bytes(
    rank, faulty, whole, options, tmp_path
):
    run = faulty("kill", rank, 12)
    assert run.returncode == 9
    assert "KILLED BY SIGNAL: 9" in run.stdout + run.stderr or "EXIT CODE: 9" in run.stdout + run.stderr
    assert run.seconds < TOGETHER
    if rank == 0:  # on one process, without MPI
        resumed = train("--resume", tmp_path / "run")
    else:
        resumed = mpiexec(4, FAULTY, "none", 0, 0, "--resume", tmp_path / "run", "--distributed", "mpi")
    assert resumed.returncode == 0, resumed.stderr
    assert "after 2 epochs and 10 steps" in resumed.stdout
    assert hashes(tmp_path / "run") == whole


SHARD = ("--model", "mlp", "--hidden", 16, "--shard", "--lr", 0.5)


def test_a_sharded_run_is_resumed_on_other_ranks_and_its_files_are_those_of_one_process(faulty, options, tmp_path):
    one = train(*options, *SHARD, "--out", tmp_path / "one")
    assert one.returncode == 0, one.stderr
    run = faulty("kill", 1, 12, *SHARD)
    assert run.returncode == 9, run.stderr
    resumed = mpiexec(4, FAULTY, "none", 0, 0, "--resume", tmp_path / "run", "--distributed", "mpi")
    assert resumed.returncode == 0, resumed.stderr
    assert "after 2 epochs and 10 steps" in resumed.stdout
    assert "Of the 16 units of the synapse layer, each rank has 4" in resumed.stdout
    assert resumed.stdout.count("Test set:") == 1
    assert hashes(tmp_path / "run") == hashes(tmp_path / "one")
    checkpoint = read_checkpoint(tmp_path / "run" / "last.safetensors")
    model = checkpoint.build()
    average = SimpleNamespace(arrays=checkpoint.state, updates=checkpoint.average["updates"])
    model.load_state_dict(checkpoint.weights)
    optimizer = SGD(0.5)
    restore_optimizer(checkpoint, optimizer, model)
    expected = to_bytes(model, optimizer, checkpoint.training, average)
    assert (tmp_path / "run" / "last.safetensors").read_bytes() == expected


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--model", "synann", "--shard"], "--shard: needs --model mlp and --hidden N"),
        (["--model", "mlp", "--shard"], "--shard: needs --model mlp and --hidden N"),
        (["--model", "mlp", "--hidden", "20", "--shard"], "must be a multiple of --chunks, got 20 and 8"),
        (["--model", "mlp", "--hidden", "16", "--shard", "--chunks", "0"], "must be a multiple of --chunks"),
        (["--model", "mlp", "--hidden", "16", "--shard", "--tensorboard", "x"], "--tensorboard: not with --shard"),
        (["--model", "cnn", "--hidden", "16"], "--hidden: not with --model cnn"),
    ],
)
def test_what_cannot_be_sharded_is_refused_in_one_line(words, message):
    run = train(*words)
    assert run.returncode == 2
    assert message in run.stderr


@pytest.mark.parametrize(
    ("fault", "rank", "code", "words"),
    [
        ("exception", 1, 1, "rank 1 of 2:"),
        ("exit_2", 1, 2, "rank 1 of 2 ended with code 2"),
        ("exit_0", 1, 1, "rank 1 of 2 ended with code 0"),
        ("nan", 1, 1, "train_mnist: the loss is NaN"),
        ("bit", 1, 1, "the weights are no longer equal on all ranks"),
        ("save", 0, 2, "cannot be written"),
    ],
)
def test_what_goes_wrong_on_one_rank_ends_all_with_its_code_and_one_message(fault, rank, code, words, faulty):
    run = faulty(fault, rank, 3, "--stop-if-unsaved")
    assert run.returncode == code, run.stderr
    assert words in run.stderr
    assert "Traceback" not in run.stderr or fault == "exception"
    assert run.seconds < TOGETHER


def test_a_signal_to_one_rank_stops_all_at_one_record_and_saves(faulty):
    run = faulty("terminate", 1, 7)
    assert run.returncode == 128 + signal.SIGTERM, run.stderr
    assert re.search(r"Stopped after \d epochs and \d+ steps, saved. Continue: ", run.stdout)
    assert run.seconds < TOGETHER


def test_ctrl_c_at_mpiexec_stops_all_ranks_and_saves(mpi, options, tmp_path):
    arguments = [
        *options,
        "--epochs",
        4000,
        "--schedule",
        "constant",
        "--distributed",
        "mpi",
        "--out",
        tmp_path / "run",
    ]
    with subprocess.Popen(
        command(2, SCRIPT, *arguments), env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as run:
        for line in run.stdout:
            if line.startswith("Train Epoch: 2"):
                run.send_signal(signal.SIGINT)
                sent = time.monotonic()
                break
        out, err = run.communicate(timeout=60)
    assert time.monotonic() - sent < TOGETHER
    assert "steps, saved. Continue: " in out, err
    assert (tmp_path / "run" / "last.safetensors").exists()


def test_early_stopping_ends_all_ranks(faulty):
    run = faulty("none", 0, 0, "--lr", 0, "--patience", 1, "--schedule", "constant")
    assert run.returncode == 0, run.stderr
    assert "Stopped early" in run.stdout
    assert run.seconds < TOGETHER


def test_too_many_ranks_are_refused_in_one_line(faulty):
    run = faulty("none", 0, 0, "--chunks", 1)
    assert run.returncode == 2
    assert "1 chunks on 2 ranks" in run.stderr
    assert "Traceback" not in run.stderr


def test_without_distributed_the_processes_of_mpiexec_are_refused(mpi, options, tmp_path):
    run = mpiexec(2, SCRIPT, *options, "--out", tmp_path / "run")
    assert run.returncode == 2
    assert "add --distributed mpi" in run.stderr
