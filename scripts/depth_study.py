"""How deep can a stack of synapse layers be, and does it overfit less than a stack of linear layers?

    python scripts/depth_study.py                        all of it: about 30 minutes on one core
    python scripts/depth_study.py --depths 2 4 --seeds 1
    python scripts/depth_study.py --only-report          table and plot of the finished runs

A block of the stack, of 64 units, is

    synapse   h → batch-norm(synapse(sigmoid(h)))        64² + 3 · 64 weights
    linear    h → batch-norm(linear(relu(h)))            the same number

with a skip connection h + block(h), or without. In front stands a linear layer with batch-norm (784 → 64), behind the
stack the block's activation and a linear layer (64 → 10). Trained on the first 5,000 images of MNIST, so few that a
network can overfit; Adam, one cycle of the learning rate, 20 epochs of batches of 100. The peak learning rate of each
row is chosen by the accuracy on 5,000 held-out images, with seed 0; the reported runs have other seeds and are tested
on the 10,000 test images after the last epoch. Finished runs are kept in --out and not repeated.
"""

import json
import sys
from itertools import product
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # of this checkout, installed or not

from synann_np import fast
from synann_np.data import DataError, load_mnist
from synann_np.layers import BatchNorm1d, Flatten, Linear, LogSoftmax, ReLU, Residual, Sigmoid, Synapse
from synann_np.optim import Adam
from synann_np.programs.command_line import Parser, path, png_path
from synann_np.programs.process import run_program, status_of
from synann_np.sequential import Sequential
from synann_np.storage.png_file import own_settings, write_png
from synann_np.train import NonFiniteLoss, evaluate, fit
from synann_np.training.schedules import one_cycle
from synann_np.training.tools import TrainingTools

UNITS, IMAGES, HELD_OUT, BATCH = 64, 5_000, 5_000, 100
RATES = (0.003, 0.01, 0.03)
KINDS = {"synapse": (Sigmoid, Synapse), "linear": (ReLU, lambda units, **options: Linear(units, units, **options))}


def stack(kind, depth, skip, seed):
    """Sequential, x (N, 1, 28, 28) -> log probabilities (N, 10), with `depth` blocks."""
    rng = np.random.default_rng(seed)
    activation, layer = KINDS[kind]

    def block():
        body = fast.compile(Sequential([activation(), layer(UNITS, rng=rng), BatchNorm1d(UNITS)]), threads=1)
        return [Residual(body)] if skip else list(body.layers.values())

    blocks = [part for _ in range(depth) for part in block()]
    first = [Flatten(), Linear(784, UNITS, rng=rng), BatchNorm1d(UNITS)]
    return Sequential([*first, *blocks, activation(), Linear(UNITS, 10, rng=rng), LogSoftmax()])


def run(cell, rate, seed, epochs, data_dir=None):
    """dict of cell, rate, seed, epochs, and the accuracy on the training and on the test images; "failed" if NaN."""
    kind, depth, skip = cell
    images, labels, *test_set = load_mnist(data_dir)
    train_set = images[:IMAGES], labels[:IMAGES]
    if seed == 0:
        test_set = images[-HELD_OUT:], labels[-HELD_OUT:]
    model = stack(kind, depth, skip, seed)
    tools = TrainingTools(schedule=one_cycle(rate, epochs * IMAGES // BATCH))
    result = {"kind": kind, "depth": depth, "skip": skip, "rate": rate, "seed": seed, "epochs": epochs}
    try:
        for _ in fit(model, Adam(rate), train_set, None, epochs, batch_size=BATCH, seed=seed, tools=tools):
            pass
    except NonFiniteLoss as error:
        return result | {"failed": str(error).partition(":")[0]}
    return result | {
        name: evaluate(model, *data)[1] / len(data[1]) for name, data in {"train": train_set, "test": test_set}.items()
    }


def best_rate(results, cell, epochs):
    """The rate of the cell whose run with seed 0 was right most often on the held-out images."""
    tried = [r for r in results if key(r)[:3] == cell and r["seed"] == 0 and r["epochs"] == epochs]
    return max(tried, key=lambda r: r.get("test", 0))["rate"]


def key(result):
    return tuple(result[name] for name in ("kind", "depth", "skip", "rate", "seed", "epochs"))


def reported(results):
    """dict cell -> runs with the seeds that count, those that failed left out."""
    cells = {}
    for r in results:
        if r["seed"] != 0 and "failed" not in r:
            cells.setdefault(key(r)[:3], []).append(r)
    return cells


def table(results):
    """Lines of Markdown: accuracy on the training and on the test images, mean ± sample standard deviation."""
    yield "| block | skip connection | blocks | learning rate | training images, % | test images, % | difference |"
    yield "|:--|:--|--:|--:|--:|--:|--:|"
    for (kind, depth, skip), runs in sorted(reported(results).items(), key=lambda item: (item[0][0], item[0][2], item)):
        train, test = (100 * np.array([r[name] for r in runs]) for name in ("train", "test"))
        spread = f" ± {test.std(ddof=1):.2f}" if len(runs) > 1 else ""
        cells = [kind, "yes" if skip else "no", depth, f"{runs[0]['rate']:g}", f"{train.mean():.2f}"]
        cells += [f"{test.mean():.2f}{spread}", f"{(train - test).mean():.2f}"]
        yield f"| {' | '.join(map(str, cells))} |"


@own_settings()
def draw(results, target):
    """Accuracy over the depth: one line per kind of block, with and without skip connections."""
    from matplotlib.figure import Figure

    cells = reported(results)
    figure = Figure(figsize=(7, 4), layout="constrained")
    axes = figure.subplots()
    for kind, skip in product(KINDS, (True, False)):
        depths = sorted(depth for k, depth, s in cells if (k, s) == (kind, skip))
        runs = [[100 * r["test"] for r in cells[kind, depth, skip]] for depth in depths]
        colour = "#d55e00" if kind == "synapse" else "#0072b2"
        label = f"{kind}, {'skip connections' if skip else 'no skip connections'}"
        axes.plot(depths, [np.mean(r) for r in runs], "-" if skip else "--", color=colour, label=label)
        for depth, accuracies in zip(depths, runs, strict=True):
            axes.plot([depth] * len(accuracies), accuracies, "o" if skip else "s", color=colour, ms=4, alpha=0.5)
    axes.set_xscale("log", base=2)
    ticks = sorted({depth for _, depth, _ in cells})
    axes.set_xticks(ticks, map(str, ticks))
    axes.set(xlabel="blocks", ylabel="test accuracy, %", title="trained on 5,000 images; each point is one run")
    axes.grid(alpha=0.3)
    axes.legend()
    write_png(figure, target)


def main(argv=None):
    parser = Parser(__doc__)
    parser.add_argument("--depths", type=int, nargs="+", default=[2, 8, 32], help="(2 8 32)")
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3], help="at least 1 (1 2 3)")
    parser.add_argument("--epochs", type=int, default=20, help="(20)")
    parser.add_argument("--data-dir", help="folder of the data set (the repository's MNIST)")
    parser.add_argument("--out", type=path, default=Path("runs/depth.jsonl"), help="the results (%(default)s)")
    parser.add_argument("--plot", type=png_path, help="a PNG file, such as docs/pictures/depth.png")
    parser.add_argument("--only-report", action="store_true", help="train nothing")
    args = parser.parse_args(argv)
    if min(args.depths + args.seeds + [args.epochs]) < 1:
        parser.error("depths, seeds and epochs are at least 1")
    return status_of("depth_study", study, args)


def study(args):
    results = read(args.out)
    if not args.only_report:
        args.out.parent.mkdir(parents=True, exist_ok=True)
        cells = list(product(KINDS, args.depths, (True, False)))
        for cell, rate in product(cells, RATES):
            do(cell, rate, 0, args, results)
        for seed, cell in product(args.seeds, cells):
            do(cell, best_rate(results, cell, args.epochs), seed, args, results)
    print(*table(results), sep="\n")
    if args.plot:
        draw(results, args.plot)


def read(file):
    """All results of the file, none if there is no file."""
    try:
        return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()] if file.exists() else []
    except ValueError as error:
        raise DataError(f"{file}: not the results of this script ({error})") from error


def do(cell, rate, seed, args, results):
    """Train and append to the results, unless they have this run."""
    if (*cell, rate, seed, args.epochs) in map(key, results):
        return
    result = run(cell, rate, seed, args.epochs, args.data_dir)
    results.append(result)
    with open(args.out, "a", encoding="utf-8") as file:
        file.write(json.dumps(result) + "\n")
    print(*key(result), result.get("failed") or f"{result['train']:.2%} {result['test']:.2%}", flush=True)


if __name__ == "__main__":
    sys.exit(run_program(main))
