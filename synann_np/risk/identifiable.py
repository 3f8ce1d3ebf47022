"""Refuse data that cannot tell the terms apart, by name."""

from collections.abc import Sequence

import numpy as np

DEPENDENT = 1e-10  # smallest eigenvalue, relative to columns of length 1; rounding gives about 1e-14


def check_identifiable(base: np.ndarray, doses: np.ndarray, names: Sequence[str], prior: float) -> None:
    """Check that the columns are linearly independent.

    λ₀ e + Σ_j λ_j e x_j is the same for many λ if the columns e and e x_j are linearly dependent: a constant column and
    the leak, x together with 1 − x and the leak, all levels of a category and the leak, a column twice. With fewer
    people than terms any columns are; then the prior, if there is one, must decide.

    Arguments: base: (N,), the leak's column, e. doses: (N, M), e x. names: of the M terms.

    Raises: ValueError naming the terms.
    """
    with_base = base @ doses
    gram = np.block([[np.atleast_2d(base @ base), with_base[None]], [with_base[:, None], doses.T @ doses]])
    lengths = np.sqrt(gram.diagonal())
    nobody = [name for name, length in zip(names, lengths[1:], strict=True) if length == 0]
    if nobody:
        raise ValueError(f"CausalGate: nobody in these data has {_quoted(nobody)}: leave it out")
    few = len(doses) <= doses.shape[1]
    if few and not prior:
        raise ValueError(f"CausalGate: {len(doses)} people cannot tell {doses.shape[1]} terms and the leak apart")
    gram /= np.outer(lengths, lengths)
    constant = [name for name, cosine in zip(names, gram[0, 1:], strict=True) if 1 - cosine < DEPENDENT]
    if constant:
        raise ValueError(
            f"CausalGate: {_quoted(constant)} is constant, which cannot be told from the leak: leave it out"
        )
    values, vectors = np.linalg.eigh(gram)
    null = np.abs(vectors[:, values < DEPENDENT])
    if null.size and not few:
        leak, *involved = (null > 1e-4).any(axis=1)
        terms = [name for name, at in zip(names, involved, strict=True) if at]
        raise ValueError(
            f"CausalGate: {_quoted(terms)}{' and the leak' if leak else ''} are linearly dependent, so their effects "
            "cannot be told apart: leave one of them out (of x and 1 − x, or of all levels of a category, for example)"
        )


def _quoted(names):
    return ", ".join(repr(name) for name in names)
