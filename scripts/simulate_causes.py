"""Simulate samples of known causes: bias and coverage of the gate's estimates, and which scale its likelihood prefers.

    python scripts/simulate_causes.py                      the full tables, about five minutes
    python scripts/simulate_causes.py --people 200 --replicates 50

Six independent factors of prevalence .3 with β = .5, .3, .15, .05, 0, .6 and leak .05; 95 % intervals.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # of this checkout, installed or not

from causes.simulation import BETA, coverage_study, rules_study, scale_study
from synann_np.programs.command_line import Parser
from synann_np.programs.process import run_program


def main(argv=None):
    parser = Parser("Bias, coverage and scale check of CausalGate on simulated samples.")
    parser.add_argument("--people", type=int, nargs="+", default=[200, 2000, 20000], help="sample sizes")
    parser.add_argument("--replicates", type=int, default=400, help="samples of each size (default: %(default)s)")
    parser.add_argument("--functions", type=int, default=20, help="functions for find_pies (default: %(default)s)")
    parser.add_argument("--prior", type=float, default=0.0, help="prior of the gate (default: 0, maximum likelihood)")
    args = parser.parse_args(argv)
    print(f"{'':26}" + "".join(f"{beta:8.3f}" for beta in BETA))
    for people in args.people:
        study = coverage_study(people, args.replicates, prior=args.prior)
        for name, numbers in study.items():
            print(f"n = {people:6} {name:14}" + "".join(f"{value:8.3f}" for value in numbers), flush=True)
    for people in args.people:
        shares = scale_study(people, args.replicates)
        print(f"n = {people:6} the likelihood prefers the gate in {shares['gate']:.0%} of the gate's samples,", end=" ")
        print(f"{shares['logistic']:.0%} of the logistic samples", flush=True)
    noises = 3 * args.functions
    rules = rules_study(args.functions, noises)
    print(f"find_pies: exact rules in {rules['exact']} of {args.functions} functions,", end=" ")
    print(f"{rules['right']:.1%} of inputs right, a rule in {rules['false']} of {noises} tables of noise")
    return 0


if __name__ == "__main__":
    sys.exit(run_program(main))
