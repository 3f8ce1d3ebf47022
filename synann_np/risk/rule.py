"""A rule: factors that act together, "smoker and not vaccinated". Rothman's sufficient cause, or causal pie."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

NOT = "not "


@dataclass(frozen=True)
class Rule:
    """A conjunction of literals. It holds where every literal does.

    Attributes: literals: ((name, present), ...): present is False where the rule asks for the absence of the factor.

    Source: Kenneth J. Rothman, "Causes", American Journal of Epidemiology 104 (1976), 587-592.
    """

    literals: tuple[tuple[str, bool], ...]

    def __str__(self):
        return " and ".join(name if present else f"{NOT}{name}" for name, present in self.literals)

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the factors, present or absent."""
        return tuple(name for name, _ in self.literals)

    @property
    def column(self) -> str | None:
        """The factor's name if the rule is one factor and nothing else, otherwise None."""
        return self.literals[0][0] if len(self.literals) == 1 and self.literals[0][1] else None


def column_name(key: str | int, columns: Sequence[str], role: str) -> str:
    """The name of a column given by name or by position.

    Raises: ValueError if there is no such column; the message says for which role ("cause", ...) it was wanted.
    """
    if isinstance(key, str):
        if key in columns:
            return key
    elif -len(columns) <= key < len(columns):
        return columns[key]
    raise ValueError(f"CausalGate: {role} {key!r} is not a column; the columns are {', '.join(columns)}")


def parse_rule(literals: Rule | Iterable[str | int], columns: Sequence[str]) -> Rule:
    """A Rule from names of columns or positions; "not NAME" asks for the absence of NAME.

    Raises: ValueError for an unknown column, a factor named twice, or a rule without literals.
    """
    if isinstance(literals, Rule):
        literals = [name if present else f"{NOT}{name}" for name, present in literals.literals]
    elif isinstance(literals, str):
        raise ValueError(f"CausalGate: a pie is a tuple of names, got the string {literals!r}")
    parsed = []
    for literal in literals:
        name, absent = literal, False
        if isinstance(literal, str) and literal not in columns and literal.startswith(NOT):
            name, absent = literal.removeprefix(NOT), True
        name = column_name(name, columns, "factor of a pie")
        parsed.append((name, not absent))
    rule = Rule(tuple(parsed))
    if not parsed or len(set(rule.names)) < len(parsed):
        raise ValueError(f"CausalGate: expected different factors in a pie, got {literals!r}")
    return rule
