"""Draw circuits of synapses: a full adder, the flip circuit, one that adapts, and how training shapes its response.

python scripts/plot_circuits.py --out DIR
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # of this checkout, installed or not

from synann_np.programs.command_line import Parser, path
from synann_np.programs.pictures.circuits import (
    draw_adapting_diagram,
    draw_flip_diagram,
    draw_full_adder,
    draw_training,
)
from synann_np.programs.process import run_program

PICTURES = {
    "full_adder.png": draw_full_adder,
    "flip_diagram.png": draw_flip_diagram,
    "adapting_diagram.png": draw_adapting_diagram,
    "trained_response.png": draw_training,
}


def main(argv=None):
    parser = Parser("Write four pictures of circuits as PNG files.")
    parser.add_argument("--out", type=path, default=".", help="folder for the pictures (default: here)")
    out = parser.parse_args(argv).out
    try:
        out.mkdir(parents=True, exist_ok=True)
        for name, draw in PICTURES.items():
            draw(out / name)
            print(out / name)
    except OSError as error:
        print(f"plot_circuits: {out}: cannot be written ({error.strerror or error})", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(run_program(main))
