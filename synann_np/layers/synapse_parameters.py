"""Parametrisations: what is trained instead of a synapse's α and β, so that both stay in a meaningful range.

    name          trained              coefficients                              range
    free          alpha, beta          α = alpha,     β = beta                   none
    logistic      alpha, beta_logit    α = alpha,     β = 1 / (1 + e^−beta_logit)    0 < β < 1
    surprisal     theta, log_gamma     α = e^−theta,  β = e^−γ, γ = e^log_gamma      α > 0, 0 < β < 1

Every coefficient is a function c of one raw number r, element by element, so dr = dc · c′(r); the functions below
return c and c′.

θ and γ > 0 are the surprisals of α and β. What keeps γ positive? Not a softplus: γ = log(1 + e^r) gives
β = 1 / (1 + e^r), the logistic under another name. With γ = e^r a step of r scales γ, and β moves by β γ in size,
that is β log(1/β): more than the β (1 − β) of the logistic where β is small, so weak inhibition does not get stuck.

With a gain k, r' = r/k is trained instead: β = c(k r'), so dr' = dβ k c′(k r'), and β starts the same. It is a learning
rate of β alone: a step of Adam, whose size does not depend on that of the gradient, moves r k times as far as
without, a step of SGD k² times.

At the start α = 1. Free β is U(±1/√m), as the listing has it, m = inhibitors. The others are positive: r is uniform
between the values for β = b/e² and β = b = 1/√(m + 1), about the size of the free ones. All draw equally many random
numbers, so the layers after it start alike whichever is chosen.
"""

import math
from typing import Any

import numpy as np

from ..arguments import generator
from ..backend import Array, Rng, array_module
from .initializers import fan_in_uniform
from .logistic import logistic

CONSTANT = 1.0  # c′ of `free`: a gradient is left as it is


def free(raw: Array) -> Any:
    """c = r, c′ = 1."""
    return raw, CONSTANT


@np.errstate(under="ignore")
def exponential(theta: Array) -> Any:
    """c = e^−θ, c′ = −e^−θ."""
    alpha = array_module(theta).exp(-theta)
    return alpha, -alpha


@np.errstate(under="ignore")
def double_exponential(log_gamma: Array) -> Any:
    """c = e^−γ with γ = e^r; c′ = −γ e^−γ. From r = 7 on, γ > 1000 and both are 0 in any float."""
    xp = array_module(log_gamma)
    gamma = xp.exp(xp.minimum(log_gamma, 7))
    beta = xp.exp(-gamma)
    return beta, -gamma * beta


def with_gain(function: Any, gain: float, raw: Array) -> Any:
    """c(k r), k c′(k r), with c the function and k the gain."""
    c, slope = function(gain * raw)
    return c, gain * slope


def _log_odds(beta):
    return math.log(beta / (1 - beta))


def _log_surprisal(beta):
    return math.log(-math.log(beta))


# For α and β each: name of what is trained, and its function. Then r for a given β at the start, None if β is free.
PARAMETRISATIONS = {
    "free": (("alpha", free), ("beta", free), None),
    "logistic": (("alpha", free), ("beta_logit", logistic), _log_odds),
    "surprisal": (("theta", exponential), ("log_gamma", double_exponential), _log_surprisal),
}


def initial_beta(parametrisation: str, rng: Rng, n: int, m: int, gain: float = 1.0) -> Any:
    """The raw numbers of β (n, m) at the start, divided by the gain, drawn on the host."""
    raw_of = PARAMETRISATIONS[parametrisation][2]
    if raw_of is None:
        return fan_in_uniform(rng, (n, m), m * gain * gain)
    largest = 1 / math.sqrt(m + 1)
    low, high = sorted((raw_of(largest / math.e**2), raw_of(largest)))
    return generator("initial_beta", rng).uniform(low / gain, high / gain, (n, m))
