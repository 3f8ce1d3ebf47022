"""Whose doing was it? The causes of one person's event, in three senses that must not be confused.

With s_j the contribution of term j to s = Σ_j s_j, the leak among them, and p the probability of the event,

    first      s_j / s                          probability that j was the first to fire, given the event
    fired      (1 − e^−s_j) / (1 − e^−s)        probability that j fired at all, given the event
    but-for    (p − p without j) / p            = (e^−(s − s_j) − e^−s) / (1 − e^−s), j fired and nothing else did

`first`: let each cause fire at an exponential time of rate s_j within one unit; the earliest is j with probability
s_j / s, independent of when it fires. These shares sum to 1. `fired` sums to more, as several may fire, and `but-for`
to less: where two fired, neither alone was necessary. Preventers drop out, since e^−t multiplies p and p without j.

"Probability of causation" in court is mostly but-for. All three are about causes only where the β are, that is, without
confounding. Source: James M. Robins and Sander Greenland, "The probability of causation under a stochastic model for
individual risk", Biometrics 45 (1989), 1125-1138.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from .named_array import NamedArray

SENSES = ("first", "fired", "but_for")


@dataclass(frozen=True)
class Explanation:
    """Causes of the events of N people.

    Attributes:
        names: the 1 + M terms; "leak" is the first.
        probability: (N,), p. first, fired, but_for: (N, 1 + M); NaN in rows where no cause can fire (s = 0).
    """

    names: tuple[str, ...]
    probability: np.ndarray
    first: np.ndarray
    fired: np.ndarray
    but_for: np.ndarray

    def person(self, i: int, sense: str = "first") -> dict[str, float]:
        """name -> share of person i, in one of the senses "first", "fired", "but_for"; zero shares are left out.

        Raises: ValueError for another sense.
        """
        if sense not in SENSES:
            raise ValueError(f"Explanation: expected a sense of {', '.join(SENSES)}, got {sense!r}")
        row = getattr(self, sense)[i].tolist()
        return {name: share for name, share in zip(self.names, row, strict=True) if share != 0}


@np.errstate(invalid="ignore", under="ignore")
def apportion(names: tuple[str, ...], contributions: np.ndarray, probability: np.ndarray) -> Explanation:
    """Arguments: contributions (N, 1 + M): s_j, the leak first. probability: (N,)."""
    s = contributions.sum(axis=1, keepdims=True)
    happened = -np.expm1(-s)
    fired = -np.expm1(-contributions)
    # e^−(s − s_j) − e^−s = e^−(s − s_j) (1 − e^−s_j), without cancellation
    necessary = np.exp(contributions - s) * fired
    return Explanation(names, probability, contributions / s, fired / happened, necessary / happened)


def attributable_fractions(
    probability: Callable[[np.ndarray], np.ndarray], X: np.ndarray, weight: np.ndarray, columns: Sequence[str],
    factors: Any,
) -> NamedArray:  # fmt: skip
    """Σ w (p − p without) / Σ w p for each factor; where that is negative, the prevented Σ w (p without − p) / Σ w p
    without.

    Arguments: probability: X (N, D) -> p (N,). columns: the D names. factors: the names wanted.
    """
    present = weight @ probability(X)
    fractions = []
    for name in factors:
        without = X.copy()
        without[:, columns.index(name)] = 0
        left = weight @ probability(without)
        fractions.append(abs(present - left) / max(present, left))
    return NamedArray(fractions, factors)
