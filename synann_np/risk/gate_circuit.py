"""The gate as a circuit of synapses S = α x (1 − β y).

    nothing_0 = constant 1 − leak
    nothing_j = S(nothing_{j−1}, x_j; 1, β_j)        no cause up to j fired
    fired     = S(1, nothing_M; 1, 1)                some cause fired
    event_k   = S(event_{k−1}, z_k; 1, β_k)          ... and no preventer up to k stopped it; event_0 = fired

A rule is made of gates: a AND NOT b = S(a, b; 1, 1) is one synapse, a AND b two. So the circuit has one synapse a
term, one for `fired`, and those of the rules; its output is "event". Inputs in [0, 1] are probabilities that the factor
is present, so the circuit agrees with the gate at 0 and 1 and for uncertain factors, not for other doses.
"""

from collections.abc import Sequence

from ..mathematics.circuit import Circuit, add_not
from ..mathematics.circuit.library import ONE
from .rule import Rule


def gate_circuit(causes: Sequence[Rule], preventers: Sequence[Rule], leak: float, beta: dict[str, float]) -> Circuit:
    """A Circuit with one input a factor, parameters "leak" and "beta NAME", and the output node "event".

    Arguments: causes, preventers: the terms. leak; beta: term -> β.
    """
    circuit = Circuit()
    for name in dict.fromkeys(name for rule in (*causes, *preventers) for name in rule.names):
        circuit.input(_input(name))
    one = circuit.constant(ONE, 1.0)
    circuit.parameter("leak", leak)
    node = circuit.synapse("no leak", one, one, beta="leak")
    for rule in causes:
        circuit.parameter(f"beta {rule}", beta[str(rule)])
        node = circuit.synapse(f"nothing up to {rule}", node, _add_rule(circuit, rule), beta=f"beta {rule}")
    node = circuit.synapse("event" if not preventers else "fired", one, node)
    for k, rule in enumerate(preventers, start=1):
        circuit.parameter(f"beta {rule}", beta[str(rule)])
        name = "event" if k == len(preventers) else f"not prevented by {rule}"
        node = circuit.synapse(name, node, _add_rule(circuit, rule), beta=f"beta {rule}")
    circuit.check()
    return circuit


def _input(name):
    return f"factor {name}"


def _add_rule(circuit, rule):
    """The node that shows the product of the rule's literals."""
    if rule.column:
        return _input(rule.column)
    (first, present), *others = rule.literals
    node = _input(first) if present else add_not(circuit, f"{rule}: not {first}", _input(first))
    for k, (name, present) in enumerate(others):
        label = f"rule {rule}" if k == len(others) - 1 else f"rule {rule}: {k + 2} factors"
        absent = add_not(circuit, f"{label}: not {name}", _input(name)) if present else _input(name)
        node = circuit.synapse(label, node, absent)
    return node
