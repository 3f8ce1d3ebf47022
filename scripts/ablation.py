"""What does the synapse contribute? Train the variants, with several seeds each; table and plot.

python scripts/ablation.py                                      all of it: about an hour on two cores
python scripts/ablation.py --variants identity free --seeds 1 2 3 4 5 --epochs 5
python scripts/ablation.py --only-report                        table and plot of what is there

Every finished run is a line of --out; a run that is there already is not done again, so the script may be stopped and
started at any time. Each run takes one core.
"""

import json
import os
import sys
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context
from pathlib import Path

from tqdm import tqdm

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # of this checkout, installed or not

from synann_np import fast
from synann_np.data import DataError, load_mnist
from synann_np.programs.ablation import report as ablation_report
from synann_np.programs.ablation.training import is_same_run, run
from synann_np.programs.ablation.variants import VARIANTS
from synann_np.programs.command_line import Parser, path, png_path
from synann_np.programs.process import run_program
from synann_np.storage.atomic_file import write_atomically

ROOT = Path(__file__).resolve().parents[1]


def main(argv=None):
    args = parse(argv)
    try:
        settings = settings_of(args)
        results = read(args.out)
        if args.table:  # before hours of training
            read_table(args.table)
        rates = dict.fromkeys(args.variants, args.lr)
        if args.tune:
            held_out = settings | {"held_out": args.held_out}
            do(
                args,
                results,
                [(v, s, held_out | {"lr": lr}) for s in args.tune_seeds for lr in args.tune for v in rates],
            )
            rates = {name: best_rate(results, name, held_out, args) for name in rates}
        # A seed at a time: early tables are fair.
        wanted = [(name, seed, settings | {"lr": rate}) for seed in args.seeds for name, rate in rates.items()]
        do(args, results, wanted)
        chosen = [r for r in results if any(is_same_run(r, *run) for run in wanted)]
        if not any("failed" not in r for r in chosen):
            raise DataError(f"{args.out}: no finished run with these settings")
        report(args, chosen)
    except (DataError, OSError) as error:
        print(f"ablation: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(f"ablation: interrupted; finished runs are in {args.out}, the same command goes on", file=sys.stderr)
        return 130
    return 0


def parse(argv):
    parser = Parser(__doc__)
    add = parser.add_argument
    add("--variants", nargs="+", choices=VARIANTS, default=list(VARIANTS), metavar="NAME", help=", ".join(VARIANTS))
    add("--seeds", nargs="+", type=int, default=[5, 6, 7], help="(5 6 7)")
    add("--epochs", type=int, default=20, help="(20)")
    add("--batch-size", type=int, default=100, help="of training and test images alike (100)")
    add("--lr", type=float, default=0.012, help="learning rate (0.012)")
    add("--tune", nargs="+", type=float, metavar="LR", help="choose each variant's rate among these on held-out images")
    add("--tune-seeds", nargs="+", type=int, default=[1, 2], help="seeds of the runs that choose (1 2)")
    add("--held-out", type=int, default=5000, help="training images that choose the learning rate (5000)")
    add("--momentum", type=float, default=0.5, help="(0.5)")
    add("--train-images", type=int, help="how many, from the first (all)")
    add("--test-images", type=int, help="how many, from the first (all)")
    add("--data-dir", help="folder of the data set (the repository's MNIST)")
    add("--jobs", type=int, default=fast.usable_cores(), help="runs at a time (one a core)")
    add("--out", type=path, default=Path("runs/ablation.jsonl"), help="the results (%(default)s)")
    add("--table", type=path, help="a Markdown file with markers, such as docs/ablation.md, to write the table into")
    add("--plot", type=png_path, help="a PNG file, such as docs/pictures/ablation.png")
    add("--only-report", action="store_true", help="train nothing")
    args = parser.parse_args(argv)
    counts = [args.epochs, args.batch_size, args.jobs, args.train_images, args.test_images]
    if any(count is not None and count < 1 for count in counts):
        parser.error("epochs, batch size, jobs and numbers of images are at least 1")
    return args


def settings_of(args):
    images, _, test_images, _ = load_mnist(args.data_dir)
    return {
        "epochs": args.epochs,
        "batch_size": args.batch_size,
        "lr": args.lr,
        "momentum": args.momentum,
        "train_images": min(args.train_images or len(images), len(images)),
        "test_images": min(args.test_images or len(test_images), len(test_images)),
        "data": args.data_dir or "MNIST",
    }


def read(path):
    """All results of the file, none if there is no file."""
    if not path.exists():
        return []
    try:
        return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    except ValueError as error:
        raise DataError(f"{path}: not the results of this script ({error})") from error


def read_table(path):
    """The text of a Markdown file that has a place for the table."""
    text = path.read_text(encoding="utf-8")
    try:
        ablation_report.place(text)
    except ValueError as error:
        raise DataError(f"{path}: {error}") from error
    return text


def best_rate(results, name, settings, args):
    """The learning rate of the highest accuracy on the held-out images, mean of the last epochs and of the seeds."""

    def mean(lr):
        runs = [(name, seed, settings | {"lr": lr}) for seed in args.tune_seeds]
        found = [r for r in results if any(is_same_run(r, *run) for run in runs)]
        return sum(0 if "failed" in r else ablation_report.final(r) for r in found)

    rate = max(args.tune, key=mean)
    print(f"{name}: learning rate {rate:g}, held out {mean(rate) / len(args.tune_seeds):.2f} %")
    return rate


def do(args, results, wanted):
    """Do the runs (variant, seed, settings) that are missing in results, add them there and to the file."""
    missing = [w for w in wanted if not any(is_same_run(r, *w) for r in results)]
    if args.only_report or not missing:
        return
    args.out.parent.mkdir(parents=True, exist_ok=True)
    for name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ[name] = "1"  # in the processes to come
    with (
        ProcessPoolExecutor(min(args.jobs, len(missing)), get_context("spawn"), fast.tune_process) as pool,
        tqdm(total=len(wanted), initial=len(wanted) - len(missing), unit="run", disable=None) as bar,
    ):
        futures = [pool.submit(run, name, seed, settings, args.data_dir) for name, seed, settings in missing]
        try:
            for future in as_completed(futures):
                result = future.result()
                results.append(result)
                write_atomically(args.out, "".join(json.dumps(r) + "\n" for r in results).encode())
                bar.update()
                outcome = result.get("failed") or f"{result['accuracy'][-1]:.2%}"
                rate = result["settings"]["lr"]
                line = f"{result['variant']:14} lr {rate:g} seed {result['seed']}: {outcome}, {result['seconds']:.0f} s"
                tqdm.write(line)
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def report(args, results):
    print(ablation_report.settings_of(results))
    print("\n".join(ablation_report.table(results)))
    if args.table:
        filled = ablation_report.fill(read_table(args.table), results)
        write_atomically(args.table, filled.encode())
    if args.plot:
        ablation_report.draw(results, args.plot)


if __name__ == "__main__":
    sys.exit(run_program(main))
