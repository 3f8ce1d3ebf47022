"""The fit of a gate to terms and outcomes: starting points, estimate, intervals."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from .identifiable import check_identifiable
from .likelihood import Likelihood
from .minimum import LAMBDA_MOST, LEAK_LEAST, best_minimum
from .people import People
from .profile_interval import profile_interval
from .terms import Terms

LEAK_PRIOR = 0.01  # finite surprise for an event in someone exposed to nothing, and no other estimate moves


@dataclass(frozen=True)
class GateFit:
    """A gate's estimate.

    Attributes: theta: (1 + M + K,), the surprisals of leak, causes, preventers. loss: with the prior. scale: rough
    standard errors of theta. most: the largest theta allowed, where β is 1 in float64.
    """

    likelihood: Likelihood = field(repr=False)
    theta: np.ndarray
    loss: float
    scale: np.ndarray
    most: np.ndarray

    def beta(self, place: int) -> float:
        """1 − e^−θ; 0 and 1 where the estimate is on the boundary."""
        return to_beta(self.theta[place], self.most[place])

    def interval(self, place: int, level: float, information: np.ndarray) -> tuple[float, float]:
        """The profile-likelihood interval of a β. information: (1 + M + K, 1 + M + K), which sizes the steps."""
        scale = standard_errors(information, self.scale)
        ends = profile_interval(self.likelihood, self.loss, self.theta, scale, self.most, place, level)
        return to_beta(ends[0], self.most[place]), to_beta(ends[1], self.most[place])


def to_beta(surprisal: float, most: float) -> float:
    """β of a surprisal: 0 at the lower bound of the optimiser, 1 at its upper bound."""
    if surprisal <= LEAK_LEAST:
        return 0.0
    return 1.0 if surprisal >= most else float(-np.expm1(-surprisal))


def fit_gate(causes: Terms, preventers: Terms, people: People, names: Sequence[str], prior: float) -> GateFit:
    """The estimate. Raises: ValueError if the terms cannot be told apart, or prior < 0."""
    if not prior >= 0:
        raise ValueError(f"CausalGate: expected prior >= 0, got {prior}")
    M, K = causes.doses.shape[1], preventers.doses.shape[1]
    y, weight, exposure = people.y, people.weight, people.exposure
    solid = [filled(terms) for terms in (causes, preventers)]
    check_identifiable(exposure, solid[0], names[:M], prior)
    check_identifiable(np.ones(len(y)), solid[1], names[M:], prior)
    total = [weight @ doses for doses in solid]
    square = [np.einsum("n,nm,nm->m", weight, doses, doses) for doses in solid]
    least = [_smallest(*columns) for columns in zip(solid, total, square, strict=True)]
    most = LAMBDA_MOST / np.r_[exposure.min(), *least]
    likelihood = Likelihood(causes, preventers, y, weight, exposure, prior, prior * LEAK_PRIOR, people.ratio)

    rate = weight[y].sum() / weight.sum()
    rate = rate / (rate + people.ratio * (1 - rate))  # in the population
    s = -np.log1p(-rate)
    mean = [column / weight.sum() for column in total]
    leak = s / 2 / np.average(exposure, weights=weight)
    plain = np.r_[leak, s / 2 / max(M, 1) / mean[0], np.full(K, 0.02)]
    starts = [plain]
    if K:  # preventers that do little, and preventers that do much, of causes twice and four times as strong
        starts += [np.r_[2 * plain[: M + 1], 0.7 / mean[1]], np.r_[4 * plain[: M + 1], 2 / mean[1]]]
    crude = 1 / np.sqrt(np.r_[weight @ exposure**2, *square] * rate)
    loss, theta = best_minimum(likelihood, starts, most)
    return GateFit(likelihood, theta, loss, crude, most)


def standard_errors(information: np.ndarray, crude: np.ndarray) -> np.ndarray:
    """√ of the diagonal of the inverse information, only to size steps; crude where it cannot be computed."""
    spread = np.sqrt(np.maximum(np.diagonal(np.linalg.pinv(information, hermitian=True)), 0))
    return np.where((spread > 0.01 * crude) & (spread < 100 * crude), spread, crude)


def filled(terms: Terms) -> np.ndarray:
    """(N, M), the doses with the probabilities inserted."""
    if not len(terms.rows):
        return terms.doses
    doses = terms.doses.copy()
    doses[terms.rows, terms.columns] = terms.exposures * terms.chances
    return doses


def _smallest(doses, total, square):
    """The smallest positive dose of every column; 1 without a search where Σ w x = Σ w x², as of x = 0 and 1."""
    least = np.ones(doses.shape[1])
    for j in np.flatnonzero(~np.isclose(total, square, rtol=1e-12, atol=0)):
        least[j] = doses[doses[:, j] > 0, j].min()
    return least
