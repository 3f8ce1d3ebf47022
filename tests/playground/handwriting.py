"""Twelve digits as a hand would draw them on a pad of 280 × 280: strokes, lists of points."""

import math


def arc(x, y, width, height, start, end, points=10):
    """Points on an ellipse around (x, y), from one angle to another: degrees, 0 to the right, 90 down."""
    angles = [math.radians(start + (end - start) * i / points) for i in range(points + 1)]
    return [(x + width / 2 * math.cos(a), y + height / 2 * math.sin(a)) for a in angles]


# (digit, strokes)
DIGITS = [
    (0, [arc(138, 142, 100, 150, -80, 280)]),
    (1, [[(146, 62), (142, 140), (138, 216)]]),
    (2, [[*arc(138, 102, 92, 80, -165, 40), (120, 180), (92, 214), (196, 212)]]),
    (3, [[*arc(134, 102, 88, 74, -150, 80), *arc(134, 176, 98, 82, -85, 150)]]),
    (4, [[(120, 62), (84, 158), (204, 156)], [(172, 92), (166, 222)]]),
    (5, [[(190, 66), (110, 70), (102, 134), *arc(138, 170, 104, 88, -115, 150)]]),
    (6, [[(170, 58), (120, 110), (96, 170), *arc(140, 178, 88, 78, 190, 540)]]),
    (7, [[(84, 72), (200, 68), (158, 140), (124, 222)]]),
    (8, [[*arc(140, 100, 76, 76, -40, -270), *arc(140, 178, 90, 84, -90, 270), *arc(140, 100, 76, 76, 90, -40)]]),
    (9, [[*arc(132, 104, 84, 76, -10, -370), (172, 160), (160, 222)]]),
    (7, [[(90, 76), (196, 74), (140, 218)], [(112, 146), (184, 142)]]),  # with a bar
    (1, [[(112, 96), (150, 62), (144, 220)]]),  # with a flag
]  # fmt: skip
