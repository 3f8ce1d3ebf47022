"""Which columns are causes, which are preventers, which act together: the arguments of a gate, resolved and checked."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from .rule import Rule, column_name, parse_rule
from .terms import Terms, build_terms

LEAK = "leak"


@dataclass(frozen=True)
class Specification:
    """The terms of a gate.

    Attributes: causes (pies among them), preventers: Rules. uncertain: names of columns. columns: names of all columns.
    """

    causes: tuple[Rule, ...]
    preventers: tuple[Rule, ...]
    uncertain: frozenset[str]
    columns: tuple[str, ...]

    @property
    def terms(self) -> tuple[str, ...]:
        """The names of the terms: causes, pies, preventers."""
        return tuple(map(str, (*self.causes, *self.preventers)))

    @property
    def factors(self) -> tuple[str, ...]:
        """The columns in use."""
        return tuple(dict.fromkeys(name for rule in (*self.causes, *self.preventers) for name in rule.names))

    def build(
        self, X: np.ndarray, means: np.ndarray, binary: np.ndarray, exposure: np.ndarray | None = None
    ) -> tuple[Terms, Terms]:
        """The Terms of causes and of preventers for data X (N, D). What is missing in a binary column is uncertain."""
        missing = np.flatnonzero(np.isnan(X).any(axis=0) & binary)
        shared = self.columns, means, self.uncertain | {self.columns[j] for j in missing}
        return build_terms(X, self.causes, *shared, exposure), build_terms(X, self.preventers, *shared)

    def place(self, name: str | int) -> int:
        """0 for the leak, 1, 2, ... for the terms. Raises: ValueError for another name."""
        if not isinstance(name, str):
            name = column_name(name, self.columns, "term")
        names = (LEAK, *self.terms)
        if name not in names:
            raise ValueError(f"CausalGate: no term {name!r}; the terms are {', '.join(names)}")
        return names.index(name)

    def check_values(self, X: np.ndarray) -> None:
        """Refuse a dose where a probability is needed. Raises: ValueError naming the column."""
        rules = (*self.causes, *self.preventers)
        for name in self.uncertain | {name for rule in rules for name, present in rule.literals if not present}:
            most = np.fmax.reduce(X[:, self.columns.index(name)], initial=0)
            if most > 1:
                raise ValueError(
                    f"CausalGate: expected values of {name!r} in [0, 1], since a rule asks for its absence or it is "
                    f"uncertain, got {most:g}"
                )


def read_specification(gate: Any, columns: tuple[str, ...]) -> Specification:
    """The Specification of a CausalGate's arguments for data with these columns.

    Raises: ValueError for an unknown column, and for a term named twice, or "leak".
    """
    preventers = [column_name(key, columns, "preventer") for key in _listed(gate.preventers)]
    rest = [name for name in columns if name not in preventers]
    causes = rest if gate.causes is None else [column_name(key, columns, "cause") for key in _listed(gate.causes)]
    single = [[Rule(((name, True),)) for name in names] for names in (causes, preventers)]
    pies = [parse_rule(pie, columns) for pie in gate.pies]
    uncertain = frozenset(column_name(key, columns, "uncertain column") for key in _listed(gate.uncertain))
    specification = Specification((*single[0], *pies), tuple(single[1]), uncertain, columns)
    taken = {LEAK}
    for name in specification.terms:
        if name in taken:
            raise ValueError(f"CausalGate: {name!r} is named twice" if name != LEAK else f"CausalGate: rename {LEAK!r}")
        taken.add(name)
    return specification


def _listed(keys):
    if isinstance(keys, str):
        raise ValueError(f"CausalGate: expected a list of columns, got the string {keys!r}")
    return () if keys is None else keys
