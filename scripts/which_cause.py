"""Which cause did it? The numbers and pictures of docs/causes, from three studies.

    python -m pip install -e '.[risk]' pandas statsmodels
    python scripts/which_cause.py                   numbers
    python scripts/which_cause.py --out DIR         and pictures

Without statsmodels the third study is left out.
"""

import importlib.util
import sys
from pathlib import Path

from sklearn.linear_model import LogisticRegression

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # of this checkout, installed or not

from causes import examples, report
from causes.pictures import draw_betas, draw_calibration, draw_person
from synann_np.programs.command_line import Parser, path
from synann_np.programs.process import run_program
from synann_np.risk import CausalGate


def draw(folder: Path, with_rand: bool) -> list[Path]:
    """Write the pictures into an existing folder."""
    X, _ = examples.oswego()
    gate = examples.fit_oswego()
    paths = [folder / name for name in ("oswego.png", "person.png", "caesarean.png")]
    order = sorted(X.columns, key=lambda name: -gate.beta_[name])
    draw_betas(paths[0], gate, "Oswego, 1940: which food made people ill?", [*order, "leak"])
    both = X[(X[examples.VANILLA] == 1) & (X[examples.CAKES] == 1)].iloc[:1]
    draw_person(paths[1], gate, both, "One person who ate vanilla ice cream and cakes, and fell ill")
    draw_betas(paths[2], examples.fit_caesarean(), "Infection after Caesarean section")
    if with_rand:
        paths += [folder / "rand.png", folder / "rand_calibration.png"]
        draw_betas(paths[3], CausalGate(prior=0).fit(*examples.rand()), "An outpatient visit within a year (RAND)")
        X, y, X_test, y_test = examples.rand_halves()
        models = {"gate": CausalGate(prior=0), "logistic regression": LogisticRegression(C=1e9, max_iter=1000)}
        predicted = {name: model.fit(X, y).predict_proba(X_test)[:, 1] for name, model in models.items()}
        draw_calibration(paths[4], predicted, y_test.to_numpy(), "RAND, the half not used for the fit")
    return paths


def main(argv=None):
    parser = Parser("Three studies: an outbreak, infections, visits to the doctor.")
    parser.add_argument("--out", type=path, help="folder for the pictures (default: no pictures)")
    args = parser.parse_args(argv)
    with_rand = importlib.util.find_spec("statsmodels") is not None
    studies = [report.oswego, report.caesarean, *([report.rand] if with_rand else [])]
    print("\n\n".join(study() for study in studies))
    if not with_rand:
        print("\nRAND is left out: python -m pip install statsmodels", file=sys.stderr)
    if args.out:
        try:
            args.out.mkdir(parents=True, exist_ok=True)
            paths = draw(args.out, with_rand)
        except OSError as error:
            print(f"which_cause: {args.out}: cannot be written ({error.strerror or error})", file=sys.stderr)
            return 2
        print(f"\nPictures: {', '.join(map(str, paths))}")
    return 0


if __name__ == "__main__":
    sys.exit(run_program(main))
