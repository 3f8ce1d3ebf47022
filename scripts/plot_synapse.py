"""Draw the synapse's mathematics: its surface, surprisal space, the Bose–Einstein derivative, the flip circuit.

python scripts/plot_synapse.py --out DIR
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # of this checkout, installed or not

from synann_np.programs.command_line import Parser, path
from synann_np.programs.pictures.synapses import draw_bose_einstein, draw_flip, draw_surface, draw_surprisal_curves
from synann_np.programs.process import run_program

PICTURES = {
    "synapse_surface.png": draw_surface,
    "surprisal_curves.png": draw_surprisal_curves,
    "bose_einstein.png": draw_bose_einstein,
    "flip_circuit.png": draw_flip,
}


def main(argv=None):
    parser = Parser("Write four pictures of the synapse function as PNG files.")
    parser.add_argument("--out", type=path, default=".", help="folder for the pictures (default: here)")
    out = parser.parse_args(argv).out
    try:
        out.mkdir(parents=True, exist_ok=True)
        for name, draw in PICTURES.items():
            draw(out / name)
            print(out / name)
    except OSError as error:
        print(f"plot_synapse: {out}: cannot be written ({error.strerror or error})", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(run_program(main))
