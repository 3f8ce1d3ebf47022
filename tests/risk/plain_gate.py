"""The gate as products of probabilities, one person at a time: what the fast code is compared with."""

import numpy as np


def probability(leak, beta_causes, beta_preventers, x, z, exposure=1.0):
    """p of one person. x, z: lists of doses, or ("chance", π) for an uncertain factor."""
    nothing = (1 - leak) ** exposure
    for beta, dose in zip(beta_causes, x, strict=True):
        nothing *= _quiet(beta, dose, exposure)
    passes = 1.0
    for beta, dose in zip(beta_preventers, z, strict=True):
        passes *= _quiet(beta, dose, 1.0)
    return (1 - nothing) * passes


def _quiet(beta, dose, exposure):
    """Probability that a factor does nothing."""
    if isinstance(dose, tuple):
        return 1 - dose[1] + dose[1] * (1 - beta) ** exposure
    return (1 - beta) ** (dose * exposure)


def loss(p, y, weight, ratio=1.0):
    """−log-likelihood, up to the constant of the sampling."""
    q = ratio * p / (1 + (ratio - 1) * p)
    return float(np.sum(-weight * np.where(y, np.log(q), np.log1p(-q))) + np.log(ratio) * weight[y].sum())
