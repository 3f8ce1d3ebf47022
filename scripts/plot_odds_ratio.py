"""Smoking and lung cancer, Doll and Hill 1950: odds ratios with 95 % intervals, as a table and as a forest plot.

python scripts/plot_odds_ratio.py [--out odds_ratio.png]

Source: Richard Doll and A. Bradford Hill, "Smoking and Carcinoma of the Lung: Preliminary Report", British Medical
Journal 2 (4682), 1950, 739-748, tables IV and V: patients with lung cancer and as many controls of the same sex and age
group, by the amount smoked.
"""

import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # of this checkout, installed or not

from synann_np.mathematics.odds import odds_ratio_interval, table_odds_ratio
from synann_np.programs.command_line import Parser, png_path
from synann_np.programs.pictures.forest_plot import draw_forest
from synann_np.programs.process import run_program

# (cases, controls) that smoked so much, against (cases, controls) that did not smoke
MEN = (2, 27)
EXPOSED = {
    "men, smokers": ((647, 622), MEN),
    "men, 1–4 cigarettes a day": ((33, 55), MEN),
    "men, 5–14 a day": ((250, 293), MEN),
    "men, 15–24 a day": ((196, 190), MEN),
    "men, 25–49 a day": ((136, 71), MEN),
    "men, 50 or more a day": ((32, 13), MEN),
    "women, smokers": ((41, 28), (19, 32)),
}


def main(argv=None):
    parser = Parser("Odds ratios of lung cancer by smoking, Doll and Hill 1950.")
    parser.add_argument("--out", type=png_path, default="odds_ratio.png", help="the picture (default: %(default)s)")
    args = parser.parse_args(argv)
    tables = np.array(list(EXPOSED.values()))
    ratios, (lows, highs) = table_odds_ratio(tables), odds_ratio_interval(tables)
    for label, ratio, low, high in zip(EXPOSED, ratios, lows, highs, strict=True):
        print(f"{label:26} {ratio:6.2f}  ({low:.2f} to {high:.2f})")
    try:
        title, axis = "Lung cancer and smoking (Doll and Hill, 1950)", "odds ratio against non-smokers of the same sex"
        draw_forest(args.out, EXPOSED, ratios, lows, highs, title, axis)
    except OSError as error:
        print(f"plot_odds_ratio: {args.out}: cannot be written ({error.strerror or error})", file=sys.stderr)
        return 2
    print(f"Picture: {args.out}")
    return 0


if __name__ == "__main__":
    sys.exit(run_program(main))
