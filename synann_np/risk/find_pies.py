"""find_pies: the rules that bring about an event, found in 0/1 data."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.utils.validation import check_random_state

from .causal_gate import CausalGate
from .rule import Rule
from .rule_search import RuleSearch, search_rules


@dataclass(frozen=True)
class Pies:
    """Rules found, strongest first, and how sure they are.

    Attributes:
        rules: tuple of Rule; empty where nothing was found, or nothing that shuffled outcomes do not bring, too.
        gate: a CausalGate with these rules as pies, fitted by maximum likelihood; it predicts and explains.
        ebic: of these rules; ebic_without: of no rule at all. The smaller the better.
        p_value: share of shuffled outcomes in which the best single rule gains as much as here; NaN if none was tried.
    """

    rules: tuple[Rule, ...]
    gate: CausalGate
    ebic: float
    ebic_without: float
    p_value: float

    def __len__(self):
        return len(self.rules)

    def __iter__(self):
        return iter(self.rules)

    def __str__(self):
        event = f"{self.gate.classes_[1]}"
        chance = f"by chance such a rule is found with p = {self.p_value:.3f}"
        if not self.rules:
            return f"{event}: no rule found; {chance}"
        width = max(len(str(rule)) for rule in self.rules)
        words = ["if", *["or if"] * (len(self.rules) - 1)]
        lines = [
            f"{word:>7} {rule!s:{width}}  {self.gate.beta_[str(rule)]:4.0%}"
            for word, rule in zip(words, self.rules, strict=True)
        ]
        return "\n".join([f"{event}:", *lines, f"without any of them {self.gate.leak_:.0%}; {chance}"])


def find_pies(
    X: Any, y: Any, order: int = 3, sample_weight: Any = None, shuffles: int = 39, level: float = 0.05,
    random_state: Any = 0,
) -> Pies:  # fmt: skip
    """Search for sufficient causes: rules of up to `order` factors, each present or absent, that bring about y.

    Greedy: the rule that improves the extended BIC most is added; after each addition every rule is tried out against
    dropping it and against every other rule. EBIC = −2 log-likelihood + Σ_rules (log N + 2 log C), C the number of
    rules of that size: the price of having looked at so many. A guard against chance: the gain of the best first rule
    is compared with that in shuffled outcomes, and if too many shuffles reach it, no rule is returned.

    The rules are chosen by the data, so intervals of the returned gate are too narrow: test rules on other data. Not
    every function is a short list of rules; "at least 3 of 6" and parity are not.

    Arguments:
        X: (N, D), 0 and 1, array or DataFrame. y: (N,), two classes, the greater one is the event.
        order: most factors in a rule, 1 to 4; there are about (2 D)^order / order! rules.
        sample_weight: (N,) ≥ 0, how many people a row stands for.
        shuffles: 0 for no guard. level: the most p_value with which rules are returned. random_state: of the shuffles.

    Raises: ValueError for an order outside 1 to 4, or values that are not 0 or 1 (naming the column).

    Sources: Rothman 1976 (rule.py); Jiahua Chen and Zehua Chen, "Extended Bayesian information criteria for model
    selection with large model spaces", Biometrika 95 (2008), 759-771.
    """
    if order not in (1, 2, 3, 4):
        raise ValueError(f"find_pies: expected an order of 1 to 4, got {order}")
    gate = CausalGate(causes=(), prior=0).fit(X, y, sample_weight)
    people = gate.training_people_
    binary: Any = np.isin(people.X, (0, 1)).all(axis=0)
    for name, known in zip(people.columns, binary, strict=True):
        if not known:
            raise ValueError(f"find_pies: expected 0 and 1 in {name!r}: choose a threshold, or drop what is missing")
    search = RuleSearch(people, order)
    rules, ebic = search_rules(search)
    p_value = search.p_value(shuffles, check_random_state(random_state)) if shuffles else float("nan")
    if p_value > level:
        rules, ebic = (), search.ebic(())
    named = [Rule(tuple((people.columns[j], present) for j, present in rule)) for rule in rules]
    gate = CausalGate(causes=(), pies=tuple(named), prior=0).fit(X, y, sample_weight)
    named.sort(key=lambda rule: -gate.beta_[str(rule)])
    return Pies(tuple(named), gate, ebic, search.ebic(()), p_value)
