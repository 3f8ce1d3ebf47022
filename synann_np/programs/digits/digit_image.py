"""A photograph of a digit, made into what the digits of MNIST are.

MNIST's digits are light on dark, fit a box of 20×20 pixels and have their centre of mass in the centre of 28×28. A
photograph is dark on light, large, shaded, grainy and off centre, and a network that knows only MNIST is lost on it.
"""

import numpy as np

from .ink import find_digit
from .paper import without_table
from .photo_file import PhotoError

BOX, SIDE, CENTRE = 20, 28, 14.0
THINNEST = 2.0  # pixels of the box; MNIST's strokes are 2 to 4.5 wide


def to_mnist(grey: np.ndarray) -> np.ndarray:
    """Find the digit, and draw it as MNIST would have it.

    1. What the paper lies on is cut off (paper.py).
    2. The paper's brightness around each pixel is estimated and subtracted; ink is what stands out to one side, darker
       or lighter, so that both kinds of photographs come out light on dark.
    3. The digit is found among the marks: no specks, lines, frames, and not two digits (ink.py, parts.py).
    4. The digit is cut out, thin strokes are broadened, and the longer side becomes 20 pixels, each the mean of its
       area.
    5. It is placed so that its centre of mass is the centre of the picture.

    Arguments: grey: (H, W) floats in 0..1, any size from 8×8 (a few hundred pixels a side are enough).

    Returns: (28, 28) uint8, 0 for paper and 255 for ink.

    Raises: PhotoError: no digit is there: too small, blank, or all over the same.
    """
    if grey.ndim != 2 or min(grey.shape) < 8:
        raise PhotoError(f"expected a picture of at least 8×8 pixels, got {grey.shape}")
    grey = without_table(grey.astype("float64"))
    ink, digit, threshold = find_digit(grey)
    # Soft edges: from half the threshold, clearly paper, to the brightness of typical ink.
    level = np.median(ink[digit])
    softened = ((ink - threshold / 2) / (level - threshold / 2)).clip(0, 1) * _grown(digit)
    rows, columns = np.flatnonzero(digit.any(axis=1)), np.flatnonzero(digit.any(axis=0))
    cut = softened[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    return _framed(cut)


def drawing_to_mnist(ink: np.ndarray) -> np.ndarray:
    """A drawing, which needs no guessing about light and paper, as MNIST would have it: steps 4 and 5 of to_mnist.

    Arguments: ink: (H, W) floats in 0..1, 1 where the pen has been.

    Returns: (28, 28) uint8, 0 for paper and 255 for ink.

    Raises: PhotoError: nothing is drawn.
    """
    drawn = ink > 0.25
    if not drawn.any():
        raise PhotoError("nothing is drawn")
    rows, columns = np.flatnonzero(drawn.any(axis=1)), np.flatnonzero(drawn.any(axis=0))
    return _framed(ink[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1].astype("float64"))


def _framed(cut):
    """A digit cut out, (H, W) in 0..1, in the box of MNIST: (28, 28) uint8."""
    cut = _broadened(cut)
    longest = max(cut.shape)
    height, width = (max(1, round(BOX * size / longest)) for size in cut.shape)
    return _centred(_area_mean(cut, height, width))


def _grown(a):
    """Each pixel becomes the largest of itself and its 8 neighbours."""
    padded = np.pad(a, 1)
    rows = np.maximum(np.maximum(padded[:-2], padded[1:-1]), padded[2:])
    return np.maximum(np.maximum(rows[:, :-2], rows[:, 1:-1]), rows[:, 2:])


def _broadened(cut):
    """Let strokes grow until they are THINNEST pixels wide in the box: thinner ones would fade when it is shrunk."""
    for _ in range(20):
        body = np.pad(cut > 0.5, 1)
        inner = body[1:-1, 1:-1] & body[:-2, 1:-1] & body[2:, 1:-1] & body[1:-1, :-2] & body[1:-1, 2:]
        area = body.sum()
        outline = max(area - inner.sum(), 1)
        if 2 * area / outline * BOX / max(cut.shape) >= THINNEST:
            break
        cut = _grown(np.pad(cut, 1))
    return cut


def _area_mean(a, height, width):
    """Shrink (or enlarge): each new pixel is the mean of the area that it covers."""

    def overlaps(old, new):  # (new, old): the share of each old pixel in each new one
        edges = np.arange(new + 1) * old / new
        pixels = np.arange(old)
        covered = np.minimum(edges[1:, None], pixels + 1) - np.maximum(edges[:-1, None], pixels)
        return covered.clip(0) * new / old

    return overlaps(a.shape[0], height) @ a @ overlaps(a.shape[1], width).T


def _centred(box):
    """The box in 28×28, moved by whole pixels until its centre of mass is nearest to the centre."""
    box = box / box.max()
    mass = box.sum()
    picture = np.zeros((SIDE, SIDE))
    places = []
    for axis, size in enumerate(box.shape):
        centre = (box.sum(axis=1 - axis) * np.arange(size)).sum() / mass
        places.append(min(max(round(CENTRE - centre), 0), SIDE - size))
    top, left = places
    picture[top : top + box.shape[0], left : left + box.shape[1]] = box
    return np.rint(picture * 255).astype("uint8")
