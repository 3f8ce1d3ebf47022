"""The table of equal bits: a hash of every network after 200 steps, on 0, 1, 2, 4 ranks with 1 and 2 threads.

python scripts/distributed_bits.py                             all rows; prints the table
python scripts/distributed_bits.py --rows "rnn fast"           one row
python scripts/distributed_bits.py --write docs/distributed.md puts the table into the page

Training has everything on: dropout, augmentation, a schedule, label smoothing, clipping, an average of the weights, and
a last batch of 70 rows after ten of 93. Every row is made twice: with MPICH's own choice of an algorithm for sums, and
with a ring, which adds in another order. Results are kept in --results and made again only for another version of the
source code, so rows may be run one by one. It needs mpiexec and mpi4py.
"""

import argparse
import hashlib
import json
import re
import sys
from datetime import date
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # of this checkout, installed or not

from benchmarks.ranks import on_ranks
from synann_np import fast
from synann_np.data import epoch_permutation, load_mnist
from synann_np.data.augment import Augment
from synann_np.distributed import DataParallel, communicator
from synann_np.layers import Dropout
from synann_np.models import MODELS
from synann_np.optim import SGD
from synann_np.programs.process import run_program
from synann_np.programs.runs.identity import source_hash
from synann_np.sequential import Sequential
from synann_np.train import train_steps
from synann_np.training.tools import TrainingTools
from synann_np.training.weight_average import WeightAverage

ROWS = ("synann fast", "mlp fast", "cnn fast", "rnn fast", "synann plain")
RING = {"MPIR_CVAR_ALLREDUCE_INTRA_ALGORITHM": "ring"}
RANKS = {"": (0, 1, 2, 4), "ring": (1, 2, 4)}
IMAGES, BATCH = 1000, 93
HEADER = "| network | engine | steps | hash | equal in |"


def with_dropout(model):
    """The model with dropout before its last layer of weights, if it has none."""
    if any(layer.draws_masks for layer in model.layers.values()):
        return model
    layers = list(model.layers.items())
    return Sequential([*layers[:-2], ("dropout", Dropout(0.25, seed=7)), *layers[-2:]], model.dtype)


def trained(comm, name, engine, threads, steps):
    """Hash of weights, running statistics and their average, and whether all ranks have it."""
    model = with_dropout(MODELS[name](5))
    runner = model if engine == "plain" else fast.compile(model, threads, input_gradient=False)
    parallel = DataParallel(runner, comm, 8)
    tools = TrainingTools(
        schedule=lambda step: 0.01 / (1 + step / 100), label_smoothing=0.1, max_norm=1.0,
        average=WeightAverage(model, 0.99), augment=Augment(5, shift=2, rotate=10, elastic=1),
    )  # fmt: skip
    images, labels, *_ = load_mnist()
    optimizer, step, epoch = SGD(0.01, 0.5), 0, 0
    while step < steps:
        epoch += 1
        order = epoch_permutation(IMAGES, 5, epoch)[: (steps - step) * BATCH]
        train_steps(parallel, optimizer, images, labels.astype("int64"), order, BATCH, step, tools)
        step += -(-len(order) // BATCH)
    arrays = model.state_dict() | {f"average {name}": a for name, a in tools.average.state_dict().items()}
    digest = hashlib.sha256(b"".join(arrays[name].tobytes() for name in sorted(arrays))).hexdigest()[:16]
    return digest if set(comm.gathered(digest)) == {digest} else "ranks differ"


def hashes_of_row(row, steps, known, keep):
    """dict "2 ranks ring, 1 threads" -> hash, of all runs of a row; those that are not known are made."""
    source, threads = source_hash(), (1,) if row.endswith("plain") else (1, 2)
    for sums, ranks in [(sums, ranks) for sums, all_ranks in RANKS.items() for ranks in all_ranks]:
        key = f"{row}, {steps} steps, {ranks} ranks {sums}".strip()
        if known.get(key, {}).get("source") != source:
            words = ["--rows", row, "--steps", steps]
            found = on_ranks(ranks, __file__, *words, **(RING if sums else {}))
            known[key] = {"source": source, "hashes": found}
            keep(known)
            print(f"{key}: {found}", file=sys.stderr, flush=True)
        for count in threads:
            yield known[key]["hashes"][str(count)]


def table(args):
    """The lines of the table. Exit status 1 if a row has several hashes."""
    try:
        known = json.loads(args.results.read_text())
    except FileNotFoundError:
        args.results.parent.mkdir(parents=True, exist_ok=True)
        known = {}
    lines, equal = [HEADER, re.sub(r"[^|]+", "---", HEADER)], True
    for row in args.rows:
        found = list(hashes_of_row(row, args.steps, known, lambda all: args.results.write_text(json.dumps(all))))
        name, engine = row.split()
        equal &= len(set(found)) == 1
        lines.append(f"| {name} | {engine} | {args.steps} | {' '.join(sorted(set(found)))} | {len(found)} runs |")
    return lines, equal


def write(lines, page):
    """Put the table in the place of the one on a page that has the same first line, and of the date before it."""
    text = page.read_text()
    before, header, after = text.partition(HEADER)
    if not header:
        sys.exit(f"{page}: no line {HEADER}")
    rest = re.sub(r"\A(\|.*\n)*", "", after.partition("\n")[2])
    before = re.sub(r"(distributed_bits\.py`, .*)\d{4}-\d\d-\d\d", rf"\g<1>{date.today()}", before)
    page.write_text(before + "\n".join(lines) + "\n" + rest)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    rows = parser.add_argument("--rows", nargs="+", choices=ROWS, default=ROWS, help="these only")
    rows.metavar = "ROW"
    parser.add_argument("--steps", type=int, default=200, help="default: 200")
    parser.add_argument("--results", type=Path, default=Path("runs/distributed_bits.json"), help="kept in this file")
    parser.add_argument("--write", type=Path, metavar="PAGE", help="put the table into this page")
    parser.add_argument("--worker", choices=("none", "mpi"), help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.worker is None:
        lines, equal = table(args)
        print("\n".join(lines))
        if args.write:
            write(lines, args.write)
        return 0 if equal else 1
    name, engine = args.rows[0].split()
    with communicator(args.worker) as comm:
        threads = (1,) if engine == "plain" else (1, 2)
        found = {count: trained(comm, name, engine, count, args.steps) for count in threads}
        if comm.rank == 0:
            print(json.dumps(found))


if __name__ == "__main__":
    sys.exit(run_program(main))
