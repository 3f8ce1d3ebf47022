"""One picture of what a trained synapse says about one image."""

from os import PathLike
from typing import Any

import numpy as np

from ...storage.png_file import drawable, own_settings, write_png

FEW = 12  # units and channels that are listed by name


@own_settings()
def draw_shares(image: np.ndarray, shares: Any, path: str | PathLike, title: str = "", row: int = 0) -> None:
    """Draw the shares of a ClassShares for its input number `row`.

    Arguments: image: (H, W), what to show as the input. path: the PNG file. title: of the whole picture.

    Raises: OSError if the file cannot be written.
    """
    from matplotlib.figure import Figure

    k = int(shares.logits[row].argmax())
    figure = Figure(figsize=(15, 8.2), layout="constrained")
    figure.suptitle(drawable(title), parse_math=False)
    (digit, logits, unit_bars), (surprisals, matrix, channel_bars) = figure.subplots(
        2, 3, gridspec_kw={"width_ratios": [1, 1.3, 1]}
    )
    digit.imshow(image, cmap="gray")
    digit.set_axis_off()
    _draw_logits(logits, shares, row)
    _draw_largest(unit_bars, shares.by_unit[row, k], f"units for class {k}", "share of the logit")
    _draw_surprisals(surprisals, shares.units, row)
    _draw_matrix(figure, matrix, shares.units, row)
    _draw_largest(channel_bars, shares.inhibition[row, k], f"channels for class {k}", "share of the logit")
    write_png(figure, path)


def _draw_logits(axes, shares, row):
    """Of every class: a stack of base, excitation, inhibition, unsplit; its end is the logit."""
    parts = {
        "base": shares.base,
        "excitation": shares.excitation[row].sum(axis=1),
        "inhibition": shares.inhibition[row].sum(axis=1),
        "not split": shares.unsplit[row],
    }
    classes = np.arange(len(shares.base))
    for place, (label, values) in enumerate(parts.items()):
        if values.any():
            axes.bar(classes - 0.27 + 0.27 * place, values, width=0.25, label=label)
    axes.plot(classes, shares.logits[row], "k_", ms=22, mew=2, label="logit (their sum)")
    axes.axhline(0, color="0.5", lw=0.8)
    axes.set(xlabel="class", ylabel="logit", title="classes", xticks=classes)
    axes.legend(fontsize=8)


def _draw_surprisals(axes, units, row):
    """Of every unit, the sum of its inhibition against its own input's surprisal."""
    i = np.arange(len(units.alpha))
    own, inhibition = units.own[row], units.inhibition[row].sum(axis=1)
    order = np.argsort(own, kind="stable")
    parts = [("own input, −log x", own), ("α, −log α", units.alpha), ("inhibition, Σ −log(1 − βx)", inhibition)]
    for label, values in parts:
        values = np.where(np.isfinite(values), values, np.nan)
        axes.plot(i, values[order], ".-", lw=0.7, ms=4, label=label)
    axes.axhline(0, color="0.5", lw=0.8)
    axes.set(xlabel="unit, by its own surprisal", ylabel="nats", title="surprisal of every unit")
    axes.legend(fontsize=8)


def _draw_matrix(figure, axes, units, row):
    """Share of channel j in unit i. Crosses: factors ≤ 0, of which the share knows only |q|."""
    shares, factors = units.inhibition[row], units.factors[row]
    finite = np.where(np.isfinite(shares), shares, 0)
    bound = float(np.abs(finite).max()) or 1.0
    colours = axes.imshow(finite, cmap="RdBu_r", vmin=-bound, vmax=bound, interpolation="nearest")
    unit, channel = np.nonzero(factors <= 0)
    axes.plot(channel, unit, "kx", ms=4)
    crosses = f"; × = {len(unit)} factors ≤ 0" if len(unit) else ""
    axes.set(xlabel="inhibitory channel j", ylabel="unit i", title=f"inhibition, −log(1 − βx), nats{crosses}")
    figure.colorbar(colours, ax=axes, shrink=0.9)


def _draw_largest(axes, values, title, xlabel):
    """The largest shares by size, each a bar, and all the others as one."""
    order = np.argsort(-np.abs(values), kind="stable")
    shown, others = order[:FEW], order[FEW:]
    labels = [*map(str, shown), *([f"other {len(others)}"] if len(others) else [])]
    widths = [*values[shown], *([values[others].sum()] if len(others) else [])]
    axes.barh(labels, widths, color=["tab:blue" if w >= 0 else "tab:red" for w in widths])
    axes.invert_yaxis()
    axes.axvline(0, color="0.5", lw=0.8)
    axes.locator_params(axis="x", nbins=5)
    axes.set(title=f"{title}: {values.sum():+.3g} together", xlabel=xlabel)
