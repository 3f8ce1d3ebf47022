"""Where the nodes and edges of a circuit's diagram go: columns by level, rows by what lies near what."""

from dataclasses import dataclass, field
from functools import partial
from itertools import pairwise
from typing import Any


@dataclass
class Layout:
    """Positions in units of (column, row).

    Attributes:
        at: dict name -> (column, row) of inputs, delays and synapses.
        routes: list of (source, target, side, points): the edges into synapses, side 0 excitatory, 1 inhibitory;
            points are the places between the columns through which the edge passes.
        stubs: list of (value, target, side): constants, shown at each use instead of as nodes.
        feedback: list of (source, delay).
    """

    at: dict = field(default_factory=dict)
    routes: list = field(default_factory=list)
    stubs: list = field(default_factory=list)
    feedback: list = field(default_factory=list)


def lay_out(circuit: Any, sweeps: int = 12) -> Any:
    """The Layout of a circuit, by Sugiyama's method (1981).

    Inputs and delays are column 0, level k is column k + 1. An edge over several columns gets a place in each, so that
    it does not run through nodes. Then each column is sorted by the mean row of its neighbours in the column before
    (sweeping right) or after (sweeping left), which takes most crossings away.

    Raises: CircuitError if the circuit cannot run.
    """
    layout = Layout()
    columns = [[*circuit.of_kind("input"), *circuit.of_kind("delay")], *map(list, circuit.levels())]
    column_of = {name: k for k, column in enumerate(columns) for name in column}
    before: dict[Any, list[Any]] = {}
    after: dict[Any, list[Any]] = {}
    chains = []
    for target in circuit.of_kind("synapse"):
        for side, source in enumerate(circuit.nodes[target].sources):
            node = circuit.nodes[source]
            if node.kind == "constant":
                layout.stubs.append((circuit.number(dict(node.numbers)["value"]), target, side))
                continue
            places = [(source, target, side, k) for k in range(column_of[source] + 1, column_of[target])]
            for k, place in enumerate(places, start=column_of[source] + 1):
                columns[k].append(place)
            chain = [source, *places, target]
            for left, right in pairwise(chain):
                before.setdefault(right, []).append(left)
                after.setdefault(left, []).append(right)
            chains.append((source, target, side, places))

    rows: dict[Any, float] = {}
    for column in columns:
        _place(column, rows)
    for sweep in range(sweeps):
        rightwards = sweep % 2 == 0
        for column in columns if rightwards else reversed(columns):
            neighbours = before if rightwards else after
            column.sort(key=partial(_mean_row, rows, neighbours))
            _place(column, rows)

    layout.at = {name: (column_of[name], rows[name]) for name in column_of}
    for source, target, side, places in chains:
        layout.routes.append((source, target, side, [(k, rows[place]) for place in places for k in place[3:]]))
    layout.feedback = [(circuit.nodes[name].sources[0], name) for name in circuit.of_kind("delay")]
    return layout


def _place(column, rows):
    """Rows around 0, from the top down."""
    for k, item in enumerate(column):
        rows[item] = k - (len(column) - 1) / 2


def _mean_row(rows, neighbours, item):
    near = [rows[n] for n in neighbours.get(item, [item])]
    return sum(near) / len(near)
