"""Samples from known worlds: does the gate find the β, do its intervals cover them, does it see which scale holds?"""

from collections.abc import Iterator

import numpy as np
from scipy.special import expit, logit

from synann_np.risk import CausalGate, find_pies
from synann_np.risk.scale_check import logistic_loss

BETA = np.array([0.5, 0.3, 0.15, 0.05, 0.0, 0.6])
LEAK, PREVALENCE = 0.05, 0.3
# The logistic world has the same probabilities in people with one factor or none.
INTERCEPT = logit(LEAK)
SLOPES = logit(1 - (1 - LEAK) * (1 - BETA)) - INTERCEPT


def draw(rng: np.random.Generator, people: int, logistic: bool = False) -> tuple[np.ndarray, np.ndarray]:
    """X (N, 6) of independent factors and y (N,), from independent causes or from a logistic model."""
    X = (rng.random((people, len(BETA))) < PREVALENCE).astype(np.float64)
    p = expit(INTERCEPT + X @ SLOPES) if logistic else 1 - (1 - LEAK) * (1 - BETA * X).prod(axis=1)
    return X, rng.random(people) < p


def implied_beta(X: np.ndarray, y: np.ndarray) -> np.ndarray:
    """(6,), what a logistic regression says of β: 1 − (1 − p of the factor alone) / (1 − p of nobody exposed)."""
    _, b = logistic_loss(X, y, np.ones(len(y)), np.zeros(len(y)))
    return 1 - (1 - expit(b[0] + b[1:])) / (1 - expit(b[0]))


def coverage_study(people: int, replicates: int, seed: int = 0, prior: float = 0.0) -> dict[str, np.ndarray]:
    """Means over samples: "estimate", "covered" (by the 95 % interval), "logistic" (implied β), each (6,)."""
    rows = [_one_sample(rng, people, prior) for rng in _generators(seed, people, replicates)]
    estimate, covered, logistic = (np.array(column) for column in zip(*rows, strict=True))
    return {
        "estimate": estimate.mean(axis=0),
        "covered": covered.mean(axis=0),
        "spread": estimate.std(axis=0),
        "logistic": logistic.mean(axis=0),
    }


def _one_sample(rng, people, prior):
    X, y = draw(rng, people)
    gate = CausalGate(prior=prior).fit(X, y)
    intervals = [gate.interval(j) for j in range(len(BETA))]
    covered = [low <= beta <= high for beta, (low, high) in zip(BETA, intervals, strict=True)]
    return np.array(gate.beta_), covered, implied_beta(X, y)


def scale_study(people: int, replicates: int, seed: int = 1) -> dict[str, float]:
    """Share of the samples whose likelihood prefers the gate, in the gate's world and in the logistic world."""
    shares = {}
    for world in ("gate", "logistic"):
        wins = 0
        for rng in _generators(seed, people, replicates):
            X, y = draw(rng, people, logistic=world == "logistic")
            wins += CausalGate(prior=0).fit(X, y).scale_check(X, y).difference > 0
        shares[world] = wins / replicates
    return shares


def rules_study(functions: int, noises: int, people: int = 200, columns: int = 12) -> dict[str, float]:
    """How well find_pies does: "exact", functions whose rules it found; "right", share of all inputs predicted right;
    "false", tables of pure noise in which it reported a rule.

    A function is a rule of two literals or one of two rules of three, over fair coins, with 10 % wrong labels.
    """
    inputs = np.arange(2**columns)[:, None] >> np.arange(columns) & 1
    exact, right, false = 0, [], 0
    for rng in _generators(2, people, functions):
        rules = [
            {(f"x{j}", bool(rng.random() < 0.5)) for j in rng.choice(columns, size, replace=False)}
            for size in (2, 3, 3)
        ]
        X = rng.integers(0, 2, (people, columns))
        found = find_pies(X, _holds(rules, X) ^ (rng.random(people) < 0.1))
        exact += sorted(map(sorted, rules)) == sorted(sorted(rule.literals) for rule in found)
        right.append((found.gate.predict(inputs) == _holds(rules, inputs)).mean())
    for rng in _generators(3, people, noises):
        false += len(find_pies(rng.integers(0, 2, (people, columns)), rng.random(people) < 0.4)) > 0
    return {"exact": exact, "right": float(np.mean(right)), "false": false}


def _holds(rules, X):
    """(N,) bool: some rule holds."""
    return np.any(
        [np.all([X[:, int(name[1:])] == present for name, present in rule], axis=0) for rule in rules], axis=0
    )


def _generators(seed, people, replicates) -> Iterator[np.random.Generator]:
    return map(np.random.default_rng, np.random.SeedSequence([seed, people]).spawn(replicates))
