"""The results of the ablation as a table in Markdown and as a picture."""

import math
import re

import numpy as np

from ...storage.png_file import own_settings, write_png
from .variants import VARIANTS, without_synapse

BEGIN, END = "<!-- ablation table: begin -->", "<!-- ablation table: end -->"
LAST = 3  # epochs that are averaged


def group(results):
    """dict variant -> dict seed -> result, in the order of VARIANTS; runs that failed are left out."""
    groups = {name: {r["seed"]: r for r in results if r["variant"] == name and "failed" not in r} for name in VARIANTS}
    return {name: runs for name, runs in groups.items() if runs}


def final(result):
    """Mean test accuracy of the last epochs, in percent."""
    return 100 * float(np.mean(result["accuracy"][-LAST:]))


def table(results):
    """Lines of Markdown: one row a variant, mean ± sample standard deviation over the seeds.

    "Against no synapse" is the mean of the differences of runs with equal seeds, so with equal weights at the start.
    """
    groups = group(results)
    accuracies = f"last epoch, % | last {LAST} epochs, %"
    yield f"| variant | runs | {accuracies} | against no synapse | β | inhibition varies by | s |"
    yield "|:--|--:|--:|--:|--:|--:|--:|--:|"
    for name, runs in groups.items():
        last = mean_and_spread([100 * r["accuracy"][-1] for r in runs.values()])
        late = mean_and_spread([final(r) for r in runs.values()])
        reference = groups.get(without_synapse(name), {})
        pairs = [final(r) - final(reference[seed]) for seed, r in runs.items() if seed in reference]
        difference = _pm(mean_and_spread(pairs), "+.2f") if pairs and reference is not runs else "–"
        betas = [r["beta"] for r in runs.values() if r.get("beta") and None not in r["beta"]]
        beta = f"{min(b[0] for b in betas):.2f} … {max(b[1] for b in betas):.2f}" if betas else "–"
        spreads = [r["inhibition"] for r in runs.values() if r.get("inhibition") is not None]
        spread = f"{np.mean(spreads):.3f}" if spreads else "–"
        seconds = np.median([r["seconds"] for r in runs.values()])
        cells = [VARIANTS[name].text, len(runs), _pm(last), _pm(late), difference, beta, spread, f"{seconds:.0f}"]
        yield f"| {' | '.join(map(str, cells))} |"
    for r in results:
        if "failed" in r:
            yield f"\n{VARIANTS[r['variant']].text}, seed {r['seed']}: {r['failed']}."


def mean_and_spread(values):
    """Mean and sample standard deviation (NaN for one value)."""
    return float(np.mean(values)), float(np.std(values, ddof=1)) if len(values) > 1 else math.nan


def _pm(mean_and_deviation, form=".2f"):
    mean, deviation = mean_and_deviation
    return f"{mean:{form}}" if np.isnan(deviation) else f"{mean:{form}} ± {deviation:.2f}"


def settings_of(results):
    """One line that says with what the runs were made."""
    s = results[0]["settings"]
    seeds = sorted({r["seed"] for r in results})
    return (
        f"Seeds {', '.join(map(str, seeds))}; {s['epochs']} epochs of {s['train_images']} images, batches of "
        f"{s['batch_size']}, SGD with learning rate {s['lr']:g} and momentum {s['momentum']:g}; accuracy on "
        f"{s['test_images']} test images."
    )


def place(text):
    """The part of a text from one marker to the other. Raises: ValueError if there is none, or more than one."""
    found = re.findall(f"{BEGIN}.*?{END}", text, re.S)
    if len(found) != 1:
        raise ValueError(f"expected one place between {BEGIN} and {END}")
    return found[0]


def fill(text, results):
    """The text with the table between its two markers. Raises: ValueError if it has no such place."""
    content = "\n".join([BEGIN, "", settings_of(results), "", *table(results), "", END])
    return text.replace(place(text), content)


@own_settings()
def draw(results, path):
    """Test error over the epochs (mean and range of the seeds), and the end of every run. OSError as write_png."""
    from matplotlib.figure import Figure

    groups = group(results)
    figure = Figure(figsize=(13, 5.5), layout="constrained")
    curves, ends = figure.subplots(1, 2, gridspec_kw={"width_ratios": [1.2, 1]})
    for row, (name, runs) in enumerate(groups.items()):
        error = np.array([[max(100 - 100 * a, 0.01) for a in r["accuracy"]] for r in runs.values()])
        epochs, colour = np.arange(1, error.shape[1] + 1), f"C{row}"
        style = {"sigmoid": "--", "none": ":"}.get(VARIANTS[name].squash, "-." if "eps" in name else "-")
        curves.plot(epochs, error.mean(axis=0), style, color=colour, lw=1.4, label=VARIANTS[name].text)
        curves.fill_between(epochs, error.min(axis=0), error.max(axis=0), color=colour, alpha=0.12, lw=0)
        late = [final(r) for r in runs.values()]
        ends.plot(late, [row] * len(late), "o", color=colour, ms=6, alpha=0.6)
        ends.plot(np.mean(late), row, "|", color="k", ms=18, mew=2)
    curves.set(xlabel="epoch", ylabel="test error, %", yscale="log", title="mean and range of the seeds")
    for formatted in (curves.yaxis.set_major_formatter, curves.yaxis.set_minor_formatter):
        formatted("{x:g}")
    curves.grid(which="both", alpha=0.3)
    curves.legend(fontsize=8)
    ends.set_yticks(range(len(groups)), [VARIANTS[name].text for name in groups])
    ends.set(xlabel="test accuracy, %", title=f"mean of the last {LAST} epochs: seeds, and their mean")
    ends.grid(axis="x", alpha=0.3)
    ends.invert_yaxis()
    write_png(figure, path)
