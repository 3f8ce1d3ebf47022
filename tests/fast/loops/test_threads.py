"""The pool of threads: every part once, forks, several callers, and nothing left behind."""

import ctypes
import multiprocessing
import os
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from fast.loops.compiled import require
from synann_np import fast
from synann_np.fast.loops.compiler import POOL, library
from synann_np.losses import nll_loss
from synann_np.models import SynaNN
from synann_np.optim import SGD

PART = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_int64, ctypes.c_int64)


@pytest.fixture
def pool():
    require()
    loaded = library(POOL)
    loaded.run.argtypes = [PART, ctypes.c_void_p, ctypes.c_int64, ctypes.c_int64]
    loaded.run.restype = None
    return loaded


@pytest.mark.parametrize("threads", [1, 2, 5])
@pytest.mark.parametrize("parts", [0, 1, 2, 7, 100])
def test_every_part_is_done_once_and_seats_are_below_the_number_of_threads(pool, parts, threads):
    done = []
    pool.run(PART(lambda job, part, seat: done.append((part, seat))), None, parts, threads)
    assert sorted(part for part, _ in done) == list(range(parts))
    assert all(0 <= seat < threads for _, seat in done)


def test_parts_run_side_by_side(pool):
    ctypes.c_double.in_dll(pool, "alone_until").value = 0
    meeting = threading.Barrier(2, timeout=30)  # broken unless two threads are in it at a time
    met = []
    pool.run(PART(lambda job, part, seat: met.append(meeting.wait())), None, 2, 2)
    assert sorted(met) == [0, 1]


def test_after_a_long_wait_for_another_thread_callers_work_alone_for_a_while(pool):
    alone_until = ctypes.c_double.in_dll(pool, "alone_until")
    alone_until.value, met, caller, threads = 0, threading.Barrier(2, timeout=30), threading.get_ident(), set()

    def part(job, part, seat):
        met.wait()
        if threading.get_ident() != caller:
            time.sleep(0.05)  # as if another program had its core

    pool.run(PART(part), None, 2, 2)
    assert time.monotonic() - 0.05 < alone_until.value < time.monotonic() + 0.1
    alone_until.value += 60
    pool.run(PART(lambda job, part, seat: threads.add(threading.get_ident())), None, 100, 2)
    assert threads == {caller}
    alone_until.value = 0


def test_a_part_may_start_a_job_of_its_own(pool):
    done = []
    inner = PART(lambda job, part, seat: done.append(part))
    pool.run(PART(lambda job, part, seat: pool.run(inner, None, 3, 2)), None, 4, 2)
    assert sorted(done) == sorted(4 * [0, 1, 2])


def trained(steps=3, threads=2):
    rng = np.random.default_rng(0)
    model, optimizer = SynaNN(), SGD(0.1, 0.5)
    compiled = fast.compile(model, threads)
    for step in range(steps):
        x = rng.standard_normal((20, 1, 28, 28)).astype("float32")
        y, caches = compiled.forward(x, True, step)
        _, grads = compiled.backward(nll_loss(y, rng.integers(0, 10, 20))[1], caches)
        optimizer.step(compiled.params, grads)
    return b"".join(a.tobytes() for a in model.state_dict().values())


def threads_here():
    tasks = Path("/proc/self/task")
    return len(list(tasks.iterdir())) if tasks.exists() else None


def send_trained(pipe):
    before = threads_here()
    pipe.send_bytes(trained())
    pipe.send(before is None or threads_here() > before)


def test_a_forked_child_trains_with_threads_of_its_own(pool):
    expected = trained()
    assert ctypes.c_int64.in_dll(pool, "threads_started").value >= 1
    context = multiprocessing.get_context("fork")
    for _ in range(2):
        ours, theirs = context.Pipe()
        child = context.Process(target=send_trained, args=(theirs,))
        child.start()
        assert ours.poll(60), "the child hangs"
        assert ours.recv_bytes() == expected
        assert ours.recv(), "the child has started no thread"
        child.join(60)
        assert child.exitcode == 0
    assert trained() == expected


def predicted():
    """Log-probabilities of some images by a network of known weights."""
    images = np.random.default_rng(1).standard_normal((20, 1, 28, 28)).astype("float32")
    return fast.compile(SynaNN(), 2).forward(images)[0]


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of Python 3.12 on: a process with threads forks
def test_children_of_joblib_train_and_predict(pool):
    joblib = pytest.importorskip("joblib")
    here = trained(), predicted()
    assert ctypes.c_int64.in_dll(pool, "threads_started").value >= 1
    with joblib.Parallel(n_jobs=2, backend="multiprocessing", timeout=60) as children:
        assert children([joblib.delayed(trained)()] * 2) == [here[0]] * 2
        assert all(np.array_equal(y, here[1]) for y in children([joblib.delayed(predicted)()] * 2))


def test_several_python_threads_may_train_at_once():
    require()
    expected = trained()
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(lambda _: trained(), range(4))) == [expected] * 4


def test_fifty_models_leave_no_thread_and_no_file_behind():
    require()
    trained(1)
    threads, files = len(os.listdir("/proc/self/task")), len(os.listdir("/proc/self/fd"))
    for _ in range(50):
        fast.compile(SynaNN(), 2).forward(np.zeros((4, 1, 28, 28), "float32"))
    assert len(os.listdir("/proc/self/task")) <= threads
    assert len(os.listdir("/proc/self/fd")) <= files


def test_where_memory_is_short_there_is_a_result_or_a_memory_error():
    """Address space that ends: the same bits with two threads as with one, until an allocation is refused."""
    require()
    program = """
import resource
from fast.loops.test_threads import trained
alone = trained(1, threads=1)
used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
for spare in (64 << 20, 16 << 20, 4 << 20, 1 << 20, 0):
    resource.setrlimit(resource.RLIMIT_AS, (used + spare, resource.RLIM_INFINITY))
    try:
        assert trained(1, threads=2) == alone
    except MemoryError:
        pass
resource.setrlimit(resource.RLIMIT_AS, (resource.RLIM_INFINITY,) * 2)
print(trained(1, threads=2) == alone)
"""
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path), "OPENBLAS_NUM_THREADS": "1"}
    run = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=False)
    assert (run.returncode, run.stdout) == (0, "True\n"), run.stderr


def test_without_threads_to_be_had_the_caller_works_alone():
    """A limit on the threads of this user: the same bits, and no failure. Root is not bound by it: as another user."""
    require()
    program = """
import hashlib, os, resource, sys
from fast.loops.test_threads import trained
alone = trained(1, threads=1)
if os.geteuid() == 0:
    os.setuid(65534)
resource.setrlimit(resource.RLIMIT_NPROC, (1, 1))
print(trained(1, threads=4) == alone)
"""
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    run = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=False)
    assert (run.returncode, run.stdout) == (0, "True\n"), run.stderr
