"""Which pixels of a photograph are the digit."""

from typing import Any

import numpy as np

from .paper import holds_a_window, otsu_threshold, relief, residual_of_surface, running, separation
from .parts import components, parts_of_digit
from .photo_file import PhotoError

LEAST_CONTRAST = 0.08
SEPARATE = 0.8  # share of the variance between ink and paper; a ramp has 3/4
THICKEST = 0.27  # of the longer side: a stroke of a digit that fills the picture
NEAR = 0.08  # of the longer side: so near to an edge a soft stroke begins
LEAST_INK = 0.15  # of the picture, where a digit fills it: lines of a sheet cover less
MOST_PIECES = 12  # of the paper around and within such a digit
MOST_STROKES = 5  # that a row or column of it crosses: lines of squared paper are more
LINE = 1 / 32  # of the longer side: the thickest line of the paper
LINES = "no digit found: the ink runs from edge to edge, as lines of the paper do, or a digit that was cut off"


def find_digit(grey: np.ndarray) -> tuple[np.ndarray, Any, float]:
    """The digit of a photograph.

    Ink and paper are told apart by Otsu's threshold of the relief. Where what is found runs into the edges, it hangs
    together with lines of the paper: these are left out by a higher threshold, if they are paler than the ink, or by
    their shape. A digit that was cut out at its outline is found by the threshold of the picture as a whole.

    Arguments: grey: (H, W) floats in 0..1.

    Returns: ink (H, W), how far each pixel stands out; digit (H, W), bool; threshold of ink.

    Raises: PhotoError: there is no digit, or not exactly one.
    """
    light, is_cut_out = _ink_is_light(grey)
    grey = 1 - grey if light else grey
    if is_cut_out:
        return _cut_out(grey)
    ink = relief(grey).clip(0)
    threshold = otsu_threshold(ink)
    strong = ink > threshold
    if not 0 < strong.mean() <= 0.9:
        raise PhotoError("no digit found: the picture is blank")
    _check_contrast(ink, strong)
    higher = otsu_threshold(ink[strong])
    attempts = [(strong, threshold), (ink > higher, higher), (_without_lines(strong), threshold)]
    for mask, level in attempts:
        parts = components(mask)
        free = [part for part in parts if not part.sides_touched(mask.shape)]
        if free and sum(part.area for part in free) > 0.5 * mask.sum() and free[0].area > 1e-3 * mask.size:
            return ink, _mask_of(parts_of_digit(free, mask.sum()), mask.shape), level
    parts = components(strong)
    if parts[0].sides_touched(strong.shape) > 2:
        raise PhotoError(LINES)
    return ink, _mask_of(parts_of_digit(parts, strong.sum()), strong.shape), threshold


def _cut_out(grey):
    """find_digit of a picture that has no margin."""
    threshold = otsu_threshold(grey)
    dark = grey <= threshold
    ink = (np.median(grey[~dark]) - grey).clip(0)
    threshold = ink[dark].min() * 0.999
    _check_contrast(ink, dark)
    return ink, _mask_of(parts_of_digit(components(dark), dark.sum()), dark.shape), threshold


def _mask_of(parts, shape):
    digit = np.zeros(shape, bool)
    for part in parts:
        digit[part.rows, part.columns] = True
    return digit


def _check_contrast(ink, strong):
    paper = ink[~strong]
    grain = 1.4826 * np.median(np.abs(paper - np.median(paper)))  # the standard deviation, of grain without outliers
    contrast = ink[strong].mean() - np.median(paper)
    if contrast < max(LEAST_CONTRAST, 3 * grain):
        raise PhotoError(
            f"no digit found: too little contrast ({contrast:.0%} between ink and paper, grain {grain:.0%})"
        )


def _ink_is_light(grey):
    """Whether the ink is lighter than the paper, and whether the digit was cut out at its outline, without a margin.

    Paper is what the edges show. If they show both sides of the threshold, ink is the one that looks like a digit cut
    out, and if both do, the one in fewer pieces. In uneven light neither does, or the threshold does not separate them
    well: then ink is what stands out further from a smooth surface.
    """
    threshold = otsu_threshold(grey)
    light = grey > threshold
    edges = np.concatenate([light[0], light[-1], light[1:-1, 0], light[1:-1, -1]]).mean()
    if separation(grey, threshold) > SEPARATE:
        if not 0.15 < edges < 0.85:
            return edges < 0.5, _is_cut_out(light if edges < 0.5 else ~light)
        cut_out = _is_cut_out(~light), _is_cut_out(light)
        if all(cut_out):
            return _in_one_piece(light) - edges / 2 > _in_one_piece(~light) - (1 - edges) / 2, True
        if any(cut_out):
            return cut_out[1], True
    return bool((residual_of_surface(grey) ** 3).sum() > 0), False


def _is_cut_out(mask):
    """Whether a mask looks like one digit that fills the picture: thin, connected, reaching opposite edges."""
    without_lines = _without_lines(mask)
    if mask.mean() < LEAST_INK or not without_lines.any() or holds_a_window(mask, THICKEST):
        return False
    if max(_strokes_across(mask), _strokes_across(mask.T)) > MOST_STROKES:
        return False
    parts = components(without_lines)
    return (
        parts[0].sides_touched(mask.shape, NEAR * max(mask.shape)) == 4
        and parts[0].area > 0.9 * without_lines.sum()
        and sum(part.area > 1e-3 * mask.size for part in components(~mask)) <= MOST_PIECES
    )


def _strokes_across(mask):
    """How many strokes a row of the picture crosses: the median over the rows."""
    return np.median((np.diff(np.pad(mask, ((0, 0), (1, 0))).astype("int8"), axis=1) == 1).sum(axis=1))


def _in_one_piece(mask):
    return components(mask)[0].area / mask.sum()


def _without_lines(mask):
    """The mask without lines along rows or columns, longer than half of the picture and thinner than strokes."""
    lines = np.zeros_like(mask)
    for axis in (0, 1):
        turned = mask if axis else mask.T
        length = turned.shape[1] // 2
        thick = turned.copy()  # a line may not be quite straight
        thick[1:] |= turned[:-1]
        thick[:-1] |= turned[1:]
        whole = np.pad(running(thick, length, np.minimum, 1), ((0, 0), (length - 1,) * 2))
        line = running(whole, length, np.maximum, 1) & turned
        if line.any():
            runs = _run_lengths(turned)
            line &= runs <= min(2 * np.median(runs[line]), max(LINE * max(mask.shape), 2))
            lines |= line if axis else line.T
    return mask & ~lines


def _run_lengths(mask):
    """For every pixel of a mask, how many pixels of its column hang together with it, up and down."""
    forth = np.zeros(mask.shape, int)
    back = np.zeros(mask.shape, int)
    for k in range(len(mask)):
        forth[k] = (forth[k - 1] + 1 if k else 1) * mask[k]
        back[-1 - k] = (back[-k] + 1 if k else 1) * mask[-1 - k]
    return forth + back - mask
