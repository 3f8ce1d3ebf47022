"""Standard output and error that are closed, full, unread or unable to show a character, and those of a notebook."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from in_process import train
from synann_np.programs.examples import DIGITS
from synann_np.train import EvalRecord
from synann_np.training.history import read_history, to_line

ROOT = Path(__file__).resolve().parents[2]
SCRIPTS = sorted((ROOT / "scripts").glob("*.py"))
PHOTO = DIGITS / "7_with_bar.png"

linux = pytest.mark.skipif(not Path("/dev/full").exists(), reason="/dev/full is Linux's")


def shell(command, folder, **environment):
    """Run a line of sh in a folder; $SYNANN is the command, $PHOTO a photograph."""
    variables = os.environ | {"PYTHONPATH": str(ROOT), "SYNANN": f"{sys.executable} -m synann_np", "PHOTO": str(PHOTO)}
    return subprocess.run(
        ["sh", "-c", command], cwd=folder, env=variables | environment, capture_output=True, text=True, timeout=120,
        check=False,
    )  # fmt: skip


@pytest.fixture
def data(tmp_path):
    """Few images of noise in MNIST's format, in a folder whose name ASCII does not have."""
    folder = tmp_path / "dätä"
    folder.mkdir()
    rng = np.random.default_rng(0)
    for split, n in (("train", 60), ("t10k", 20)):
        for kind, a in (("images-idx3", rng.integers(0, 256, (n, 28, 28))), ("labels-idx1", rng.integers(0, 10, n))):
            header = bytes([0, 0, 8, a.ndim]) + b"".join(size.to_bytes(4, "big") for size in a.shape)
            (folder / f"{split}-{kind}-ubyte").write_bytes(header + a.astype("uint8").tobytes())
    return folder


TRAIN = "$SYNANN train --data-dir dätä --epochs 2 --batch-size 10 --log-interval 2 --engine plain --out run"


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_every_script_prepares_its_streams(script):
    assert re.search(
        r'if __name__ == "__main__":\n(    .*\n)*    sys.exit\(run_program\(main\)\)\n$', script.read_text()
    )


# Closed


def test_a_closed_standard_output_is_silence(tmp_path):
    run = shell("$SYNANN predict $PHOTO --save-seen seen.png >&-", tmp_path)
    assert (run.returncode, run.stdout, run.stderr) == (0, "", "")
    assert (tmp_path / "seen.png").read_bytes().startswith(b"\x89PNG")


def test_a_closed_standard_error_is_silence(tmp_path):
    run = shell("$SYNANN predict $PHOTO nothing.png 2>&-", tmp_path)
    assert (run.returncode, run.stderr) == (2, "")
    assert run.stdout.startswith(f"{PHOTO}: 7 (")


def test_a_run_with_everything_closed_is_saved(data, tmp_path):
    run = shell(f"{TRAIN} <&- >&- 2>&-", tmp_path)
    assert (run.returncode, run.stdout, run.stderr) == (0, "", "")
    assert len(read_history(tmp_path / "run" / "history.jsonl")) == 8
    assert (tmp_path / "run" / "curves.png").exists()


def test_no_file_gets_the_number_of_a_closed_descriptor(tmp_path):
    program = """
import os, sys
from synann_np.programs.standard_streams import prepare_streams
prepare_streams()
file = open("log.txt", "w")
print("printed")
print("printed", file=sys.stderr)
os.system("echo a child prints")
assert file.fileno() > 2
"""
    (tmp_path / "program.py").write_text(program)
    run = shell(f"{sys.executable} program.py <&- >&- 2>&-", tmp_path)
    assert run.returncode == 0
    assert (tmp_path / "log.txt").read_text() == ""


# Unread


def test_a_reader_that_has_gone_ends_a_program_silently(tmp_path):
    command = f"($SYNANN predict {DIGITS}; echo status $? >&2) | (exec <&-)"
    run = shell(command, tmp_path)
    assert run.stderr == "status 141\n"


def test_a_training_run_saves_first_when_nobody_reads_its_log(data, tmp_path):
    run = shell(f"({TRAIN} --save-every 100; echo status $? >&2) | (exec <&-)", tmp_path)
    assert run.stderr == "status 141\n"
    lines = len(read_history(tmp_path / "run" / "history.jsonl"))
    assert 1 <= lines < 8
    run = train("--resume", tmp_path / "run")
    assert run.returncode == 0, run.stderr
    assert f"Resumed {tmp_path / 'run'} after" in run.stdout
    assert len(read_history(tmp_path / "run" / "history.jsonl")) == 8


def test_ctrl_c_that_ends_the_reader_too_saves_and_has_its_usual_status(data, tmp_path):
    """As of `synann train | tee log`: the reader dies of the same signal."""
    program = f"""
import signal, subprocess, sys
command = {TRAIN.replace("$SYNANN ", "").replace("--epochs 2", "--epochs 200").split()!r}
run = subprocess.Popen([sys.executable, "-m", "synann_np", *command], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
for _ in range(12):
    run.stdout.readline()
run.stdout.close()
run.stderr.close()
run.send_signal(signal.SIGINT)
print(run.wait(60))
"""
    (tmp_path / "program.py").write_text(program)
    run = shell(f"{sys.executable} program.py", tmp_path)
    assert run.stdout in ("130\n", "141\n")  # whichever it notices first
    records = read_history(tmp_path / "run" / "history.jsonl")
    run = train("--resume", tmp_path / "run", "--epochs", 3)
    step = int(re.search(r"Resumed \S+ after \d+ epochs and (\d+) steps", run.stdout)[1])
    assert step == records[-1].step > 0


# Full


@linux
def test_a_full_disk_below_the_log_is_a_warning_and_training_goes_on(data, tmp_path):
    run = shell(f"{TRAIN} > /dev/full", tmp_path)
    assert run.returncode == 0, run.stderr
    assert run.stderr.count("standard output cannot be written (No space left on device); training continues") == 1
    assert len(read_history(tmp_path / "run" / "history.jsonl")) == 8


@linux
def test_a_result_that_cannot_be_printed_is_an_error(tmp_path):
    run = shell("$SYNANN predict $PHOTO > /dev/full", tmp_path)
    assert (run.returncode, run.stderr) == (2, "standard output: No space left on device\n")
    run = shell("$SYNANN predict $PHOTO nothing.png 2> /dev/full", tmp_path)
    assert run.returncode == 2
    assert run.stdout.startswith(f"{PHOTO}: 7 (")


# Characters


def test_a_terminal_without_the_letters_shows_escapes(data, tmp_path):
    photo = tmp_path / "größe–7.png"
    photo.write_bytes(PHOTO.read_bytes())
    folder = tmp_path / "läufe"
    folder.mkdir()
    (folder / "run.json").write_text(json.dumps({"model": "mlp", "recipe": "größe.toml"}))
    (folder / "history.jsonl").write_text(to_line(EvalRecord(1, 10, 0.5, 900, 1000)))
    commands = {
        "predict größe–7.png": r"gr\xf6\xdfe\u20137.png: 7 (",
        TRAIN.replace("$SYNANN ", "") + " --lr 0.1": "Model, history and curves: run",
        "compare läufe": r"| gr\xf6\xdfe",
        "evaluate --data-dir dätä": "true \\ predicted",
        "explain --index 0 --data-dir dätä": "−log".encode("ascii", "backslashreplace").decode(),
        "train --help": "usage: synann train",
    }
    program = f"""
from synann_np.programs import evaluate, train
from synann_np.programs.command import main
from synann_np.programs.process import run_program
train.draw_curves = evaluate.evaluation_picture = lambda *arguments: None  # no letter of them is printed
for command in {[*commands]!r}:
    print("status", run_program(lambda: main(command.split())))
"""
    (tmp_path / "program.py").write_text(program, encoding="utf-8")  # one process: most of the time goes into imports
    run = shell(f"{sys.executable} program.py", tmp_path, PYTHONIOENCODING="ascii", SYNANN_FAST="0")
    assert run.returncode == 0, run.stderr
    assert "Error" not in run.stderr
    *outputs, last = run.stdout.split("status 0\n")
    assert (len(outputs), last) == (len(commands), "")
    for output, expected in zip(outputs, commands.values(), strict=True):
        assert expected in output
    run = shell("$SYNANN predict füße.png", tmp_path, PYTHONIOENCODING="ascii", SYNANN_FAST="0")
    assert run.returncode == 2
    assert run.stderr.startswith("synann predict: f\\xfc\\xdfe.png: cannot be read")


def test_a_file_name_that_is_no_text_is_shown_with_escapes(tmp_path):
    name = os.fsencode(tmp_path) + b"/\xff$_7.png"
    with open(name, "wb") as file:
        file.write(PHOTO.read_bytes())
    program = """
import sys
from synann_np.programs.command import main
from synann_np.programs.process import run_program
for command in (["predict", sys.argv[1], "--save-seen", "seen.png"], ["explain", sys.argv[1]]):
    assert run_program(lambda: main(command)) == 0
"""
    (tmp_path / "program.py").write_text(program)
    run = shell(f"{sys.executable} program.py *.png", tmp_path)
    assert (run.returncode, run.stderr) == (0, "")
    assert (tmp_path / "seen.png").read_bytes().startswith(b"\x89PNG")
    assert run.stdout.startswith("\\udcff$_7.png: 7 (")


# Notebooks


def test_a_script_runs_where_standard_output_is_no_text_file(tmp_path):
    """As with %run in Jupyter, whose streams are objects of its own."""
    program = f"""
import os, runpy, sys

class OutStream:
    encoding = "UTF-8"

    def __init__(self):
        self.text = ""

    def write(self, text):
        self.text += text

    def flush(self):
        pass

    def fileno(self):
        return 1

    def isatty(self):
        return False

sys.stdout, sys.stderr = out, error = OutStream(), OutStream()
for words in (["predict.py", {str(PHOTO)!r}], ["train_mnist.py", "--help"]):
    sys.argv = words
    try:
        runpy.run_path({str(ROOT / "scripts")!r} + "/" + words[0], run_name="__main__")
    except SystemExit as ending:
        assert not ending.code, error.text
assert (sys.stdout, sys.stderr) == (out, error)
assert out.text.startswith({str(PHOTO)!r} + ": 7 ("), out.text
assert "usage: train_mnist" in out.text
assert not error.text, error.text
"""
    (tmp_path / "program.py").write_text(program)
    run = shell(f"{sys.executable} program.py", tmp_path)
    assert (run.returncode, run.stdout, run.stderr) == (0, "", "")


def test_output_that_is_read_arrives_whole_and_in_order_with_what_children_write(tmp_path):
    program = """
import subprocess, sys
from synann_np.programs.standard_streams import prepare_streams
prepare_streams()
prepare_streams()
print("α" * 10_000)
sys.stdout.flush()
subprocess.run(["echo", "child"])
print("last")
"""
    (tmp_path / "program.py").write_text(program)
    run = shell(f"{sys.executable} program.py", tmp_path, PYTHONIOENCODING="utf-8")
    assert run.stdout == "α" * 10_000 + "\nchild\nlast\n"
    assert (run.returncode, run.stderr) == (0, "")


def test_a_descriptor_that_does_not_block_gets_everything(tmp_path):
    program = """
import os
from synann_np.programs.standard_streams import prepare_streams
os.set_blocking(1, False)
prepare_streams()
print("x" * 1_000_000)
"""
    (tmp_path / "program.py").write_text(program)
    run = shell(f"{sys.executable} program.py | (sleep 0.3; wc -c)", tmp_path)
    assert run.stdout.strip() == "1000001"
    assert run.stderr == ""
