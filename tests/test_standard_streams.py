"""`python scripts/….py | head` ends without a word about the pipe."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPTS = sorted((Path(__file__).resolve().parents[1] / "scripts").glob("*.py"))


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_a_reader_that_has_gone_ends_a_script_silently(script):
    reader, writer = os.pipe()
    os.close(reader)
    run = subprocess.run(
        [sys.executable, script, "--help"], stdout=writer, stderr=subprocess.PIPE, text=True, timeout=300
    )
    os.close(writer)
    assert run.stderr == ""
    assert run.returncode == 141


def test_output_that_is_read_arrives_whole_and_in_order_with_what_children_write():
    program = """
import subprocess, sys
from synann_np.programs.standard_streams import prepare_streams
prepare_streams()
print("α" * 10_000)
sys.stdout.flush()
subprocess.run(["echo", "child"])
print("last")
"""
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, encoding="utf-8", timeout=300)
    assert run.stdout == "α" * 10_000 + "\nchild\nlast\n"
    assert (run.returncode, run.stderr) == (0, "")
