"""Counts of a comparison by operator: what agrees, what our API refuses and why."""

from collections import Counter

import numpy as np


class RefusedByDesign(Exception):
    """A sample that the package deliberately does not take; the message is the reason."""


class Tally:
    """Counts of agreements, refusals and disagreements."""

    def __init__(self):
        self.agreed, self.refused, self.wrong = Counter(), Counter(), []

    def add(self, operator, sample, compare):
        """Run compare(), which raises RefusedByDesign or AssertionError, or agrees."""
        try:
            compare()
        except RefusedByDesign as reason:
            self.refused[operator, str(reason)] += 1
        except Exception as error:  # whatever breaks is a disagreement
            self.wrong.append(f"{operator} {sample}: {type(error).__name__}: {error!s:.300}")
        else:
            self.agreed[operator] += 1

    def show(self, title):
        """Print the counts."""
        print(f"\n{title}: {self.agreed.total()} agree, {self.refused.total()} refused, {len(self.wrong)} wrong")
        for operator, count in sorted(self.agreed.items()):
            print(f"  {operator}: {count} agree")
        for (operator, reason), count in sorted(self.refused.items()):
            print(f"  {operator}: {count} refused, {reason}")


def assert_close(name, actual, expected, tolerance):
    """Same shape, and equal up to `tolerance` of the largest element."""
    assert actual.shape == expected.shape, f"{name} is {actual.shape}, expected {expected.shape}"
    bound = tolerance * max(1.0, np.abs(expected).max(initial=0))
    with np.errstate(invalid="ignore"):  # ∞ − ∞
        same = (np.abs(actual - expected) <= bound) | (actual == expected)
    assert same.all(), f"{name} differs by {np.abs(actual - expected).max():.2e}"
