"""What all tests share: arithmetic is stricter than users have it, and chance is seeded."""

import atexit
import gc
import os
import shutil
import tempfile

# Before NumPy loads its BLAS: on a busy machine two threads of BLAS wait for each other, and no test is about speed.
for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ.setdefault(name, "1")

# What is compiled is compiled anew, and leaves nothing behind.
if "SYNANN_CACHE" not in os.environ:
    os.environ["SYNANN_CACHE"] = tempfile.mkdtemp(prefix="synann_np-tests-")
    atexit.register(shutil.rmtree, os.environ["SYNANN_CACHE"], ignore_errors=True)

# Programs that tests start read bytecode, where it may be written, instead of compiling the package each time.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)

import numpy as np
import pytest

pytest.register_assert_rewrite("layers.standard")


@pytest.fixture(autouse=True)
def strict_arithmetic():
    """Overflow, underflow, division by zero and NaN from numbers raise FloatingPointError in every test."""
    with np.errstate(all="raise"):
        yield


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item):
    """With SYNANN_REQUIRE_GPU set, a test that needs a GPU and is skipped has failed: where one is, all of them run."""
    report = yield
    if report.skipped and os.environ.get("SYNANN_REQUIRE_GPU") and item.get_closest_marker("gpu"):
        report.outcome = "failed"
        report.longrepr = f"skipped, though SYNANN_REQUIRE_GPU is set: {report.longrepr[2]}"
    return report


def pytest_runtest_setup(item):
    if item.get_closest_marker("slow") and not os.environ.get("SYNANN_TEST_SLOW"):
        pytest.skip("takes many seconds: SYNANN_TEST_SLOW=1 runs it")


def pytest_collection_finish():
    """What has been collected stays to the end: every full garbage collection would go through it again, for 0.2 s."""
    gc.collect()
    gc.freeze()


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    """With -n, neighbours stay on one worker: fixtures of a file, such as a browser, are made once and not by each."""
    if config.getvalue("dist") != "load":
        return None  # another --dist was asked for
    from xdist.scheduler import WorkStealingScheduling

    return WorkStealingScheduling(config, log)


@pytest.fixture
def rng():
    return np.random.default_rng(5)
