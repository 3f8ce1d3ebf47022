"""The result of a benchmark on a GPU as Markdown tables."""

import math

from benchmarks.gpu_bench import PEERS
from benchmarks.gpu_cases import (
    ACCURACY,
    BOTH_INSTRUCTIONS,
    FORWARD_INSTRUCTIONS,
    SYNAPSE_BATCH,
    half_the_fp32_rate,
)

NONE = "not measured"


def gpu_markdown(result):
    """All tables of a result. What is missing in it is "not measured"."""
    lines = ["Machine: " + ", ".join(f"{key} {value}" for key, value in result["machine"].items()) + "."]
    if "step" in result:
        rows = {f"batch {batch}": row for batch, row in result["step"].items()}
        lines += table("A training step, µs; in brackets the time of fast ×", rows, "{:.1f}")
        lines += ["", goals(result["step"].get("100", {}))]
    if "epoch" in result:
        rows = {f"batch {batch}": row for batch, row in result["epoch"].items()}
        lines += table("An epoch of 60,000 images, s; in brackets the time of fast ×", rows, "{:.3f}")
    if "accuracy" in result:
        lines += accuracy_table(result["accuracy"])
    if "synapse" in result:
        rows = {f"n = {n}, {way}": row for n, ways in result["synapse"].items() for way, row in ways.items()}
        title = f"Synapse layer, batch {SYNAPSE_BATCH}, ms, forward or both ways; in brackets the time of fast ×"
        lines += table(title, rows, "{:.3f}")
        lines += share_table(result["synapse"], half_the_fp32_rate(result["machine"]))
    if result.get("failures"):
        lines += ["", "Not measured:", "", *(f"- {failure}" for failure in result["failures"])]
    return "\n".join(lines)


def table(title, rows, form):
    """Rows {label: {peer: {"median"}}}."""
    lines = ["", f"{title}:", "", f"| | {' | '.join(PEERS)} |", "|---" * (len(PEERS) + 1) + "|"]
    for label, row in rows.items():
        fast = row.get("fast", {}).get("median", math.nan)
        cells = [
            f"{form.format(row[p]['median'])} ({row[p]['median'] / fast:.1f})" if p in row else NONE for p in PEERS
        ]
        lines.append(f"| {label} | {' | '.join(cells)} |")
    return lines


def goals(row):
    """The goals for a step of 100 images, and what was measured."""
    fast = row.get("fast", {}).get("median", math.nan)
    times = {peer: row.get(peer, {}).get("median", math.nan) / fast for peer in ("torch", "torch-graphs")}
    said = {name: "not measured" if math.isnan(value) else f"{value:.1f}" for name, value in times.items()}
    step = "not measured" if math.isnan(fast) else f"{fast:.1f} µs"
    return (
        f"Goals at batch 100: 10 times PyTorch eager ({said['torch']}), 1.5 times PyTorch with CUDA graphs "
        f"({said['torch-graphs']}), under 60 µs a step ({step})."
    )


def accuracy_table(rows):
    """Rows {recipe: {"recipe", peer: {"epochs", "seconds"}}}."""
    title = f"Seconds to {ACCURACY:.2%} of the test images, evaluation after every epoch included (epochs)"
    lines = ["", f"{title}:", "", f"| | {' | '.join(PEERS)} |", "|---" * (len(PEERS) + 1) + "|"]
    for name, row in rows.items():
        recipe = ", ".join(f"{key} {value}" for key, value in row.get("recipe", {}).items())
        cells = []
        for peer in PEERS:
            epochs = row.get(peer, {}).get("epochs")
            if epochs is None:
                cells.append(NONE)
            elif math.isnan(epochs):
                cells.append(f"not reached in {row[peer]['seconds']:.1f} s")
            else:
                cells.append(f"{row[peer]['seconds']:.1f} ({epochs:.0f})")
        lines.append(f"| {name}: {recipe} | {' | '.join(cells)} |")
    return lines


def share_table(rows, rate):
    """How much of half the fp32 rate, the rate of float32 instructions, the factors of the fast path take."""
    lines = ["", "Synapse layer, fast: factors a second, and the share of half the fp32 rate that their"]
    lines[-1] += f" instructions take ({FORWARD_INSTRUCTIONS} a factor forward, {BOTH_INSTRUCTIONS:.1f} both ways):"
    lines += ["", "| | forward | share | both | share |", "|---|---|---|---|---|"]
    for n, ways in rows.items():
        cells = []
        for way, instructions in (("forward", FORWARD_INSTRUCTIONS), ("both", BOTH_INSTRUCTIONS)):
            ms = ways.get(way, {}).get("fast", {}).get("median", math.nan)
            factors = SYNAPSE_BATCH * int(n) ** 2 / (ms / 1e3)
            cells += (
                [NONE] * 2
                if math.isnan(ms)
                else [f"{factors:.3g}", NONE if math.isnan(rate) else f"{factors * instructions / rate:.0%}"]
            )
        lines.append(f"| n = {n} | {' | '.join(cells)} |")
    return lines
