"""Evaluate a model: the command `synann evaluate` from a checkout, installed or not."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from synann_np.programs.evaluate import main
from synann_np.programs.process import run_program

if __name__ == "__main__":
    sys.exit(run_program(main))
