"""`python -m synann_np.playground` is the command `synann play`."""

import sys

from ..programs.process import run_program
from .program import main

if __name__ == "__main__":
    sys.exit(run_program(main))
