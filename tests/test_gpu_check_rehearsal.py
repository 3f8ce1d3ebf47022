"""scripts/gpu_check.py as it will run on a bare GPU machine: from a checkout that is not installed, by a Python with
few packages, from another folder. The GPU is faked (tests/fake_device), the data set and the benchmark are tiny.
"""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from bare_environment import make_bare_environment

ROOT = Path(__file__).resolve().parents[1]
SMALLER = {
    "STEPS = 200": "STEPS = 8",
    "BATCHES = (100, 256, 1000)": "BATCHES = (20, 30, 40)",
    'RECIPES = ("seed, average of the weights", "quick", "best", "mlp", "rnn", "tanh_rnn")': 'RECIPES = ("mlp",)',
}

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="process groups and /proc are Linux's")


@pytest.fixture(scope="module")
def machine(tmp_path_factory):
    """python; start: function of arguments of gpu_check.py -> Popen; folder; environment."""
    folder = tmp_path_factory.mktemp("machine")
    checkout = folder / "checkout"
    for name in ("scripts", "synann_np", "tests"):
        shutil.copytree(ROOT / name, checkout / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", checkout)
    write_data(checkout / "data" / "mnist")
    cases = checkout / "scripts" / "benchmarks" / "gpu_cases.py"
    text = cases.read_text(encoding="utf-8")
    for old, new in SMALLER.items():
        assert old in text
        text = text.replace(old, new)
    cases.write_text(text, encoding="utf-8")
    python = make_bare_environment(folder / "environment")
    paths = [checkout / "tests", checkout / "tests" / "fake_device"]
    environment = {"PATH": os.environ["PATH"], "HOME": str(folder), "PYTHONPATH": os.pathsep.join(map(str, paths))}
    environment |= {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}

    def start(*arguments):
        command = [python, checkout / "scripts" / "gpu_check.py", *arguments]
        return subprocess.Popen(
            list(map(str, command)), env=environment, cwd=folder, start_new_session=True, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip

    return SimpleNamespace(python=python, start=start, folder=folder, environment=environment)


def write_data(folder):
    """A data set of noise in MNIST's format."""
    folder.mkdir(parents=True)
    rng = np.random.default_rng(0)
    for split, n in (("train", 120), ("t10k", 40)):
        for kind, shape, top in (("images-idx3", (n, 28, 28), 256), ("labels-idx1", (n,), 10)):
            header = bytes([0, 0, 8, len(shape)]) + b"".join(size.to_bytes(4, "big") for size in shape)
            content = header + rng.integers(0, top, shape, dtype="uint8").tobytes()
            (folder / f"{split}-{kind}-ubyte").write_bytes(content)


def end_session(process):
    """End everything that a process started, itself included."""
    for path in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError, IndexError):
            session = int(path.read_text().rpartition(")")[2].split()[3])
            if session == process.pid:
                os.kill(int(path.parent.name), signal.SIGKILL)
    process.communicate()


def results_in(folder):
    return json.loads((folder / "results.json").read_text(encoding="utf-8"))


def rows_in(folder):
    """The rows that the benchmark of a step has written so far."""
    try:
        return json.loads((folder / "gpu.json").read_text(encoding="utf-8")).get("step", {})
    except FileNotFoundError:
        return {}


def files_in(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def wait_for_rows(process, folder):
    """The rows at the moment when there are some but not all."""
    end = time.monotonic() + 120
    while not (rows := rows_in(folder)):
        assert process.poll() is None, process.stdout.read()
        assert time.monotonic() < end, "no row in two minutes"
        time.sleep(0.02)
    return rows


@pytest.mark.slow
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM], ids=["killed", "terminated"])
def test_what_was_measured_before_the_end_is_written(machine, how, tmp_path):
    out = tmp_path / "results"
    process = machine.start("--out", out, "--only", "onestep", "step")
    try:
        rows = wait_for_rows(process, out / "step")
        os.kill(process.pid, how)
        code = process.wait(30)
        parts = results_in(out)["parts"]
        found = rows_in(out / "step")
    finally:
        end_session(process)
    assert len(rows) < 3
    assert rows.items() <= found.items()
    assert rows["20"]["fast"]["median"] > 0
    assert parts["onestep"]["result"] == "passed"
    summary = (out / "summary.md").read_text(encoding="utf-8")
    assert "| onestep | one step by the kernels | passed |" in summary
    assert len(files_in(out)) <= 8
    if how == signal.SIGKILL:
        assert code == -signal.SIGKILL
        assert parts["step"]["result"] == "running"
    else:
        assert code == 130
        assert parts["step"]["result"] == "failed: interrupted"
        assert "| batch 20 |" in summary


@pytest.mark.slow
def test_a_bare_machine_without_the_packages_of_a_developer_runs_it(machine, tmp_path):
    program = "import importlib.util as u; print(*(name for name in {!r} if u.find_spec(name)))"
    absent = ("pooch", "ruff", "sympy", "torch", "synann_np")
    seen = subprocess.run(
        [machine.python, "-c", program.format(absent)], cwd=tmp_path, capture_output=True, text=True, check=True,
        env={"PATH": os.environ["PATH"]},
    )  # fmt: skip
    assert seen.stdout.split() == []
    out = tmp_path / "results"
    parts = ("device", "onestep", "recipes", "quick", "epoch", "memory")
    process = machine.start("--out", out, "--seconds", "240", "--only", *parts)
    try:
        printed = process.communicate(timeout=250)[0]
    finally:
        end_session(process)
    found = {name: state["result"] for name, state in results_in(out)["parts"].items()}
    log = (out / "log.txt").read_text(encoding="utf-8")
    assert list(found) == list(parts)
    assert found["onestep"] == found["recipes"] == found["quick"] == found["epoch"] == "passed", log
    for name, tool in (("device", "nvidia-smi"), ("memory", "compute-sanitizer")):
        assert found[name] == f"not run: {tool} was not found" or shutil.which(tool)
    assert process.returncode == (0 if not any(result.startswith("failed") for result in found.values()) else 1)
    assert "1 passed" in log
    assert "CUDA kernels are compiled" in log  # on the worker's standard error, not among its answers
    measured = json.loads((out / "epoch" / "gpu.json").read_text(encoding="utf-8"))
    assert {"fast", "plain"} == measured["epoch"]["20"].keys()
    assert all("torch" in failure for failure in measured["failures"])
    assert len(results_in(out)["training"]["quick"]["epochs"]) == 2
    assert re.search(r"^\| quick \| \d\.\d+ \| 2 \|", (out / "summary.md").read_text(encoding="utf-8"), re.MULTILINE)
    rows = re.findall(r"^ *\| ([\w, ]+) \| \d+ \| \d+ \| (\S+) \|$", log, re.MULTILINE)
    assert [(name, float(difference) < 1e-4) for name, difference in rows] == [("mlp", True)]
    assert "No CUDA graph" not in log
    assert files_in(out) == ["epoch/gpu.json", "log.txt", "results.json", "summary.md"]
    assert "quick: passed\n" in printed


@pytest.mark.slow
def test_all_files_of_tests_are_imported_or_skipped_without_the_packages_of_a_developer(machine):
    program = """
import sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import pytest

read = []
for path in sorted(Path("tests").rglob("test_*.py")):
    spec = spec_from_file_location(".".join(path.with_suffix("").parts), path)
    sys.modules[spec.name] = module = module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
        read.append(path.name)
    except pytest.skip.Exception:
        continue
print(*read)
"""
    run = subprocess.run(
        [machine.python, "-W", "error", "-c", program], cwd=machine.folder / "checkout", text=True,
        capture_output=True, timeout=120, env=machine.environment | {"PYTHONPATH": "tests:."}, check=False,
    )  # fmt: skip
    assert run.returncode == 0, run.stdout + run.stderr
    assert {"test_checkpoint.py", "test_gpu.py", "test_gpu_fast.py"} <= set(run.stdout.split())
