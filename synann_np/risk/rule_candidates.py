"""All rules of up to so many literals, and the gain in likelihood that each would bring, in one pass over the data."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations, product
from typing import Any

import numpy as np

from ..mathematics.surprisal import conjugate_complement
from .rule import Rule

STRENGTHS = -np.log1p(-np.array([0.1, 0.25, 0.5, 0.75, 0.9, 0.97, 0.995]))  # λ tried for a new rule
CHUNK = 2048


@dataclass(frozen=True)
class Candidate:
    """A rule, as (column, present) pairs, and the gain in log-likelihood of adding it at the best of STRENGTHS."""

    literals: tuple[tuple[int, bool], ...]
    gain: float

    def rule(self, columns: Sequence[str]) -> Rule:
        """With the names of the columns."""
        return Rule(tuple((columns[j], present) for j, present in self.literals))


def candidates(columns: int, order: int) -> Iterator[tuple[tuple[int, bool], ...]]:
    """All conjunctions of 1 to `order` literals of different columns."""
    for size in range(1, order + 1):
        for chosen in combinations(range(columns), size):
            for signs in product((True, False), repeat=size):
                yield tuple(zip(chosen, signs, strict=True))


def candidate_count(columns: int, size: int) -> int:
    """How many rules of exactly `size` literals there are."""
    return math.comb(columns, size) * 2**size


class Candidates:
    """The rules of up to `order` literals over patterns X (R, D) bool, ready to be scored again and again.

    Rules that hold for nobody or for everybody are left out, and so are those that hold for the same people as a
    simpler one. Memory: R bytes a rule.
    """

    def __init__(self, X: np.ndarray, order: int) -> None:
        literals = {(j, present): X[:, j] == present for j in range(X.shape[1]) for present in (True, False)}
        seen, self.literals, holds = set(), [], []
        for candidate in candidates(X.shape[1], order):
            held = np.logical_and.reduce([literals[literal] for literal in candidate])
            key = np.packbits(held).tobytes()
            if key in seen or not held.any() or held.all():
                continue
            seen.add(key)
            self.literals.append(candidate)
            holds.append(held)
        self.holds = np.array(holds, dtype=bool).reshape(len(holds), len(X))

    def gains(self, s: np.ndarray, events: np.ndarray, others: np.ndarray) -> np.ndarray:
        """(C,), gain in log-likelihood of adding each rule to a gate with the surprisals s (R,).

        A rule of strength λ moves s to s + λ where it holds, which is worth, in each pattern,

            events [G(s) − G(s + λ)] − others λ

        and the gain is the sum over the people for whom it holds: linear in "holds", so all rules and all strengths
        are one matrix product. events, others: (R,), people of each pattern with and without the event.
        """
        moved = conjugate_complement(s)[:, None] - conjugate_complement(s[:, None] + STRENGTHS)
        worth = events[:, None] * moved - others[:, None] * STRENGTHS
        blocks = [self.holds[k : k + CHUNK] @ worth for k in range(0, len(self.holds), CHUNK)]
        return np.concatenate(blocks).max(axis=1, initial=0) if blocks else np.empty(0)

    def best(self, s: np.ndarray, events: Any, others: Any, penalties: np.ndarray, count: int) -> list[Candidate]:
        """The `count` candidates of the largest 2 gain − penalty; penalties (C,)."""
        gains = self.gains(s, events, others)
        order = np.argsort(penalties - 2 * gains, kind="stable")[:count]
        return [Candidate(self.literals[k], float(gains[k])) for k in order]
