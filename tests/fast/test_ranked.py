"""A model whose rows are shared out to processes: its numbers, and that nothing is left of them."""

import itertools
import os
import platform
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from synann_np.fast import compile
from synann_np.fast.blocked import Blocked
from synann_np.fast.ranked import ALONE, TOGETHER, Ranked
from synann_np.layers import BatchNorm2d, Conv2d, Flatten, Linear, LogSoftmax, MaxPool2d, ReLU
from synann_np.losses import nll_loss
from synann_np.models import SynaNN
from synann_np.optim import SGD
from synann_np.sequential import Sequential

pytestmark = pytest.mark.skipif(
    sys.platform != "linux" or platform.machine() != "x86_64", reason="processes share memory on Linux on x86 only"
)


def batch(N, seed=0):
    rng = np.random.default_rng(seed)
    return rng.standard_normal((N, 1, 28, 28)).astype("float32"), rng.integers(0, 10, N)


@pytest.fixture
def ranked():
    """Makes ranked models, and closes them."""
    models = []

    def make(model=None, threads=2, **arguments):
        models.append(compile(model or SynaNN(), threads=threads, **arguments))
        assert type(models[-1]) is Ranked
        return models[-1]

    yield make
    for model in models:
        model.close()


def assert_close(a, b, tolerance):
    assert a.keys() == b.keys()
    for name in a:
        assert np.abs(a[name] - b[name]).max() <= tolerance * max(1, np.abs(a[name]).max()), name


def step(model, x, labels, number):
    log_probs, caches = model.forward(x, train=True, step=number)
    _, dlog_probs = nll_loss(log_probs, labels)
    return model.backward(dlog_probs, caches)


@pytest.mark.parametrize("threads", [2, 3])
def test_batches_of_changing_size_train_as_the_plain_model(ranked, threads):
    plain, copy = SynaNN(), SynaNN()
    fast = ranked(copy, threads)
    for model in (plain, fast):
        optimizer = SGD(0.012, 0.5)
        for number, N in enumerate([100, 100, 37, 5, 2, 230, 100]):
            _, grads = step(model, *batch(N, number), number)
            optimizer.step(model.params, grads)
    assert_close(plain.state_dict(), copy.state_dict(), 2e-5)


def test_calls_may_be_interleaved_and_repeated(ranked):
    plain, fast = SynaNN(), ranked()
    expected, found = [], []
    for model, results in ((plain, expected), (fast, found)):
        calls = [model.forward(batch(N, N)[0], True, N) for N in (40, 41, 40)]
        evaluated = model.forward(batch(33)[0])
        results += [model.backward(y, caches) for y, caches in [*reversed(calls), calls[1], evaluated]]
    for (dx, grads), (fast_dx, fast_grads) in zip(expected, found, strict=True):
        assert_close(grads | {"dx": dx}, fast_grads | {"dx": fast_dx}, 2e-5)


def test_gradients_are_not_overwritten_by_the_next_step(ranked):
    fast = ranked()
    dx, grads = step(fast, *batch(30), 0)
    before = {name: g.copy() for name, g in (grads | {"dx": dx}).items()}
    step(fast, *batch(30, 1), 1)
    for name, g in (grads | {"dx": dx}).items():
        assert np.array_equal(g, before[name]), name


def test_changes_of_the_layers_reach_the_other_ranks(ranked):
    plain, copy = SynaNN(), SynaNN()
    fast = ranked(copy)
    x, labels = batch(30)
    step(fast, x, labels, 0)
    other = SynaNN(seed=6).state_dict()
    for model in (plain, copy):
        model.load_state_dict(other)
        model.layers["fc1"].params["weight"] = 2 * model.layers["fc1"].params["weight"]
        model.layers["fc1_drop"].p, model.layers["fc1_drop"].scale = 0.25, 4 / 3
    _, expected = step(plain, x, labels, 1)
    _, grads = step(fast, x, labels, 1)
    assert_close(expected, grads, 2e-5)
    SGD(0.1).step(fast.params, grads)
    SGD(0.1).step(plain.params, expected)
    assert_close(plain.state_dict(), copy.state_dict(), 2e-5)


@pytest.mark.parametrize("input_gradient", [True, False])
@pytest.mark.parametrize("as_bytes", [True, False])
@pytest.mark.parametrize("threads", [2, 3])
def test_a_rank_that_goes_on_alone_gives_the_same_bits(ranked, threads, as_bytes, input_gradient):
    """Always together, always alone, now so and now so: the time must not decide about numbers."""
    results = []
    for ways in ([TOGETHER], [ALONE], [TOGETHER, ALONE, ALONE]):
        fast, optimizer = ranked(SynaNN(), threads, input_gradient=input_gradient), SGD(0.012, 0.5)
        turns = itertools.cycle(ways)
        for pace in fast.paces.values():
            pace.choose = lambda turns=turns: next(turns)
        for number in range(6):
            x, labels = batch(37, number)
            if as_bytes:
                x = (100 * np.abs(x[:, 0])).astype("uint8")
            dx, grads = step(fast, x, labels, number)
            optimizer.step(fast.params, grads)
        y, _ = fast.forward(x)
        results.append([y, *([dx] if input_gradient else []), *fast.state_dict().values()])
    for other in results[1:]:
        assert all(np.array_equal(a, b) for a, b in zip(results[0], other, strict=True))


def test_both_ways_are_tried_and_their_times_noted(ranked):
    fast, ways = ranked(), []
    for pace in fast.paces.values():
        pace.took = lambda way, seconds, ways=ways: ways.append((way, seconds > 0))
        pace.choose = itertools.cycle([TOGETHER, ALONE]).__next__
    for number in range(2):
        step(fast, *batch(20), number)
    for _ in range(2):
        fast.forward(batch(20)[0])
    assert ways == [(TOGETHER, True), (ALONE, True)] * 2


def test_a_call_that_was_made_alone_needs_nobody_after_close(ranked):
    fast = ranked()
    fast.paces[True].choose = lambda: ALONE
    y, caches = fast.forward(batch(20)[0], True)
    fast.close()
    _, grads = fast.backward(y, caches)
    assert np.isfinite(grads["conv1.weight"]).all()


def test_caches_of_forward_calls_without_backward_are_dropped(ranked):
    fast = ranked()
    for number in range(80):
        y, caches = fast.forward(batch(100)[0], True, number)
        if number == 9:
            before = resident(fast)
    assert resident(fast) < 1.2 * before  # 70 calls would hold 5 MB and more each
    fast.backward(y, caches)


def resident(fast):
    status = Path(f"/proc/{fast.team.processes[0].pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in status if line.startswith("VmRSS"))


def test_an_exception_in_another_rank_is_raised_here_and_the_model_goes_on(ranked):
    fast = ranked()
    x, _ = batch(30)
    expected, _ = fast.forward(x)
    x[-1] = 1e38  # out of range, and in the tests that is an error: in the last row, which rank 1 computes
    with pytest.raises(FloatingPointError, match="flow encountered") as raised:
        fast.forward(x)
    assert "In rank 1:" in raised.value.__notes__[0]
    assert np.array_equal(fast.forward(batch(30)[0])[0], expected)
    with np.errstate(all="ignore"):
        fast.forward(x)


def test_an_exception_of_this_process_leaves_the_others_ready(ranked):
    fast = ranked()
    x, _ = batch(30)
    expected, _ = fast.forward(x)
    x[0] = 1e38
    with pytest.raises(FloatingPointError):
        fast.forward(x)
    with pytest.raises(ValueError, match="Conv2d"):
        fast.forward(np.zeros((8, 3, 28, 28), "float32"))
    with pytest.raises(TypeError, match="float32"):
        fast.forward(np.zeros((8, 1, 28, 28)))
    assert np.array_equal(fast.forward(batch(30)[0])[0], expected)


def test_a_killed_rank_is_an_error_that_names_it_and_the_weights_are_whole(ranked):
    model = SynaNN()
    fast = ranked(model)
    x, _ = batch(30)
    y, caches = fast.forward(x, True)
    before = model.state_dict()
    os.kill(fast.team.processes[0].pid, signal.SIGKILL)
    with pytest.raises(ChildProcessError, match=r"rank 1 .* code -9"):
        fast.backward(y, caches)
    with pytest.raises(ChildProcessError, match="gone"):
        fast.backward(y, caches)
    assert all(np.array_equal(before[name], a) for name, a in model.state_dict().items())
    expected, _ = model.forward(x)
    assert np.abs(fast.forward(x)[0] - expected).max() < 1e-5


def test_interrupts_are_left_to_this_process(ranked):
    fast = ranked()
    x, _ = batch(30)
    expected, _ = fast.forward(x)
    for number in (signal.SIGINT, signal.SIGTERM):
        os.kill(fast.team.processes[0].pid, number)
    assert np.array_equal(fast.forward(x)[0], expected)


def test_an_interrupt_in_a_call_does_not_mix_up_the_next_one(ranked, monkeypatch):
    fast = ranked()
    x, _ = batch(30)
    expected, _ = fast.forward(x)

    waits = iter([fast.team.wait])  # one before the order, one behind it

    def interrupted():
        return next(waits, no_more)()

    def no_more():
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(fast.team, "wait", interrupted)
        with pytest.raises(KeyboardInterrupt):
            fast.forward(batch(30, 1)[0])
    assert np.array_equal(fast.forward(x)[0], expected)


def test_an_idle_rank_sleeps(ranked):
    fast = ranked()
    fast.forward(batch(30)[0])
    time.sleep(0.3)
    pid = fast.team.processes[0].pid
    before, began = cpu_seconds(pid), time.monotonic()
    time.sleep(1)
    assert cpu_seconds(pid) - before < 0.05 * (time.monotonic() - began)


def cpu_seconds(pid):
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def test_close_leaves_nothing_and_may_be_repeated():
    here = Path("/proc/self/fd"), Path("/dev/shm")
    before = [len(list(place.iterdir())) for place in here]
    with compile(SynaNN(), threads=3) as fast:
        x, _ = batch(30)
        expected, _ = fast.forward(x)
        pids = [process.pid for process in fast.team.processes]
        assert len(pids) == 2
    fast.close()
    assert not any(Path(f"/proc/{pid}").exists() for pid in pids)
    assert np.abs(fast.forward(x)[0] - expected).max() < 1e-5
    del fast
    assert [len(list(place.iterdir())) for place in here] == before


def test_a_model_that_goes_takes_its_processes_along():
    fast = compile(SynaNN(), threads=2)
    fast.forward(batch(4)[0])
    pid = fast.team.processes[0].pid
    del fast
    assert not Path(f"/proc/{pid}").exists()


PROGRAM = """
import os, sys, time
import numpy as np
from synann_np.fast import compile
from synann_np.models import SynaNN
fast = compile(SynaNN(), threads=2)
x = np.zeros((10, 1, 28, 28), "float32")
y, _ = fast.forward(x)
print(fast.team.processes[0].pid, flush=True)
"""


@pytest.mark.parametrize("how", ["kill", "exit", "error"])
def test_no_end_of_this_process_leaves_a_rank(how):
    end = {"kill": "time.sleep(60)", "exit": "", "error": "1 / 0"}[how]
    done = subprocess.Popen(
        [sys.executable, "-c", PROGRAM + end], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    pid = int(done.stdout.readline())
    if how == "kill":
        done.kill()
    done.wait()
    done.stdout.close()
    for _ in range(100):
        if not Path(f"/proc/{pid}").exists():
            return
        time.sleep(0.1)
    pytest.fail(f"rank 1, process {pid}, lives on")


def test_a_fork_computes_alone_and_ends_nobody():
    fork = """
ones, _ = fast.forward(x + 1)
child = os.fork()
if not child:
    y2, _ = fast.forward(x)
    sys.exit(int(np.abs(y2 - y).max() > 1e-5))
code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
print(code, np.array_equal(fast.forward(x + 1)[0], ones), np.array_equal(fast.forward(x)[0], y))
"""
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", PROGRAM + fork], capture_output=True, text=True)
    assert done.stdout.split()[1:] == ["0", "True", "True"], done.stderr


def without_convolution():
    return Sequential([("fc", Linear(6, 3, rng=np.random.default_rng(0))), ("log", LogSoftmax())])


class Mine(ReLU):
    """A layer of the user, which other processes may not be able to import."""


def with_own_layer():
    rng = np.random.default_rng(0)
    first = [("conv", Conv2d(1, 2, 5, rng=rng)), ("pool", MaxPool2d(2)), ("relu", ReLU()), ("mine", Mine())]
    return Sequential([*first, ("flatten", Flatten()), ("fc", Linear(288, 10, rng=rng))])


def with_a_convolution_behind_batch_norm():
    first = [("conv", Conv2d(1, 2, 5)), ("pool", MaxPool2d(2)), ("relu", ReLU())]
    return Sequential([*first, ("bn", BatchNorm2d(2)), ("conv2", Conv2d(2, 2, 5))])


@pytest.mark.parametrize("make", [without_convolution, with_own_layer, with_a_convolution_behind_batch_norm])
def test_what_cannot_be_shared_out_or_does_not_pay_runs_in_one_process(make):
    assert type(compile(make(), threads=2)) is Blocked


def test_other_processors_and_one_thread_run_in_one_process(monkeypatch):
    assert type(compile(SynaNN(), threads=1)) is Blocked
    monkeypatch.setattr(platform, "machine", lambda: "aarch64")
    assert type(compile(SynaNN(), threads=2)) is Blocked
