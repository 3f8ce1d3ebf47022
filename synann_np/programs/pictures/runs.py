"""The accuracies of several runs in one picture."""

from ...storage.png_file import write_png


def accuracy_curves(groups, path):
    """Errors after each epoch, logarithmic, one colour a group of runs, one line a run.

    Arguments:
        groups: list of lists of runs.comparison.Run.
        path: the PNG file; an existing one is replaced when the new one is complete.
    Raises:
        OSError: the file cannot be written.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 4.5), layout="constrained")
    axes = figure.subplots()
    for k, runs in enumerate(groups):
        for n, run in enumerate(runs):
            errors = [100 * (1 - accuracy) for accuracy in run.accuracies]
            label = f"{run.label}: {100 - errors[-1]:.2f} %" if n == 0 else None
            axes.plot(range(1, len(errors) + 1), errors, f"C{k}", lw=1, marker=".", ms=3, label=label)
    axes.set(xlabel="epoch", ylabel="wrong answers, %", xscale="log", yscale="log")
    axes.grid(alpha=0.3, which="both")
    axes.legend()
    write_png(figure, path)
