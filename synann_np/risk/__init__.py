"""Which cause did it? Independent causes, preventers and rules, with SciPy and scikit-learn (extra `risk`).

The reading order: causal_gate.py, likelihood.py, terms.py, minimum.py, profile_interval.py; then find_pies.py.
"""

from . import requirements
from .causal_gate import CausalGate
from .find_pies import find_pies
from .rule import Rule

__all__ = ["CausalGate", "Rule", "find_pies", "requirements"]
