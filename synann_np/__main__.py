"""`python -m synann_np` is the command `synann`."""

import sys

from .programs.command import run

if __name__ == "__main__":
    sys.exit(run())
