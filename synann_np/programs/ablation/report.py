"""The results of the ablation as a table in Markdown and as a picture."""

import math
import re
from collections.abc import Iterator
from os import PathLike
from typing import Any

import numpy as np

from ...storage.png_file import own_settings, write_png
from .variants import VARIANTS, without_synapse

BEGIN, END = "<!-- ablation table: begin -->", "<!-- ablation table: end -->"
LAST = 3  # epochs that are averaged


def group(results: Any) -> dict[str, Any]:
    """dict variant -> dict seed -> result, in the order of VARIANTS; runs that failed are left out."""
    groups = {name: {r["seed"]: r for r in results if r["variant"] == name and "failed" not in r} for name in VARIANTS}
    return {name: runs for name, runs in groups.items() if runs}


def final(result: Any) -> Any:
    """Mean test accuracy of the last epochs, in percent."""
    return 100 * float(np.mean(result["accuracy"][-LAST:]))


def table(results: Any) -> Iterator[str]:
    """Lines of Markdown: one row a variant, mean ± sample standard deviation over the seeds.

    "Against no synapse" is the mean of the differences of runs with equal seeds, so with equal weights at the start,
    with its 95 % confidence interval (Student's t, the runs paired by seed).
    """
    groups = group(results)
    accuracies = f"last epoch, % | last {LAST} epochs, %"
    yield f"| variant | runs | learning rate | {accuracies} | against no synapse | β | inhibition varies by |"
    yield "|:--|--:|--:|--:|--:|--:|--:|--:|"
    for name, runs in groups.items():
        last = mean_and_spread([100 * r["accuracy"][-1] for r in runs.values()])
        late = mean_and_spread([final(r) for r in runs.values()])
        reference = groups.get(without_synapse(name), {})
        pairs = [final(r) - final(reference[seed]) for seed, r in runs.items() if seed in reference]
        difference = _gain(pairs) if pairs and reference is not runs else "–"
        betas = [r["beta"] for r in runs.values() if r.get("beta") and None not in r["beta"]]
        beta = f"{min(b[0] for b in betas):.2f} … {max(b[1] for b in betas):.2f}" if betas else "–"
        spreads = [r["inhibition"] for r in runs.values() if r.get("inhibition") is not None]
        spread = f"{np.mean(spreads):.3f}" if spreads else "–"
        rate = f"{next(iter(runs.values()))['settings']['lr']:g}"
        cells = [VARIANTS[name].text, len(runs), rate, _pm(last), _pm(late), difference, beta, spread]
        yield f"| {' | '.join(map(str, cells))} |"
    for r in results:
        if "failed" in r:
            yield f"\n{VARIANTS[r['variant']].text}, seed {r['seed']}: {r['failed']}."


def mean_and_spread(values: Any) -> tuple[float, float]:
    """Mean and sample standard deviation (NaN for one value)."""
    return float(np.mean(values)), float(np.std(values, ddof=1)) if len(values) > 1 else math.nan


def interval(differences: Any) -> tuple[Any, Any]:
    """95 % confidence interval of the mean by Student's t (NaN for one value)."""
    from scipy.stats import t

    mean, deviation = mean_and_spread(differences)
    half = t.ppf(0.975, max(len(differences) - 1, 1)) * deviation / math.sqrt(len(differences))
    return mean - half, mean + half


def _gain(differences):
    """ "+0.09 (-0.02 to +0.20)": mean and its confidence interval; of a single value the mean alone."""
    low, high = interval(differences)
    mean = f"{np.mean(differences):+.2f}"
    return mean if math.isnan(low) else f"{mean} ({low:+.2f} to {high:+.2f})"


def _pm(mean_and_deviation, form=".2f"):
    mean, deviation = mean_and_deviation
    return f"{mean:{form}}" if np.isnan(deviation) else f"{mean:{form}} ± {deviation:.2f}"


def settings_of(results: Any) -> str:
    """One line that says with what the runs were made."""
    s = results[0]["settings"]
    seeds = sorted({r["seed"] for r in results})
    return (
        f"Seeds {', '.join(map(str, seeds))}; {s['epochs']} epochs of {s['train_images']} images, batches of "
        f"{s['batch_size']}, SGD with momentum {s['momentum']:g}; accuracy on {s['test_images']} test images."
    )


def place(text: str) -> Any:
    """The part of a text from one marker to the other. Raises: ValueError if there is none, or more than one."""
    found = re.findall(f"{BEGIN}.*?{END}", text, re.S)
    if len(found) != 1:
        raise ValueError(f"expected one place between {BEGIN} and {END}")
    return found[0]


def fill(text: str, results: Any) -> Any:
    """The text with the table between its two markers. Raises: ValueError if it has no such place."""
    content = "\n".join([BEGIN, "", settings_of(results), "", *table(results), "", END])
    return text.replace(place(text), content)


@own_settings()
def draw(results: Any, path: str | PathLike) -> None:
    """Accuracy of every run, and what the synapse adds to runs of equal seeds. OSError as write_png."""
    from matplotlib.figure import Figure

    groups = group(results)
    figure = Figure(figsize=(11, 1.2 + 0.5 * len(groups)), layout="constrained")
    ends, gains = figure.subplots(1, 2, sharey=True, gridspec_kw={"width_ratios": [1.3, 1]})
    for row, (name, runs) in enumerate(groups.items()):
        colour = "#0072b2" if VARIANTS[name].synapse == "none" else "#d55e00"
        late = [final(r) for r in runs.values()]
        ends.plot(late, [row] * len(late), "o", color=colour, ms=6, alpha=0.5)
        ends.plot(np.mean(late), row, "|", color="k", ms=18, mew=2)
        reference = groups.get(without_synapse(name), {})
        pairs = [final(r) - final(reference[seed]) for seed, r in runs.items() if seed in reference]
        if pairs and reference is not runs:
            gains.plot(pairs, [row] * len(pairs), "o", color=colour, ms=6, alpha=0.5)
            low, high = interval(pairs)
            gains.plot([low, high], [row, row], color="k", lw=1.5)
            gains.plot(np.mean(pairs), row, "|", color="k", ms=18, mew=2)
    ends.set_yticks(range(len(groups)), [VARIANTS[name].text for name in groups])
    ends.invert_yaxis()
    ends.set(xlabel=f"test accuracy, mean of the last {LAST} epochs, %", title="with a synapse (orange) and without")
    gains.axvline(0, color="0.5", lw=1)
    gains.set(xlabel="points of accuracy against the same seed without", title="what the synapse adds, 95 % interval")
    for axes in (ends, gains):
        axes.grid(axis="x", alpha=0.3)
    write_png(figure, path)
