"""The accuracies of several runs in one picture."""

import statistics
from os import PathLike
from typing import Any

from ...storage.png_file import drawable, own_settings, write_png
from ..runs.comparison import mean_and_deviation, names

# Okabe and Ito's colours, which colour-blind people can tell apart.
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00", "#000000")
MARKERS = "osD^vPX"
MARKED = (1, 2, 3, 5, 7, 10, 15, 20, 30, 50, 75, 100)  # epochs, about evenly on a logarithmic axis


@own_settings()
def accuracy_curves(groups: Any, path: str | PathLike) -> None:
    """Errors after each epoch: a colour and a marker for each group of runs, a thin line for each run, a thick one for
    their mean.

    The legend gives the accuracy after the last epoch, mean ± standard deviation over the runs, the worst first, as
    the curves end from top to bottom.

    Arguments:
        groups: list of lists of runs.comparison.Run.
        path: the PNG file; an existing one is replaced when the new one is complete.
    Raises:
        OSError: the file cannot be written.
    """
    from matplotlib.figure import Figure
    from matplotlib.ticker import FuncFormatter

    figure = Figure(figsize=(9, 4.8), layout="constrained")
    axes = figure.subplots()
    named = sorted(zip(names(groups), groups, strict=True), key=lambda pair: _last_mean(pair[1]))
    several_sets = len({runs[0].data_set for runs in groups}) > 1
    for k, (name, runs) in enumerate(named):
        name = f"{name} ({runs[0].data_set})" if several_sets else name
        colour = COLOURS[k % len(COLOURS)]
        errors = [[100 * (1 - accuracy) for accuracy in run.accuracies] for run in runs]
        for run in errors if len(runs) > 1 else []:
            axes.plot(range(1, len(run) + 1), run, colour, lw=0.6, alpha=0.5)
        mean = [statistics.mean(epoch) for epoch in zip(*errors, strict=False)]  # up to the shortest run
        last = mean_and_deviation([100 * run.accuracies[-1] for run in runs])
        count = f"{len(runs)} seeds" if len(runs) > 1 else "1 seed"
        marked = [epoch - 1 for epoch in MARKED if epoch <= len(mean)]
        axes.plot(
            range(1, len(mean) + 1), mean, colour, lw=1.8, marker=MARKERS[k % len(MARKERS)], ms=5, markevery=marked,
            label=drawable(f" {name}: {last} % ({count})"),  # matplotlib leaves out labels that begin with _
        )  # fmt: skip
    axes.set(xlabel="epoch", ylabel="wrong, % of the images", xscale="log", yscale="log")
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axis.set_minor_formatter(FuncFormatter(lambda value, _: f"{value:g}" if f"{value:.0e}"[0] in "25" else ""))
    axes.grid(alpha=0.3, which="both")
    for text in axes.legend(
        title="recipe or network: accuracy after the last epoch", loc="upper right", fontsize=9
    ).get_texts():
        text.set_parse_math(False)
    write_png(figure, path)


def _last_mean(runs):
    return statistics.mean(run.accuracies[-1] for run in runs)
