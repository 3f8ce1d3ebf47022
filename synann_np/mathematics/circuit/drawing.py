"""A circuit as a diagram: signals run from left to right, feedback below from right to left."""

from os import PathLike
from typing import Any

from ...storage.png_file import drawable, own_settings, write_png
from .layout import lay_out

EXCITATORY, INHIBITORY, FEEDBACK = "#0072b2", "#d55e00", "0.35"
FILL = {"input": "#e8e8e8", "delay": "#fff3c4", "synapse": "#e3efff"}
COLUMN, ROW = 1.75, 0.8  # inches from node to node
WIDTH, HEIGHT = 1.15, 0.5  # of a node, in inches
PORT = 0.11  # how far above the middle the excitatory input arrives, and below it the inhibitory
LANE = 0.22  # between two feedback lines


@own_settings()
def draw_circuit(circuit: Any, path: str | PathLike, title: str = "") -> None:
    """Write the diagram of a circuit as a PNG file.

    Boxes are inputs (grey), delays (yellow, marked delay) and synapses (blue, with α and β where they are not 1). An
    arrow excites, a bar inhibits; constants are written where they are read; dashed lines run into delays. A parameter
    stands by its name, or by its value if its name is the Greek letter's.

    Arguments: circuit: with at least one input, delay or synapse. path: the PNG file. title: above the diagram.

    Raises: CircuitError if the circuit cannot run; OSError if the file cannot be written.
    """
    from matplotlib.figure import Figure

    layout = lay_out(circuit)
    xs, ys = zip(*(_inches(*place) for place in layout.at.values()), strict=True)
    bends = [_inches(*point) for *_, points in layout.routes for point in points]
    bottom = min(ys + tuple(y for _, y in bends)) - 0.45
    left, right, top = min(xs) - 1.0, max(xs) + 1.0, max(ys + tuple(y for _, y in bends)) + 0.55
    floor = bottom - LANE * len(layout.feedback)
    figure = Figure(figsize=(right - left, top - floor + 0.55))
    figure.suptitle(drawable(title), fontsize=11, parse_math=False)
    axes = figure.add_axes((0, 0, 1, (top - floor) / (top - floor + 0.55)))
    axes.set(xlim=(left, right), ylim=(floor, top))
    axes.set_axis_off()

    for source, target, side, points in layout.routes:
        _edge(axes, [_inches(*layout.at[source]), *(_inches(*p) for p in points), _inches(*layout.at[target])], side)
    for value, target, side in layout.stubs:
        x, y = _inches(*layout.at[target])
        _edge(axes, [(x - WIDTH - 0.2, y + (0.5 - side) * 0.5), (x, y)], side)
        axes.text(
            x - WIDTH / 2 - 0.24, y + (0.5 - side) * 0.5, f"{value:g}", ha="right", va="center", fontsize=8, zorder=4
        )
    for lane, (source, delay) in enumerate(layout.feedback):
        _feedback(axes, _inches(*layout.at[source]), _inches(*layout.at[delay]), bottom - LANE * lane, lane)
    for name, place in layout.at.items():
        _node(axes, circuit, circuit.nodes[name], *_inches(*place))
    _legend(axes, bool(layout.feedback))
    write_png(figure, path)


def _inches(column, row):
    return column * COLUMN, -row * ROW


def _node(axes, circuit, node, x, y):
    from matplotlib.patches import FancyBboxPatch

    style = "round,pad=0,rounding_size=0.12" if node.kind == "synapse" else "square,pad=0"
    corner = (x - WIDTH / 2, y - HEIGHT / 2)
    axes.add_patch(FancyBboxPatch(corner, WIDTH, HEIGHT, style, fc=FILL[node.kind], ec="0.3", lw=1, zorder=3))
    greek = {"alpha": "α", "beta": "β"}
    values = [(key, circuit.parameters[key] if value == key else value) for key, value in node.numbers if value != 1]
    numbers = [f"{greek[key]} = {_short(value)}" for key, value in values if key in greek]
    below = ", ".join(numbers) or ("delay" if node.kind == "delay" else "")
    _text(axes, x, y + (0.09 if below else 0), node.name, 8)
    _text(axes, x, y - 0.12, below, 7)


def _text(axes, x, y, text, size):
    # Letters are about 0.6 of their size wide, sizes are in points, 72 to the inch.
    fits = 0.94 * WIDTH * 72 / (0.6 * max(len(text), 1))
    axes.text(x, y, drawable(text), ha="center", va="center", fontsize=min(size, fits), zorder=4, parse_math=False)


def _short(value):
    return value if isinstance(value, str) else f"{value:.3g}"


def _edge(axes, points, side):
    """A smooth line from the right side of the first node to the left side of the last, level where nodes stand."""
    from matplotlib.path import Path

    (x, y), *bends, (x_end, y_end) = points
    vertices, codes = [(x + WIDTH / 2, y)], [Path.MOVETO]
    stops = [(x + end, y) for x, y in bends for end in (-WIDTH / 2, WIDTH / 2)]
    for x_next, y_next in [*stops, (x_end - WIDTH / 2 - 0.02, y_end + (PORT, -PORT)[side])]:
        x, y = vertices[-1]
        middle = (x + x_next) / 2
        vertices += [(middle, y), (middle, y_next), (x_next, y_next)]
        codes += [Path.CURVE4] * 3
    _arrow(axes, Path(vertices, codes), ("-|>", "|-|, widthA=0, widthB=0.45")[side], (EXCITATORY, INHIBITORY)[side])


def _feedback(axes, source, delay, y, lane):
    """From the right of the source down, back along y, up to the left of the delay; each line has its own lane."""
    from matplotlib.path import Path

    out, back = source[0] + WIDTH / 2 + 0.12 + 0.07 * lane, delay[0] - WIDTH / 2 - 0.3 + 0.07 * lane
    end = delay[0] - WIDTH / 2 - 0.02
    corners = [(source[0] + WIDTH / 2, source[1]), (out, source[1]), (out, y), (back, y), (back, delay[1])]
    _arrow(axes, Path([*corners, (end, delay[1])]), "-|>", FEEDBACK, linestyle=(0, (4, 2)))


def _arrow(axes, path, style, colour, **line):
    from matplotlib.patches import FancyArrowPatch

    axes.add_patch(FancyArrowPatch(path=path, arrowstyle=style, color=colour, mutation_scale=9, lw=1.1, **line))


def _legend(axes, has_feedback):
    from matplotlib.lines import Line2D

    lines = [
        Line2D([], [], color=EXCITATORY, marker=">", ms=5, label="excites"),
        Line2D([], [], color=INHIBITORY, marker="|", ms=8, mew=2, label="inhibits"),
        Line2D([], [], color=FEEDBACK, ls="--", marker="<", ms=5, label="to the next step"),
    ]
    shown = lines if has_feedback else lines[:2]
    axes.legend(handles=shown, loc="upper left", ncols=3, fontsize=8, frameon=False, borderaxespad=0.2)
