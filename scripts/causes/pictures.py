"""Pictures of a gate: its β with intervals, its calibration, the causes of one person's event."""

import numpy as np

from synann_np.risk import CausalGate
from synann_np.storage.png_file import drawable, own_settings, write_png

BLUE, ORANGE = "#0072b2", "#d55e00"  # colour-blind people can tell them apart


@own_settings()
def draw_betas(path, gate: CausalGate, title: str, names=None) -> None:
    """A forest plot: β and 95 % interval of every term; preventers in another colour."""
    values = {**dict(gate.beta_.items()), "leak": gate.leak_}
    names = list(names or values)
    preventers = set(map(str, gate.preventers or ()))
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8.5, 1.4 + 0.36 * len(names)), layout="constrained")
    axes = figure.add_subplot()
    for row, name in enumerate(names):
        low, high = gate.interval(name)
        color = BLUE if name in preventers else "0.5" if name == "leak" else ORANGE
        axes.plot([low, high], [row, row], color=color, lw=2)
        axes.plot(values[name], row, "s", color=color, ms=6, clip_on=False)
        text = f"{values[name]:.2f}  ({low:.2f} to {high:.2f})"
        axes.text(1.02, row, text, transform=axes.get_yaxis_transform(), va="center", fontsize=9)
    meaning = {"leak": "leak (none of these)"} | {name: f"{name} (prevents)" for name in preventers}
    labels = [meaning.get(name, name) for name in names]
    axes.set_yticks(range(len(names)), map(drawable, labels), parse_math=False)
    axes.tick_params(axis="y", length=0, pad=8)
    axes.set(
        xlim=(0, 1),
        ylim=(len(names) - 0.4, -0.6),
        title=title,
        xlabel="β, probability that the factor alone has its effect; 95 % interval",
    )
    axes.grid(axis="x", color="0.9")
    axes.set_axisbelow(True)
    axes.spines[["top", "right", "left"]].set_visible(False)
    write_png(figure, path)


@own_settings()
def draw_calibration(path, probabilities: dict[str, np.ndarray], y: np.ndarray, title: str, groups: int = 10) -> None:
    """Observed against predicted frequency in groups of about equal size, with one standard error."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(5.2, 5), layout="constrained")
    axes = figure.add_subplot()
    axes.axline((0, 0), slope=1, color="0.6", lw=1, ls="--", label="prediction = observation")
    seen = []
    for (name, p), marker in zip(probabilities.items(), "os^v", strict=False):
        cuts = np.unique(np.quantile(p, np.linspace(0, 1, groups + 1)[1:-1]))
        group = np.searchsorted(cuts, p, side="left")
        used = np.unique(group)
        predicted = np.array([p[group == g].mean() for g in used])
        observed = np.array([y[group == g].mean() for g in used])
        error = np.sqrt(observed * (1 - observed) / np.array([(group == g).sum() for g in used]))
        axes.errorbar(
            predicted, observed, error, fmt=marker, ms=5, capsize=2, label=f"{name} (± 1 standard error)", alpha=0.8
        )
        seen += [*predicted, *(observed - error), *(observed + error)]
    margin = 0.05 * (max(seen) - min(seen))
    limits = min(seen) - margin, max(seen) + margin
    axes.set(xlim=limits, ylim=limits, aspect="equal", title=title)
    axes.set(xlabel="predicted probability, mean of the group", ylabel="observed frequency")
    axes.legend(frameon=False)
    write_png(figure, path)


@own_settings()
def draw_person(path, gate: CausalGate, person, title: str) -> None:
    """The causes of one person's event in the three senses, one stacked bar each."""
    explanation = gate.explain(person)
    senses = {
        "first": "first: fired before the others",
        "fired": "fired: fired at all",
        "but_for": "but for: without it, no event",
    }
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8.5, 2.6), layout="constrained")
    axes = figure.add_subplot()
    names = [name for name, share in zip(explanation.names, explanation.fired[0], strict=True) if share > 0]
    colors = dict(zip(names, [ORANGE, BLUE, "#009e73", "#cc79a7", "#56b4e9", "#e69f00"], strict=False))
    for row, sense in enumerate(senses):
        left = 0.0
        shares = explanation.person(0, sense)
        for name, share in sorted(shares.items(), key=lambda item: -item[1]):
            label = name if row == 0 else None
            axes.barh(row, share, left=left, color=colors[name], height=0.6, label=label)
            axes.text(left + share / 2, row, f"{share:.2f}", ha="center", va="center", color="white", fontsize=9)
            left += share
    axes.axvline(1, color="0.2", lw=1, ls="--")
    axes.set_yticks(range(len(senses)), senses.values())
    axes.tick_params(axis="y", length=0)
    axes.invert_yaxis()
    axes.set(title=title, xlabel="probability of each cause, given that the event happened")
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.legend(frameon=False, loc="center left", bbox_to_anchor=(1, 0.5))
    write_png(figure, path)
