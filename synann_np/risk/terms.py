"""The terms of a gate as columns: doses, and cells of which only a probability is known.

A term is a factor or a rule. Its contribution to the surprisal of "nothing fires" is, in row i and column j, with the
term's own surprisal λ_j = −log(1 − β_j) and the exposure e_i (1 if not given),

    dose x_ij             e_i x_ij λ_j                               (1 − β_j)^(e_i x_ij) does not fire
    probability π_ij      −log(1 − π_ij (1 − e^(−e_i λ_j)))          present with probability π_ij, unknown to us

For x in {0, 1} and π = x both are the same. The second is the logarithm of 1 − π β, the mean of "does not fire" over
what is unknown: exact where the unknown factor is independent of the known ones. Derivatives:

    dose                  ∂s/∂λ_j = e_i x_ij
    probability           ∂s/∂λ_j = e_i π q / (1 − π (1 − q)),   q = e^(−e_i λ_j)
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from .rule import Rule


@dataclass(frozen=True)
class Terms:
    """M terms in N rows, float64.

    Attributes:
        doses: (N, M), e x; 0 in uncertain cells.
        rows, columns, chances, exposures: (C,) each: the uncertain cells, their π, and e of their rows.
    """

    doses: np.ndarray
    rows: np.ndarray
    columns: np.ndarray
    chances: np.ndarray
    exposures: np.ndarray

    def surprisal(self, lam: np.ndarray) -> np.ndarray:
        """(N,), the sum over the terms."""
        s = self.doses @ lam
        if len(self.rows):
            s += np.bincount(self.rows, self._uncertain(lam)[0], minlength=len(s))
        return s

    def pull(self, ds: np.ndarray, lam: np.ndarray) -> np.ndarray:
        """(M,), the gradient dλ_j = Σ_i ds_i ∂s_i/∂λ_j."""
        dlam = ds @ self.doses
        if len(self.rows):
            dlam += np.bincount(self.columns, ds[self.rows] * self._uncertain(lam)[1], minlength=len(dlam))
        return dlam

    def contributions(self, lam: np.ndarray) -> np.ndarray:
        """(N, M), the contribution of every cell to the surprisal."""
        return self._fill(self.doses * lam, lam, 0)

    def derivatives(self, lam: np.ndarray) -> np.ndarray:
        """(N, M), ∂s_i/∂λ_j."""
        return self._fill(self.doses.copy(), lam, 1)

    def take(self, chosen: np.ndarray) -> "Terms":
        """Some rows, by their places in ascending order."""
        place = np.full(len(self.doses), -1)
        place[chosen] = np.arange(len(chosen))
        kept = place[self.rows] >= 0
        cells = (a[kept] for a in (self.columns, self.chances, self.exposures))
        return Terms(self.doses[chosen], place[self.rows[kept]], *cells)

    def _fill(self, cells, lam, which):
        cells[self.rows, self.columns] = self._uncertain(lam)[which]
        return cells

    @np.errstate(under="ignore")
    def _uncertain(self, lam):
        quiet = np.exp(-self.exposures * lam[self.columns])
        none = 1 - self.chances * (1 - quiet)
        # π = 1 may leave nothing: the cap belongs to β = 1 − 2⁻⁵³ and keeps the logarithm finite.
        none = np.maximum(none, 2.0**-53)
        return -np.log(none), self.exposures * self.chances * quiet / none


def build_terms(
    X: np.ndarray,
    rules: Sequence[Rule],
    columns: Sequence[str],
    means: np.ndarray,
    uncertain: frozenset[str],
    exposure: np.ndarray | None = None,
) -> Terms:
    """The Terms of data X (N, D).

    Arguments:
        X: ≥ 0; NaN where unknown.
        rules: one a term. columns: the D names. means: (D,), inserted where X is NaN.
        uncertain: columns whose values between 0 and 1, inserted ones too, are probabilities. In the others the mean
            is inserted as a dose, which is right for small doses only.
        exposure: (N,), or None for 1.
    """
    if exposure is not None and (exposure == 1).all():
        exposure = None
    place = [columns.index(rule.column) if rule.column else None for rule in rules]
    missing = np.isnan(X).any(axis=0)
    if exposure is None and place == list(range(len(columns))) and not missing.any() and not uncertain:
        doses, unsure = X, None
    else:
        cells = [_cells(X, rule, columns, means, missing, uncertain) for rule in rules]
        doses = np.stack([value for value, _ in cells], axis=1) if cells else np.empty((len(X), 0))
        unsure = [np.zeros(len(X), bool) if open_cells is None else open_cells for _, open_cells in cells]
    none = np.empty(0, dtype=np.int64)
    if unsure is None or not any(open_cells.any() for open_cells in unsure):
        terms = Terms(doses, none, none, np.empty(0), np.empty(0))
    else:
        rows, at = np.nonzero(np.stack(unsure, axis=1) & (doses > 0))
        exposures = np.ones(len(rows)) if exposure is None else exposure[rows]
        terms = Terms(doses, rows, at, doses[rows, at], exposures)
        doses[rows, at] = 0
    if exposure is not None:
        doses *= exposure[:, None]
    return terms


def _cells(X, rule, columns, means, missing, uncertain):
    """The product of a rule's literals (N,), and which of them are probabilities: (N,) bool, or None for none."""
    value, unsure = None, None
    for name, present in rule.literals:
        j = columns.index(name)
        x = np.where(np.isnan(X[:, j]), means[j], X[:, j]) if missing[j] else X[:, j]
        if name in uncertain:
            inside = (x > 0) & (x < 1)
            unsure = inside if unsure is None else unsure | inside
        x = x if present else 1 - x
        value = x if value is None else value * x
    return value, unsure
