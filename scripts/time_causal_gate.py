"""Time CausalGate.fit against scikit-learn's LogisticRegression.fit, in turns, on one simulated sample.

python scripts/time_causal_gate.py [--people 100000] [--factors 50] [--rounds 5]
"""

import statistics
import sys
from pathlib import Path
from time import perf_counter

import numpy as np
from sklearn.linear_model import LogisticRegression

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # of this checkout, installed or not

from synann_np.programs.command_line import Parser
from synann_np.programs.process import run_program
from synann_np.risk import CausalGate


def draw(people, factors):
    """X of 0 and 1 with prevalences .05 to .5, y from independent causes, a fifth of which do nothing."""
    rng = np.random.default_rng(0)
    X = (rng.random((people, factors)) < rng.uniform(0.05, 0.5, factors)).astype(np.float64)
    beta = rng.uniform(0.01, 0.2, factors) * (np.arange(factors) % 5 > 0)
    return X, rng.random(people) < 1 - 0.95 * np.prod(1 - beta * X, axis=1)


def seconds(fit, X, y):
    start = perf_counter()
    fit(X, y)
    return perf_counter() - start


def main(argv=None):
    parser = Parser("Time of fit: CausalGate and LogisticRegression, both with defaults.")
    parser.add_argument("--people", type=int, default=100_000, help="default: %(default)s")
    parser.add_argument("--factors", type=int, default=50, help="default: %(default)s")
    parser.add_argument(
        "--rounds", type=int, default=5, help="fits of each; the median is reported (default: %(default)s)"
    )
    args = parser.parse_args(argv)
    X, y = draw(args.people, args.factors)
    times = [
        (seconds(CausalGate().fit, X, y), seconds(LogisticRegression(max_iter=1000).fit, X, y))
        for _ in range(args.rounds)
    ]
    gate, logistic = map(statistics.median, zip(*times, strict=True))
    print(f"{args.people} people, {args.factors} factors, events {y.mean():.0%}")
    print(f"CausalGate {gate:.3f} s, LogisticRegression {logistic:.3f} s, ratio {gate / logistic:.2f}")
    return 0


if __name__ == "__main__":
    sys.exit(run_program(main))
