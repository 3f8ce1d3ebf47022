"""The search of find_pies: greedy, with exchange, by the extended BIC."""

from typing import Any

import numpy as np

from .likelihood import Likelihood
from .minimum import LAMBDA_MOST, minimum
from .people import People
from .rule_candidates import Candidates, candidate_count
from .terms import Terms

FITTED = 6  # candidates that are fitted in full, of those that gain most on their own
MOST_RULES = 12


class RuleSearch:
    """People with the same values are one pattern (R, D), with so many `events` and `others` (R,).

    A set of rules is a tuple of rules, a rule a tuple of (column, present).
    """

    def __init__(self, people: People, order: int) -> None:
        self.patterns, self.place = np.unique(people.X > 0.5, axis=0, return_inverse=True)
        self.weight, self.y = people.weight, people.y
        self.events, self.others = self._counts(people.y)
        self.candidates = Candidates(self.patterns, order)
        columns = self.patterns.shape[1]
        price = {size: 2 * np.log(candidate_count(columns, size)) for size in range(1, min(order, columns) + 1)}
        self.price = {size: np.log(people.weight.sum()) + more for size, more in price.items()}
        self.penalties = np.array([self.price[len(rule)] for rule in self.candidates.literals])
        self._fits: dict[Any, Any] = {}

    def _counts(self, y):
        """People of every pattern with and without the event."""
        count = np.bincount(self.place, self.weight, minlength=len(self.patterns))
        events = np.bincount(self.place, self.weight * y, minlength=len(self.patterns))
        return events, count - events

    def fit(self, rules: tuple) -> tuple[float, np.ndarray]:
        """Least loss of the gate with these rules, and the surprisals s (R,) of its patterns."""
        key = frozenset(rules)
        if key not in self._fits:
            self._fits[key] = self._fit(rules)
        return self._fits[key]

    def _fit(self, rules):
        holds = np.ones((len(self.patterns), len(rules)))
        for k, rule in enumerate(rules):
            for j, present in rule:
                holds[:, k] *= self.patterns[:, j] == present
        rows, none = [np.arange(len(self.patterns))] * 2, np.empty(0, dtype=np.int64)
        doses = holds[np.concatenate(rows)]
        weight, y = np.r_[self.events, self.others], np.arange(2 * len(self.patterns)) < len(self.patterns)
        causes = Terms(doses, none, none, np.empty(0), np.empty(0))
        preventers = Terms(doses[:, :0], none, none, np.empty(0), np.empty(0))
        likelihood = Likelihood(causes, preventers, y, weight, np.ones(len(y)))
        mean = -np.log1p(-min(self.events.sum() / weight.sum(), 0.99))
        start = np.full(1 + len(rules), mean / 2)
        loss, theta = minimum(likelihood, start, np.full(len(start), LAMBDA_MOST))
        return loss, theta[0] + holds @ theta[1:]

    def ebic(self, rules: tuple) -> float:
        """2 loss + log N (for the leak) + the price of the rules."""
        return 2 * self.fit(rules)[0] + np.log(self.weight.sum()) + sum(self.price[len(rule)] for rule in rules)

    def additions(self, rules: tuple) -> list[tuple]:
        """The most promising sets with one rule more."""
        found = self.candidates.best(self.fit(rules)[1], self.events, self.others, self.penalties, FITTED)
        return [(*rules, candidate.literals) for candidate in found if candidate.literals not in rules]

    def p_value(self, shuffles: int, random: np.random.RandomState) -> float:
        """Share of outcomes, the real ones and `shuffles` permutations, whose best first rule gains as much."""
        s = self.fit(())[1]
        real = self._best_value(s, self.events, self.others)
        shuffled = [self._best_value(s, *self._counts(random.permutation(self.y))) for _ in range(shuffles)]
        return (1 + sum(value >= real for value in shuffled)) / (1 + shuffles)

    def _best_value(self, s, events, others):
        gains = self.candidates.gains(s, events, others)
        return float((2 * gains - self.penalties).max(initial=-np.inf))


def search_rules(search: RuleSearch) -> tuple[tuple, float]:
    """The rules of the lowest EBIC that adding, dropping and exchanging one rule at a time reaches, and the EBIC."""
    rules, best = (), search.ebic(())
    while True:
        without = [rules[:k] + rules[k + 1 :] for k in range(len(rules))]
        moves = [*without, *(more for fewer in without for more in search.additions(fewer))]
        if len(rules) < MOST_RULES:
            moves += search.additions(rules)
        ebic, move = min(((search.ebic(move), move) for move in moves), default=(best, rules), key=lambda m: m[0])
        if not ebic < best - 1e-9:
            return rules, best
        rules, best = move, ebic
