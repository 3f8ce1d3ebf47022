"""Which scale do the data speak? The gate against a logistic regression with the same terms.

Both say how several factors combine, and they disagree: the gate multiplies the probabilities that nothing happens,
the logistic model multiplies odds. Both are fitted by maximum likelihood without a prior. They have the same number of
parameters, so their log-likelihoods can be compared as they are (AIC and BIC give the same difference).
"""

from dataclasses import dataclass

import numpy as np
from scipy.optimize import minimize
from scipy.special import expit

from .gate_fit import filled, fit_gate
from .people import People
from .terms import Terms


@dataclass(frozen=True)
class ScaleCheck:
    """Attributes: gate, logistic: log-likelihoods at the maximum. parameters: their number, the same for both."""

    gate: float
    logistic: float
    parameters: int

    @property
    def difference(self) -> float:
        """gate − logistic, in nats: positive where the data prefer independent causes."""
        return self.gate - self.logistic

    def __str__(self):
        winner = "independent causes" if self.difference > 0 else "the logistic scale"
        verdict = f"the data prefer {winner}" if abs(self.difference) >= 2 else "the data hardly tell the scales apart"
        return f"log-likelihood {self.gate:.2f} (gate), {self.logistic:.2f} (logistic): {verdict}"


def logistic_loss(X: np.ndarray, y: np.ndarray, weight: np.ndarray, offset: np.ndarray) -> tuple[float, np.ndarray]:
    """Least Σ w [log(1 + e^η) − y η], η = offset + a + X b, and (a, b): logistic regression without a penalty.

    Where a combination of columns separates the outcomes the coefficients grow without bound and the loss approaches
    its infimum; the optimiser stops where the gain is below 1e-12.
    """
    design = np.concatenate([np.ones((len(X), 1)), X], axis=1)
    size = np.maximum(np.sqrt(weight @ design**2), 1e-12)

    def loss(b):
        eta = offset + design @ (b / size)
        residual = weight * (expit(eta) - y)
        return float(weight @ (np.logaddexp(0, eta) - y * eta)), (residual @ design) / size

    with np.errstate(under="ignore"):
        options = {"maxiter": 5000, "maxfun": 20000, "ftol": 1e-14, "gtol": 1e-6, "maxcor": 20}
        found = minimize(loss, np.zeros(design.shape[1]), jac=True, method="L-BFGS-B", options=options)
    return float(found.fun), found.x / size


def check_scale(causes: Terms, preventers: Terms, people: People, terms: tuple[str, ...]) -> ScaleCheck:
    """Fit both. causes, preventers: Terms with the exposure; in the logistic model log e is an offset.

    Raises: ValueError if the terms cannot be told apart.
    """
    gate = fit_gate(causes, preventers, people, terms, prior=0)
    X = np.c_[filled(causes) / people.exposure[:, None], filled(preventers)]
    logistic, b = logistic_loss(X, people.y, people.weight, np.log(people.exposure))
    return ScaleCheck(-gate.loss + people.sampling_constant, -logistic, len(b))
