"""scripts/gpu_check.py, as far as it runs without a GPU."""

import importlib.util
import sys
from pathlib import Path

import pytest

from synann_np.backend import BackendError
from synann_np.train import EvalRecord, TrainRecord

SCRIPT = Path(__file__).resolve().parents[1] / "scripts" / "gpu_check.py"


@pytest.fixture
def script(monkeypatch):
    spec = importlib.util.spec_from_file_location("gpu_check", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.setattr(module, "device_name", lambda: "NVIDIA H100 (80 GB)")
    return module


def test_without_a_gpu_it_says_so_and_makes_no_folder(script, monkeypatch, capsys, tmp_path):
    def refuse():
        raise BackendError("no NVIDIA driver was found")

    monkeypatch.setattr(script, "device_name", refuse)
    assert script.main(["--out", str(tmp_path / "new")]) == 2
    assert capsys.readouterr().err == "gpu_check: no NVIDIA driver was found\n"
    assert not (tmp_path / "new").exists()


def test_a_part_that_fails_is_named_and_the_others_are_done(script, monkeypatch, capsys, tmp_path):
    commands = []

    def run(self, log, *command):
        commands.append(" ".join(map(str, command)))
        (self.folder / log).write_text("")
        return "failed: exit code 1, see tests.txt" if "pytest" in command else ""

    def break_down(histories):
        raise OSError("disk\nfull")

    monkeypatch.setattr(script.Checks, "run", run)
    monkeypatch.setattr(script, "read_history", lambda path: [])
    monkeypatch.setattr(script, "compare", break_down)
    assert script.main(["--out", str(tmp_path), "--rounds", "3"]) == 1
    (folder,) = tmp_path.iterdir()
    assert folder.name.startswith("NVIDIA-H100-80-GB-2")
    summary = (folder / "summary.md").read_text().splitlines()
    assert summary[0].startswith("# NVIDIA H100 (80 GB), 2")
    assert [line.rpartition(" | ")[0] for line in summary[4:]] == [
        "| environment | passed",
        "| tests | failed: exit code 1, see tests.txt",
        "| training | failed: OSError: disk full",
        "| benchmark | passed",
    ]
    assert "Failed: tests, training. Results:" in capsys.readouterr().out
    assert commands[0] == "nvidia-smi"
    assert commands[2].endswith("-m pytest -m gpu -W default -rs --durations=10 tests")
    assert "--backend numpy --engine fast --epochs 3" in commands[3]
    assert "--backend cupy --engine fast --epochs 3" in commands[4]
    assert "--backend cupy --engine plain --epochs 3" in commands[5]
    assert commands[6].endswith(f"bench.py --backend cupy --rounds 3 --out {folder}")


def test_commands_write_into_the_folder_and_their_failures_are_told(script, tmp_path):
    checks = script.Checks(tmp_path, limit=0.05, rounds=1)
    assert checks.run("a.txt", sys.executable, "-c", "print('seen')") == ""
    assert checks.run("a.txt", sys.executable, "-c", "raise SystemExit(3)") == "failed: exit code 3, see a.txt"
    assert checks.run("a.txt", "/no/such/program") == "failed: /no/such/program is not there"
    assert "stopped after 0.05" in checks.run("a.txt", sys.executable, "-c", "import time; time.sleep(60)")
    text = (tmp_path / "a.txt").read_text()
    assert "seen\n$ " in text


def history(loss=2.3, correct=9700):
    return [TrainRecord(1, 0, 0, 60_000, 1, loss), EvalRecord(3, 1800, 0.1, correct, 10_000)]


def test_runs_that_are_alike_pass_and_others_do_not(script):
    table, wrong = script.compare({"cpu": history(), "gpu": history(2.3001, 9650)})
    assert wrong == ""
    assert table[2:] == ["| 1 | 2.30000 | 2.30010 |", "| 1800 | 0.10000, 97.00% | 0.10000, 96.50% |"]
    assert "first loss of gpu" in script.compare({"cpu": history(), "gpu": history(2.31)})[1]
    assert "gpu-plain ends at 95.00%" in script.compare({"cpu": history(), "gpu-plain": history(2.3, 9500)})[1]


def test_the_commands_take_the_arguments_that_they_are_given(script, tmp_path, monkeypatch):
    """The real scripts, asked for nothing but their own reading of the arguments."""
    from synann_np.programs.runs.arguments import parse_arguments

    seen = []
    monkeypatch.setattr(
        script.Checks, "run", lambda self, log, *command: seen.append([str(w) for w in command]) or "no"
    )
    checks = script.Checks(tmp_path, 1, 1)
    assert [checks.do(part) for part in script.PARTS] == ["no", "no", "cpu: no", "no"]
    train = next(command for command in seen if any("train_mnist" in word for word in command))
    arguments = parse_arguments(train[2:], "")
    assert (arguments.backend, arguments.engine, arguments.epochs) == ("numpy", "fast", 3)
