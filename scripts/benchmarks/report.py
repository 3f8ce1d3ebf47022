"""The result of a benchmark as Markdown tables and as a picture."""


def markdown(result, train_images, batch):
    """All tables of a result."""
    machine = ", ".join(f"{key} {value}" for key, value in result["machine"].items())
    lines = [f"Machine: {machine}.", *(f"Not measured: {missing}." for missing in result["missing"])]
    if "step" in result:
        lines += ["", "A training step of the seed network, batch 100 (10th to 90th percentile of the turns):", ""]
        lines += ["| peer | ms | range | images/s | s an epoch | time of fast × | peak MiB |", "|---" * 7 + "|"]
        for name, r in result["step"].items():
            times = r["ms"] / result["step"]["fast"]["ms"]
            epoch = r["ms"] * train_images / batch / 1e3
            speed = batch / r["ms"] * 1e3
            spread = f"{r['low']:.2f} – {r['high']:.2f}"
            cells = [name, f"{r['ms']:.2f}", spread, f"{speed:,.0f}", f"{epoch:.1f}", f"{times:.1f}"]
            lines.append(f"| {' | '.join(cells)} | {r['peak_mib']:.0f} |")
    if "evaluation" in result:
        lines += ["", *_table("Evaluation of 10,000 images, ms", {"evaluation": result["evaluation"]})]
    if "layers" in result:
        lines += ["", *_table("Layers, forward and backward, batch 100, ms", result["layers"])]
    if "synapse" in result:
        lines += ["", *_table("Synapse layer, forward and backward, batch 128, ms", result["synapse"])]
        lines += ["", *_memory(result["synapse"])]
    return "\n".join(lines)


def draw(result, path):
    """Bars: a training step, and the synapse layer by size."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(13, 4), layout="constrained")
    machine = result["machine"]
    figure.suptitle(f"{machine['cpu']}, {machine['threads']} threads, {machine['date']}", fontsize=10)
    left, right = figure.subplots(1, 2)
    if step := result.get("step"):
        names = list(step)
        bars = left.bar(names, [step[name]["ms"] for name in names], color=[_COLORS.get(name) for name in names])
        left.bar_label(bars, fmt="%.1f")
        left.set(ylabel="ms", title="one training step of the seed network, batch 100")
        left.tick_params(axis="x", rotation=15)
    if rows := result.get("synapse"):
        for kind, style in (("softmax", "-"), ("uniform", "--"), ("worst", ":")):
            for name in ("fast", "fast-numpy", "plain", "torch", "torch-tuned"):
                points = [(int(k.split()[2][:-1]), r[name]["ms"]) for k, r in rows.items() if kind in k and name in r]
                if points:
                    label = f"{name}, {kind}"
                    right.plot(*zip(*points, strict=True), style, marker="o", ms=3, color=_COLORS[name], label=label)
        right.set(
            xscale="log", yscale="log", xlabel="n", ylabel="ms", title="synapse layer, forward + backward, batch 128"
        )
        right.legend(fontsize=7, loc="upper left", bbox_to_anchor=(1, 1))  # beside the lines, not over them
    figure.savefig(path, dpi=120)


_COLORS = {
    "fast": "tab:green",
    "fast-1-core": "yellowgreen",
    "fast-numpy": "tab:cyan",
    "plain": "tab:olive",
    "torch": "tab:red",
    "torch-tuned": "tab:orange",
    "torch-listing": "tab:gray",
}


def _table(title, rows):
    names = list(next(iter(rows.values())))
    lines = [
        f"{title}; in brackets the ratio to fast:",
        "",
        f"| | {' | '.join(names)} |",
        "|---" * (len(names) + 1) + "|",
    ]
    for label, row in rows.items():
        cells = [f"{row[n]['ms']:.2f} ({row[n]['ms'] / row['fast']['ms']:.1f})" if n in row else "–" for n in names]
        lines.append(f"| {label} | {' | '.join(cells)} |")
    return lines


def _memory(rows):
    names = list(next(iter(rows.values())))
    lines = ["Peak extra memory of one forward and backward, MiB:", "", f"| | {' | '.join(names)} |"]
    lines.append("|---" * (len(names) + 1) + "|")
    for label, row in rows.items():
        cells = [f"{row[n]['extra_mib']:,.0f}" if n in row else "–" for n in names]
        lines.append(f"| {label} | {' | '.join(cells)} |")
    return lines
