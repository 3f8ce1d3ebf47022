"""One picture of why a network with a synapse chose a class."""

from os import PathLike
from typing import Any

import numpy as np

from ...storage.png_file import drawable, own_settings, write_png

FEW = 8  # units and channels that are listed by number
FOR, AGAINST, REST = "#0072b2", "#d55e00", "0.6"  # blue, orange and grey: colour-blind people can tell them apart


@own_settings()
def draw_shares(image: np.ndarray, shares: Any, path: str | PathLike, title: str = "", row: int = 0) -> None:
    """Draw the shares of a ClassShares for its input number `row`.

    Five panels: the image; the score of each class; the score of the chosen class as the sum of its parts; the units
    and the inhibitory channels with the largest shares of it.

    Arguments: image: (H, W), what to show as the input. path: the PNG file. title: of the whole picture.

    Raises: OSError if the file cannot be written.
    """
    from matplotlib.figure import Figure

    k = int(shares.logits[row].argmax())
    figure = Figure(figsize=(12, 7.2), layout="constrained")
    engine: Any = figure.get_layout_engine()
    engine.set(w_pad=0.15, h_pad=0.15)
    figure.suptitle(drawable(title), parse_math=False)
    places: Any = [["image", "scores", "scores", "sum", "sum"], ["units"] * 3 + ["channels"] * 2]
    panels = figure.subplot_mosaic(places)
    panels["image"].imshow(image, cmap="gray")
    panels["image"].set_axis_off()
    panels["image"].set_title("input")
    _draw_scores(panels["scores"], shares.logits[row], k)
    _draw_sum(panels["sum"], shares, row, k)
    units, channels = shares.by_unit[row, k], shares.inhibition[row, k]
    total = f"Units: excitation and inhibition, together {units.sum():+.2f}"
    _draw_largest(panels["units"], units, "unit", total)
    _draw_largest(panels["channels"], channels, "channel", f"Inhibition, by channel: together {channels.sum():+.2g}")
    write_png(figure, path)


def _draw_scores(axes, logits, k):
    """One bar for each class, with its score and its probability as text."""
    probabilities = np.exp(logits - logits.max())
    probabilities /= probabilities.sum()
    colours = [FOR if i == k else REST for i in range(len(logits))]
    axes.barh(range(len(logits)), logits, color=colours)
    texts = [f"{score:.1f}  ({100 * p:.0f} %)" for score, p in zip(logits, probabilities, strict=True)]
    _finish(axes, [f"{i}" for i in range(len(logits))], logits, texts)
    axes.set(title="Score (logit) of each class, and its probability", ylabel="class")


def _draw_sum(axes, shares, row, k):
    """The parts of one score as steps, each beginning where the one before ends; the last bar is the score."""
    parts = {
        "base": shares.base[k],
        "excitation": shares.excitation[row, k].sum(),
        "inhibition": shares.inhibition[row, k].sum(),
        "not divided": shares.unsplit[row, k],
    }
    if not parts["not divided"]:
        del parts["not divided"]
    values = np.array([*parts.values()])
    ends = np.cumsum(values)
    colours = [FOR if value >= 0 else AGAINST for value in values]
    axes.barh(range(len(values)), values, left=ends - values, color=colours)
    axes.barh(len(values), shares.logits[row, k], color="0.25")
    texts = [f"{value:+.2f}" for value in values] + [f"{shares.logits[row, k]:.2f}"]
    bars = np.where(np.abs(ends) > np.abs(ends - values), ends, ends - values)
    _finish(axes, [*parts, f"score of {k}"], [*bars, shares.logits[row, k]], texts)
    axes.set(title=f"The score of {k} is a sum")


def _draw_largest(axes, values, noun, title):
    """The largest shares by size, each a bar, and all the others as one."""
    order = np.argsort(-np.abs(values), kind="stable")
    shown, others = order[:FEW], order[FEW:]
    labels = [f"{noun} {i}" for i in shown] + ([f"the other {len(others)}"] if len(others) else [])
    widths = [*values[shown], *([values[others].sum()] if len(others) else [])]
    axes.barh(range(len(widths)), widths, color=[FOR if w >= 0 else AGAINST for w in widths])
    _finish(axes, labels, widths, [f"{w:+.2g}" for w in widths])
    axes.set(title=title)


def _finish(axes, labels, ends, texts):
    """The first bar at the top, its text after its end, room for the texts on both sides."""
    ends = np.nan_to_num(ends, posinf=0, neginf=0)  # of a network whose training diverged
    low, high = min(0, *ends), max(0, *ends)
    room = 0.04 * max(map(len, texts)) * ((high - low) or 1)
    axes.set_xlim(low - (room if low < 0 else 0), high + (room if high > 0 else 0))
    for place, (end, text) in enumerate(zip(ends, texts, strict=True)):
        side = 1 if end >= 0 else -1
        start = end + side * 0.02 * (high - low)
        text = text.replace("-", "−")
        axes.text(start, place, text, va="center", ha="left" if side > 0 else "right", fontsize=9)
    axes.axvline(0, color="0.3", lw=0.8)
    axes.set_yticks(range(len(labels)), labels)
    axes.set_xticks([])
    axes.invert_yaxis()
    axes.tick_params(axis="y", length=0)
    axes.spines[:].set_visible(False)
