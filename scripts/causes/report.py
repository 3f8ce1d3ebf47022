"""The numbers of the worked examples, as text."""

import numpy as np
from scipy.special import expit
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss

from synann_np.risk import CausalGate
from synann_np.risk.scale_check import logistic_loss

from . import examples
from .examples import CAKES, HAM, VANILLA


def terms(gate: CausalGate, names=None) -> str:
    """A line a term: estimate and 95 % interval."""
    values = {"leak": gate.leak_, **dict(gate.beta_.items())}
    lines = []
    for name in names or values:
        low, high = gate.interval(name)
        lines.append(f"    {name:28} {values[name]:.3f}  ({low:.3f} to {high:.3f})")
    return "\n".join(lines)


def logistic_odds_ratios(X, y) -> dict[str, tuple[float, float, float]]:
    """name -> odds ratio of a logistic regression without a penalty, and its 95 % interval by Wald."""
    _, b = logistic_loss(X.to_numpy(), y.to_numpy(), np.ones(len(y)), np.zeros(len(y)))
    design = np.c_[np.ones(len(y)), X]
    p = expit(design @ b)
    reach = 1.96 * np.sqrt(np.diagonal(np.linalg.inv(design.T @ ((p * (1 - p))[:, None] * design))))
    ends = zip(X.columns, np.exp(b)[1:], np.exp(b - reach)[1:], np.exp(b + reach)[1:], strict=True)
    return {name: tuple(map(float, numbers)) for name, *numbers in ends}


def oswego() -> str:
    """Outbreak after a church supper."""
    X, y = examples.oswego()
    gate = examples.fit_oswego()
    p = gate.predict_proba(X)[:, 1]
    lines = ["Oswego, 1940: 75 people, 14 foods, 46 ill", terms(gate, [VANILLA, CAKES, HAM, "leak"])]
    lines.append(f"    all other foods: beta at most {max(gate.beta_[n] for n in X if n not in (VANILLA, CAKES)):.1g}")
    lines.append(f"    {gate.scale_check(X, y)}")
    for vanilla in (0, 1):
        for cakes in (0, 1):
            group = (X[VANILLA] == vanilla) & (X[CAKES] == cakes)
            lines.append(
                f"    {VANILLA} {vanilla}, {CAKES} {cakes}: {group.sum():2} people, {y[group].sum():2} ill, "
                f"{p[group].sum():5.2f} expected"
            )
    fraction = gate.attributable_fraction()
    lines.append(f"    attributable fraction: {VANILLA} {fraction[VANILLA]:.3f}, {CAKES} {fraction[CAKES]:.3f}")
    person = gate.explain(X[(X[VANILLA] == 1) & (X[CAKES] == 1)].iloc[:1])
    for sense in ("first", "fired", "but_for"):
        shares = person.person(0, sense)
        lines.append(f"    who ate both, {sense:8} {VANILLA} {shares[VANILLA]:.3f}, {CAKES} {shares[CAKES]:.3f}")
    for name, (ratio, low, high) in logistic_odds_ratios(X, y).items():
        if name in (VANILLA, HAM):
            lines.append(f"    logistic regression, odds ratio of {name}: {ratio:.1f}  ({low:.2f} to {high:.1f})")
    alone = gate.odds_ratio({VANILLA: 1, CAKES: 1}, {CAKES: 1})
    lines.append(f"    odds ratio of {VANILLA} in those who ate {CAKES}: {alone:.1f}")
    return "\n".join(lines)


def caesarean() -> str:
    """Infection after Caesarean section."""
    data = examples.caesarean()
    gate = examples.fit_caesarean()
    check = gate.scale_check(*data)
    full = examples.saturated_log_likelihood(*data)
    fraction = gate.attributable_fraction()
    return "\n".join(
        [
            "Caesarean section: 251 births, 72 infections",
            terms(gate),
            f"    deviance {2 * (full - check.gate):.2f} on 3 degrees of freedom",
            f"    logistic regression with the same terms: {2 * (full - check.logistic):.2f}",
            f"    antibiotics prevented {fraction['antibiotics']:.2f} of the infections that there would have been",
        ]
    )


def rand() -> str:
    """Outpatient visits in the RAND Health Insurance Experiment."""
    X, y = examples.rand()
    gate = CausalGate(prior=0).fit(X, y)
    X_train, y_train, X_test, y_test = examples.rand_halves()
    half = CausalGate(prior=0).fit(X_train, y_train)
    logistic = LogisticRegression(C=1e9, max_iter=1000).fit(X_train, y_train)
    losses = [log_loss(y_test, model.predict_proba(X_test)) for model in (half, logistic)]
    return "\n".join(
        [
            f"RAND Health Insurance Experiment: {len(y):,} person-years, a visit in {y.mean():.1%}",
            terms(gate),
            f"    log loss on the other half: gate {losses[0]:.4f}, logistic {losses[1]:.4f}",
            f"    {gate.scale_check(X, y)}",
        ]
    )
