"""scripts/gpu_check.py, as far as it runs in this process: time limits, the order, what is reported of what."""

import importlib.util
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from synann_np.backend import BackendError
from synann_np.train import EvalRecord, TrainRecord

SCRIPTS = Path(__file__).resolve().parents[1] / "scripts"


@pytest.fixture
def script(monkeypatch):
    monkeypatch.syspath_prepend(str(SCRIPTS))
    spec = importlib.util.spec_from_file_location("gpu_check", SCRIPTS / "gpu_check.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.setattr(module, "device_name", lambda: "NVIDIA H100 (80 GB)")
    return module


@pytest.fixture
def parts(script, monkeypatch):
    """Function: replace the parts by (name, seconds, Python program)."""
    from benchmarks.gpu_check_parts import Part

    def replace(*programs):
        made = [Part(name, limit, (sys.executable, "-c", text), f"what {name} is") for name, limit, text in programs]
        monkeypatch.setattr(script, "PARTS", tuple(made))

    return replace


def results_of(script, folder, *arguments):
    code = script.main(["--out", str(folder), *arguments])
    states = json.loads((folder / "results.json").read_text())["parts"]
    return code, {name: state["result"] for name, state in states.items()}


def test_without_a_gpu_it_says_so_and_makes_no_folder(script, monkeypatch, capsys, tmp_path):
    def refuse():
        raise BackendError("no NVIDIA driver was found")

    monkeypatch.setattr(script, "device_name", refuse)
    assert script.main(["--out", str(tmp_path / "new")]) == 2
    assert capsys.readouterr().err == "gpu_check: no NVIDIA driver was found\n"
    assert not (tmp_path / "new").exists()


def test_a_part_that_fails_or_takes_too_long_is_named_and_the_others_are_run(script, parts, capsys, tmp_path):
    parts(
        ("right", 60, "print('seen')"),
        ("wrong", 60, "print('the reason'); raise SystemExit(3)"),
        ("slow", 0.5, "import time; print('begun', flush=True); time.sleep(60)"),
        ("last", 60, ""),
    )
    started = time.monotonic()
    code, results = results_of(script, tmp_path)
    assert code == 1
    assert time.monotonic() - started < 30
    assert results == {
        "right": "passed",
        "wrong": "failed: exit code 3",
        "slow": "failed: stopped after 0 s",
        "last": "passed",
    }
    assert "Failed: wrong, slow. Results:" in capsys.readouterr().out
    summary = (tmp_path / "summary.md").read_text()
    assert summary.startswith("# NVIDIA H100 (80 GB), 2")
    assert "| wrong | what wrong is | failed: exit code 3 |" in summary
    assert "the reason" in summary
    assert "begun" in summary
    assert "seen" in (tmp_path / "log.txt").read_text()


@pytest.mark.slow
def test_when_the_time_is_up_the_rest_is_not_run_and_told(script, parts, capsys, tmp_path):
    parts(("slow", 60, "import time; time.sleep(60)"), ("late", 60, "print('late')"), ("later", 60, ""))
    started = time.monotonic()
    code, results = results_of(script, tmp_path, "--seconds", "9")
    assert time.monotonic() - started < 9.5
    assert code == 1
    assert results["slow"].startswith("failed: stopped after")
    assert results["late"] == results["later"] == "not run: the time was up"
    assert "late: not run: the time was up\n" in capsys.readouterr().out
    assert "| later | what later is | not run: the time was up |" in (tmp_path / "summary.md").read_text()


def test_a_stopped_part_leaves_no_process_behind(script, parts, tmp_path):
    child = "import os, time; print('child', os.getpid(), flush=True); time.sleep(60)"
    parts(("slow", 1.5, f"import subprocess, sys; subprocess.run([sys.executable, '-c', {child!r}])"))
    results_of(script, tmp_path)
    pid = int((tmp_path / "log.txt").read_text().rpartition("child ")[2].split()[0])
    end = time.monotonic() + 10
    while alive(pid) and time.monotonic() < end:
        time.sleep(0.05)
    assert not alive(pid)


def alive(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    state = Path(f"/proc/{pid}/stat")
    return not state.exists() or state.read_text().rpartition(")")[2].split()[0] != "Z"


def test_results_are_written_after_every_part(script, parts, tmp_path):
    """The second part reads what is there while it runs."""
    show = f"print(open({str(tmp_path / 'results.json')!r}).read(), open({str(tmp_path / 'summary.md')!r}).read())"
    parts(("first", 60, ""), ("second", 60, show))
    assert script.main(["--out", str(tmp_path)]) == 0
    log = (tmp_path / "log.txt").read_text()
    assert "| first | what first is | passed |" in log
    assert "| second | what second is | running |" in log
    assert '"result": "running"' in log


def test_results_of_an_earlier_check_are_not_overwritten(script, parts, capsys, tmp_path):
    parts(("first", 60, ""))
    (tmp_path / "summary.md").write_text("earlier")
    assert script.main(["--out", str(tmp_path)]) == 2
    assert "already holds summary.md: choose another --out" in capsys.readouterr().err
    assert (tmp_path / "summary.md").read_text() == "earlier"


def test_a_program_that_is_not_there_is_told_and_is_no_failure(script, monkeypatch, tmp_path):
    from benchmarks.gpu_check_parts import Part

    monkeypatch.setattr(script, "PARTS", (Part("tool", 9, ("no-such-tool",), "a tool"),))
    assert results_of(script, tmp_path) == (0, {"tool": "not run: no-such-tool was not found"})


def history(loss=2.3, correct=9700):
    return [TrainRecord(1, 0, 0, 60_000, 1, loss), EvalRecord(1, 600, 0.1, correct, 10_000)]


def test_a_history_that_has_not_begun_is_no_training_run(script, tmp_path):
    from benchmarks.gpu_check_parts import PARTS
    from benchmarks.gpu_check_report import Report

    (tmp_path / "seed").mkdir()
    (tmp_path / "seed" / "history.jsonl").touch()
    parts = [part for part in PARTS if part.name == "seed"]
    report = Report(tmp_path, tmp_path, tmp_path, parts, {"device": "a GPU", "date": "today", "versions": {}})
    report.start("seed")
    assert report.training == {}
    assert "| seed | training, recipe seed | running |" in (tmp_path / "summary.md").read_text()


def test_a_training_run_is_compared_with_the_recorded_one(script):
    from benchmarks.gpu_check_report import condensed, difference

    recorded = condensed([*history(), EvalRecord(2, 1200, 0.1, 9900, 10_000)])
    assert difference(condensed(history(2.3001, 9650)), recorded) == ""
    assert difference(condensed(history(2.31)), recorded) == "failed: the first loss is 2.31, on the CPU 2.3"
    wrong = difference(condensed(history(2.3, 9500)), recorded)
    assert wrong == "failed: 95.00% after epoch 1, on the CPU 97.00%"


def test_a_broken_result_of_the_benchmark_does_not_end_a_part(script, tmp_path):
    from benchmarks.gpu_check_report import tables

    (tmp_path / "gpu.json").write_text('{"step": ')
    assert "cannot be shown as tables" in tables(tmp_path / "gpu.json")


def test_the_commands_are_understood_by_the_programs_they_call(script, monkeypatch, tmp_path):
    """The real scripts, asked for nothing but their own reading of the arguments."""
    from synann_np.programs.runs.arguments import parse_arguments

    bench = importlib.util.spec_from_file_location("bench", SCRIPTS / "bench.py")
    module = importlib.util.module_from_spec(bench)
    bench.loader.exec_module(module)
    asked = []
    monkeypatch.setattr(module, "run_on_gpu", lambda *arguments: asked.append(arguments) or 0)
    root = SCRIPTS.parent
    for part in script.PARTS:
        words = part.words(tmp_path / "out", tmp_path / "scratch")
        if part.trains:
            arguments = parse_arguments(words[2:], "")
            assert (arguments.backend, arguments.out) == ("cupy", tmp_path / "scratch" / part.name)
            assert part.recorded is None or (root / "docs" / "results" / part.recorded / "history.jsonl").is_file()
        elif part.measures:
            assert module.main(words[2:]) == 0
            assert asked[-1][:3] == ([part.name], asked[-1][1], tmp_path / "out" / part.name)
        elif "pytest" in words:
            assert all((root / word).is_file() for word in words if word.endswith(".py"))
    assert len(asked) == 2


def test_every_file_with_tests_for_a_gpu_is_run(script):
    tests = SCRIPTS.parent / "tests"
    marked = {str(p.relative_to(tests.parent)) for p in tests.rglob("test_*.py") if "mark.gpu" in p.read_text("utf-8")}
    run = {word for part in script.PARTS for word in part.command if word.startswith("tests/")}
    assert marked - {"tests/test_gpu_check.py"} == run


@pytest.mark.parametrize("required", [False, True])
def test_a_skipped_test_for_a_gpu_has_failed_where_one_is_required(required, tmp_path):
    (tmp_path / "conftest.py").write_text((SCRIPTS.parent / "tests" / "conftest.py").read_text("utf-8"))
    (tmp_path / "pytest.ini").write_text("[pytest]\nmarkers = gpu: needs one\naddopts = --import-mode=importlib\n")
    (tmp_path / "test_one.py").write_text(
        "import pytest\n"
        "@pytest.mark.gpu\ndef test_device(): pytest.skip('no driver was found')\n"
        "def test_other(): pytest.skip('not now')\n"
    )
    environment = {k: v for k, v in os.environ.items() if k != "SYNANN_REQUIRE_GPU"}
    environment |= {"SYNANN_REQUIRE_GPU": "1"} if required else {}
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", str(tmp_path)]
    run = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=120)
    assert run.returncode == required, run.stdout
    assert ("1 failed, 1 skipped" if required else "2 skipped") in run.stdout
    assert ("no driver was found" in run.stdout) == required


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="scripts are started by fork")
def test_every_script_that_gpu_check_travels_with_starts_without_an_installation(tmp_path):
    """Each in a child of one interpreter that has the libraries already, which is most of what its start would cost."""
    program = """
import contextlib, importlib, os, runpy, sys
for library in ("numpy", "pandas", "scipy.stats", "sklearn.base"):
    with contextlib.suppress(ImportError):
        importlib.import_module(library)
for path in sys.argv[1:]:
    child = os.fork()
    if not child:
        sys.argv, sys.path[0] = [path, "--help"], os.path.dirname(path)
        runpy.run_path(path, run_name="__main__")
    if os.waitpid(child, 0)[1]:
        sys.exit(f"{path} --help failed")
"""
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    scripts = sorted(SCRIPTS.glob("*.py"))
    run = subprocess.run(
        [sys.executable, "-c", program, *scripts], cwd=tmp_path, env=environment, capture_output=True, text=True,
        timeout=120,
    )  # fmt: skip
    assert run.returncode == 0, run.stderr
    assert run.stdout.count("usage: ") == len(scripts)
