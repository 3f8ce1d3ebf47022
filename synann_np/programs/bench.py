"""The benchmarks, which stay in the repository: they need PyTorch, and nobody who installs the package needs them."""

import runpy
import sys
from collections.abc import Sequence
from pathlib import Path

from .process import complain

SCRIPTS = Path(__file__).resolve().parents[2] / "scripts"


def main(argv: Sequence[str] | None = None, prog: str = "bench") -> int | None:
    """Run scripts/bench.py. Returns: its exit status, 2 where the package was installed without the repository."""
    if not (SCRIPTS / "bench.py").is_file():
        complain(prog, "the benchmarks are not installed; in a clone of the repository: python scripts/bench.py")
        return 2
    sys.path.insert(0, str(SCRIPTS))  # as Python does it for a script
    return runpy.run_path(str(SCRIPTS / "bench.py"), run_name="bench")["main"](argv, prog)
