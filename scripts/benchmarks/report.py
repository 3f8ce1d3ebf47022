"""The result of a benchmark on a CPU as Markdown tables."""

from benchmarks.cases import BATCH, SYNAPSE_BATCH
from benchmarks.comparison import GRADIENTS, LOG_PROBS, SMALLEST

TITLES = {
    "networks": f"All networks: a training step, batch {BATCH}, and the evaluation of 10,000 images, 1,000 at a time",
    "busy": "A training step while the machine is quiet, and with another process computing on every core",
    "threads": "A training step by the number of threads",
    "synapse": f"The synapse layer alone, softmax rows, batch {SYNAPSE_BATCH}, forward and backward; fresh processes",
}

EXPLANATION = """\
Every time is the median over turns, with the 10th and 90th percentile of the turns in brackets; for the synapse layer
alone it is the median over processes, with the smallest and largest. Ratio: time divided by the time of ours. Peak:
resident memory of the whole process, libraries and images included."""
COMPARISON = f"""\
Log-probabilities in training and in evaluation, and gradients, of one batch without dropout and with equal weights:
largest difference from the reference. The tolerance is {LOG_PROBS:.0e} for log-probabilities. For gradients it is
{GRADIENTS:.0e} of the largest element of each array, or of {SMALLEST:.0e} times the largest element of all gradients,
whichever is more. The synapse layer alone is compared with its formula in float64."""


def markdown(result):
    """All tables of a result, whichever parts it has."""
    machine = ", ".join(f"{key} {value}" for key, value in result["machine"].items())
    lines = [f"Machine: {machine}. float32. Rounds: {result['rounds']}.", ""]
    lines += [EXPLANATION]
    if result["failures"]:
        lines += ["", "Not measured:", "", *(f"- {failure}" for failure in result["failures"])]
    tables = {"networks": _networks, "busy": _busy, "threads": _threads, "synapse": _synapse}
    for part, table in tables.items():
        if part in result:
            lines += ["", f"## {TITLES[part]}", "", *table(result[part])]
    if result["errors"]:
        lines += ["", "## Results compared", "", *_errors(result["errors"])]
    return "\n".join(lines) + "\n"


def _networks(rows):
    header = ("network", "peer", "step, ms", "images/s", "ratio", "peak MiB", "evaluation, ms", "ratio", "peak MiB")
    return _table(
        header,
        (
            (
                network, name, _time(row["step"]), f"{1e3 * BATCH / row['step']['ms']:,.0f}",
                _ratio(row["step"], peers.get("ours", {}).get("step")), _mib(row["step"]["peak_mib"]),
                _time(row["evaluation"]), _ratio(row["evaluation"], peers.get("ours", {}).get("evaluation")),
                _mib(row["evaluation"]["peak_mib"]),
            )
            for network, peers in rows.items()
            for name, row in peers.items()
        ),
    )  # fmt: skip


def _busy(rows):
    header = ("network", "peer", "quiet, ms", "busy, ms", "busy/quiet", "ratio, quiet", "ratio, busy")
    return _table(
        header,
        (
            (
                network, name, _time(row["quiet"]), _time(row["busy"]), _ratio(row["busy"], row["quiet"]),
                *(_ratio(row[load], peers.get("ours", {}).get(load)) for load in ("quiet", "busy")),
            )
            for network, peers in rows.items()
            for name, row in peers.items()
        ),
    )  # fmt: skip


def _threads(rows):
    counts = sorted({count for peers in rows.values() for row in peers.values() for count in row}, key=int)
    titles = [f"{count} thread{'s' if count != '1' else ''}, ms" for count in counts]
    header = ("network", "peer", *titles, f"speed-up of {counts[-1]}" if counts else "speed-up")
    return _table(
        header,
        (
            (
                network, name, *(_time(row.get(count)) for count in counts),
                _ratio(row.get(counts[0]), row.get(counts[-1])),
            )
            for network, peers in rows.items()
            for name, row in peers.items()
        ),
    )  # fmt: skip


def _synapse(rows):
    header = ("n", "peer", "ms", "ratio", "peak MiB", "of which for the layer", "largest error")
    return _table(
        header,
        (
            (
                n, name, _time(row), _ratio(row, peers.get("ours")), _mib(row["peak_mib"]), _mib(row["extra_mib"]),
                f"{max(row['errors'].values()):.0e}",
            )
            for n, peers in rows.items()
            for name, row in peers.items()
        ),
    )  # fmt: skip


def _errors(errors):
    yield COMPARISON
    yield ""
    yield from _table(
        ("network", "peer", "reference", "log-probabilities", "gradients", "largest in"),
        (
            (network, name, row["reference"], f"{row['log_probs']:.0e}", f"{row['gradients']:.0e}", row["worst"])
            for network, peers in errors.items()
            for name, row in peers.items()
        ),
    )


def _table(header, rows):
    yield f"| {' | '.join(header)} |"
    yield "|---" * len(header) + "|"
    for row in rows:
        yield f"| {' | '.join(map(str, row))} |"


def _time(row):
    return f"{_digits(row['ms'])} ({_digits(row['low'])} – {_digits(row['high'])})" if row else "–"


def _digits(ms):
    return f"{ms:,.0f}" if ms >= 100 else f"{ms:.3g}"


def _ratio(row, base):
    return f"{row['ms'] / base['ms']:.2f}" if row and base else "–"


def _mib(value):
    return "–" if value is None else f"{value:,.0f}"
