"""Draw the "photographs" of synann_np/programs/examples/digits: strokes of a pen on unevenly lit, grainy paper.

python examples/draw_digits.py [FOLDER]      (default: digits/ in the current folder)

The strokes are polylines written down by hand, no font: x to the right, y down, in a box of 0..100.
"""

import math
import sys
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw


def arc(x, y, rx, ry, start, stop):
    """Points of an ellipse, angles in degrees, clockwise from the right."""
    angles = np.radians(np.linspace(start, stop, 30))
    return [(x + rx * math.cos(a), y + ry * math.sin(a)) for a in angles]


STROKES = {
    "0": [arc(50, 50, 30, 44, -100, 262)],
    "1": [[(38, 24), (55, 6), (53, 94)]],
    "2": [[*arc(49, 30, 27, 24, 190, 390), (60, 56), (22, 92), (50, 88), (82, 92)]],
    "3": [[*arc(46, 28, 26, 22, 200, 430), *arc(46, 71, 30, 23, -80, 160)]],
    "4": [[(42, 6), (20, 56), (82, 54)], [(66, 28), (60, 96)]],
    "5": [[(76, 8), (34, 9), (28, 44), *arc(47, 66, 29, 27, 235, 510)]],
    "6": [[(66, 6), (42, 30), *arc(48, 68, 24, 26, 190, 545)]],
    "7": [[(20, 14), (80, 10), (58, 50), (44, 96)]],
    "7b": [[(18, 16), (50, 12), (80, 12), (42, 96)], [(34, 52), (74, 48)]],
    "8": [[*arc(50, 27, 20, 20, 300, 90), *arc(50, 72, 26, 24, -90, 270), *arc(50, 27, 20, 20, 90, -60)]],
    "9": [[*arc(47, 30, 24, 24, -20, 340), (71, 40), (66, 70), (56, 96)]],
    "2b": [[*arc(46, 28, 26, 22, 200, 380), (60, 62), *arc(30, 84, 11, 8, 300, 20), (50, 80), (84, 92)]],
}

# file name, strokes, (width, height), pen width in percent of the digit, slant, size and place of the digit, paper and
# ink (0..255), slope of the light, grain
PHOTOGRAPHS = [
    ("0_pencil.png", "0", (150, 180), 7, 0.10, (90, 25, 35), 215, 80, (-35, 10), 6),
    ("1_marker.png", "1", (120, 140), 12, 0.15, (90, 20, 25), 235, 25, (10, -20), 4),
    ("2_ballpoint.png", "2", (240, 200), 5, 0.05, (110, 80, 50), 200, 60, (30, 40), 5),
    ("3_chalk.png", "3", (160, 160), 10, -0.05, (100, 30, 30), 45, 225, (15, 15), 9),
    ("4_marker.png", "4", (110, 150), 11, 0.00, (80, 12, 30), 225, 30, (-20, -20), 4),
    ("5_felt_pen.png", "5", (200, 160), 9, 0.20, (100, 60, 28), 190, 50, (25, -45), 6),
    ("6_white_on_dark.png", "6", (140, 170), 9, 0.12, (100, 15, 40), 70, 230, (-20, 15), 5),
    ("7_ballpoint.png", "7", (180, 220), 5, 0.05, (120, 30, 50), 220, 70, (40, 20), 6),
    ("7_with_bar.png", "7b", (150, 150), 8, 0.00, (95, 30, 25), 205, 45, (0, 30), 5),
    ("8_pencil.png", "8", (170, 190), 7, 0.10, (110, 25, 40), 230, 90, (-25, 25), 7),
    ("9_dark_shade.png", "9", (150, 180), 9, 0.08, (100, 25, 40), 150, 30, (60, 30), 6),
    ("2_with_loop.png", "2b", (150, 150), 8, 0.05, (95, 25, 25), 60, 210, (20, -10), 6),
]


def draw(strokes, size, pen, slant, place, paper, ink, light, grain, rng):
    """One photograph as a grey image; the pen shakes a little, the light falls off along a slope."""
    fine = 4  # drawn larger and shrunk: soft edges
    mask = Image.new("L", [fine * side for side in size])
    scale, left, top = place
    for stroke in STROKES[strokes]:
        points = np.array(stroke) + rng.normal(0, 0.5, (len(stroke), 2))
        x = left + scale / 100 * (points[:, 0] + slant * (50 - points[:, 1]))
        y = top + scale / 100 * points[:, 1]
        line = [tuple(p) for p in (fine * np.stack([x, y], axis=1)).tolist()]
        width = fine * pen * scale / 100
        pencil = ImageDraw.Draw(mask)
        pencil.line(line, fill=255, width=round(width), joint="curve")
        for px, py in (line[0], line[-1]):
            pencil.ellipse([px - width / 2, py - width / 2, px + width / 2, py + width / 2], fill=255)
    covered = np.asarray(mask.resize(size, Image.Resampling.BOX)) / 255
    v, u = (np.linspace(-0.5, 0.5, side) for side in covered.shape)
    lit = paper + light[0] * v[:, None] + light[1] * u + rng.normal(0, grain, covered.shape)
    seen = lit * (1 - covered) + ink * covered + rng.normal(0, 2, lit.shape)
    return Image.fromarray(seen.clip(0, 255).astype("uint8"))


def main():
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else Path("digits")
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(5)
    for name, *arguments in PHOTOGRAPHS:
        draw(*arguments, rng).save(folder / name, optimize=True)


if __name__ == "__main__":
    main()
