"""Draw the pictures of the lessons: python docs/lessons/draw_pictures.py"""

from pathlib import Path

import matplotlib

matplotlib.use("svg")
import matplotlib.pyplot as plt
from matplotlib.patches import FancyBboxPatch, Rectangle

FOLDER = Path(__file__).parent / "pictures"
WHITE = {"fc": "white", "ec": "none", "pad": 1}  # behind a label that an arrow crosses
INK, FORWARD, BACKWARD, PALE, BLUE, ORANGE = "#333333", "#0072b2", "#d55e00", "#eef3f7", "#cfe3f2", "#f9dcc4"


def canvas(width, height):
    """Axes in units of inches, without a frame."""
    figure = plt.figure(figsize=(width, height))
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set_xlim(0, width)
    axes.set_ylim(0, height)
    axes.axis("off")
    return axes


def write(axes, x, y, text, size=11, colour=INK, **options):
    axes.text(x, y, text, size=size, color=colour, **{"ha": "center", "va": "center"} | options)


def box(axes, x, y, width, height, text, fill=PALE, size=11):
    """A rounded box around (x, y)."""
    corner = (x - width / 2, y - height / 2)
    axes.add_patch(
        FancyBboxPatch(corner, width, height, boxstyle="round,pad=0,rounding_size=0.08", fc=fill, ec=INK, lw=1)
    )
    write(axes, x, y, text, size)


def arrow(axes, start, end, colour=FORWARD, text="", offset=0.16, bend=0.0):
    axes.annotate(
        "",
        end,
        start,
        arrowprops={"arrowstyle": "-|>", "color": colour, "lw": 1.6, "connectionstyle": f"arc3,rad={bend}"},
    )
    if text:
        write(axes, (start[0] + end[0]) / 2, (start[1] + end[1]) / 2 + offset, text, 10, colour, bbox=WHITE)


def grid(axes, x, y, rows, cols, cell=0.3, name="", fills=None, values=None):
    """A matrix whose lower left corner is (x, y), its name above it."""
    for row in range(rows):
        for col in range(cols):
            corner = (x + col * cell, y + (rows - 1 - row) * cell)
            fill = (fills or {}).get((row, col), "white")
            axes.add_patch(Rectangle(corner, cell, cell, fc=fill, ec=INK, lw=0.8))
            if values is not None:
                write(axes, corner[0] + cell / 2, corner[1] + cell / 2, values[row][col], 8)
    write(axes, x + cols * cell / 2, y + rows * cell + 0.2, name)


def one_neuron():
    axes = canvas(7.5, 2.6)
    for name, y, weight in (("$x_1$", 2.0, "$w_1$"), ("$x_2$", 1.2, "$w_2$")):
        box(axes, 0.6, y, 0.6, 0.5, name)
        arrow(axes, (0.92, y), (2.1, 1.6), text=weight, offset=0.2 if y > 1.6 else 0.17)
    box(axes, 2.5, 1.6, 0.75, 0.6, "$z$")
    write(axes, 2.75, 2.15, "$z = w_1 x_1 + w_2 x_2 + b$", 10)
    box(axes, 4.4, 1.6, 1.1, 0.6, "$p = \\sigma(z)$")
    box(axes, 6.5, 1.6, 1.4, 0.6, "$L = -\\log\\, p$")
    arrow(axes, (2.9, 1.7), (3.83, 1.7))
    arrow(axes, (4.97, 1.7), (5.78, 1.7))
    arrow(axes, (5.78, 1.5), (4.97, 1.5), BACKWARD)
    arrow(axes, (3.83, 1.5), (2.9, 1.5), BACKWARD)
    arrow(axes, (2.2, 1.25), (1.75, 0.85), BACKWARD)
    write(axes, 5.38, 0.75, "$dp = -1/p$", 10, BACKWARD)
    write(axes, 3.37, 0.75, "$dz = dp\\; p\\,(1-p)$", 10, BACKWARD)
    write(axes, 1.55, 0.65, "$dw_c = dz\\; x_c,\\;\\; db = dz$", 10, BACKWARD)
    write(axes, 3.75, 0.2, "blue: forward        orange: backward", 9)
    return axes


def chain_rule():
    axes = canvas(8, 2.0)
    for x, text in ((1.9, "$u = x^2$"), (4.0, "$v = \\sin\\, u$"), (6.1, "$L = v^2$")):
        box(axes, x, 1.0, 1.2, 0.8, text)
    for x, name, gradient in ((0.8, "$x$", "$dx = du \\cdot 2x$"), (2.95, "$u$", "$du = dv \\cdot \\cos u$"),
                              (5.05, "$v$", "$dv = dL \\cdot 2v$"), (7.2, "$L$", "$dL = 1$")):  # fmt: skip
        arrow(axes, (x - 0.4, 1.2), (x + 0.4, 1.2), text=name)
        arrow(axes, (x + 0.4, 0.8), (x - 0.4, 0.8), BACKWARD)
        write(axes, x, 0.35, gradient, 9.5, BACKWARD)
    return axes


def linear():
    axes = canvas(8.2, 3.55)
    row, col = dict.fromkeys([(1, c) for c in range(3)], BLUE), dict.fromkeys([(c, 0) for c in range(3)], BLUE)
    grid(axes, 0.3, 1.9, 4, 3, name="x  (N, C)", fills=row)
    write(axes, 1.6, 2.5, "@", 13)
    grid(axes, 2.1, 2.05, 3, 2, name="weight.T  (C, F)", fills=col)
    write(axes, 3.1, 2.5, "=", 13)
    grid(axes, 3.6, 1.9, 4, 2, name="y  (N, F)", fills={(1, 0): BLUE})
    write(axes, 6.2, 2.55, "one number of y:\na row times a column", 10)
    left = dict.fromkeys([(0, n) for n in range(4)], ORANGE)
    right = dict.fromkeys([(n, 2) for n in range(4)], ORANGE)
    grid(axes, 0.3, 0.6, 2, 4, name="dy.T  (F, N)", fills=left)
    write(axes, 1.85, 0.9, "@", 13)
    grid(axes, 2.2, 0.3, 4, 3, name="x  (N, C)", fills=right)
    write(axes, 3.4, 0.9, "=", 13)
    grid(axes, 3.8, 0.6, 2, 3, name="dweight  (F, C)", fills={(0, 2): ORANGE})
    write(axes, 6.4, 0.85, "one number of dweight:\na sum over the N rows", 10)
    return axes


def softmax():
    axes = canvas(7.6, 2.7)
    rows = (("x, logits", (2.0, 1.0, -1.0)), ("y, probabilities", (0.71, 0.26, 0.04)),
            ("one-hot", (0, 1, 0)), ("dx = y − one-hot", (0.71, -0.74, 0.04)))  # fmt: skip
    for place, (name, values) in enumerate(rows):
        left, base, scale = 0.35 + place * 1.85, 1.05, 0.55 if place == 0 else 1.0
        axes.plot([left, left + 1.3], [base, base], color=INK, lw=0.8)
        for k, value in enumerate(values):
            colour = BACKWARD if place == 3 else FORWARD
            axes.add_patch(Rectangle((left + 0.1 + 0.4 * k, base), 0.3, value * scale, fc=colour, ec="none"))
            over = value * scale + (0.13 if value >= 0 else -0.13)
            write(axes, left + 0.25 + 0.4 * k, base + over, f"{value:g}", 9)
        write(axes, left + 0.65, 2.5, name)
    write(axes, 3.8, 0.12, "three classes, the second one is right", 9)
    return axes


def batch_norm():
    axes = canvas(7.2, 3.2)
    box(axes, 0.8, 1.6, 0.8, 0.6, "$x_n$")
    box(axes, 6.3, 1.6, 1.0, 0.6, "$\\hat{x}_m$")
    box(axes, 3.5, 2.7, 1.5, 0.6, "mean $\\mu$", BLUE)
    box(axes, 3.5, 0.5, 1.7, 0.6, "variance $\\sigma^2$", ORANGE)
    arrow(axes, (1.22, 1.6), (5.78, 1.6), text="directly, only where m = n", offset=0.17)
    arrow(axes, (1.22, 1.8), (2.72, 2.6), text="1/N", offset=0)
    arrow(axes, (4.27, 2.6), (5.78, 1.8), text="every m", offset=0)
    arrow(axes, (1.22, 1.4), (2.62, 0.6), text="$2(x_n-\\mu)/N$", offset=-0.05)
    arrow(axes, (4.37, 0.6), (5.78, 1.4), text="every m", offset=0)
    return axes


def convolution():
    axes = canvas(8.4, 3.3)
    pixels = [[str(4 * row + col) for col in range(4)] for row in range(4)]
    window = dict.fromkeys([(0, 0), (0, 1), (1, 0), (1, 1)], BLUE) | dict.fromkeys([(1, 1)], ORANGE)
    grid(axes, 0.3, 1.3, 4, 4, 0.36, "x  (H, W)", window, pixels)
    columns = [[str(4 * (h + i) + w + j) for h in range(3) for w in range(3)] for i in range(2) for j in range(2)]
    fills = {(row, 0): BLUE for row in range(4)} | {
        (row, col): ORANGE for row in range(4) for col in range(9) if columns[row][col] == "5"
    }
    grid(axes, 3.2, 1.3, 4, 9, 0.36, "cols  (K K, H' W')", fills, columns)
    arrow(axes, (1.85, 2.1), (3.1, 2.1), text="copy")
    arrow(axes, (3.1, 1.8), (1.85, 1.8), BACKWARD, "add", -0.17)
    write(axes, 7.4, 2.0, "y = weight @ cols", 11)
    write(axes, 4.2, 0.75, "The window at the top left (blue) becomes column 0.", 10)
    write(
        axes,
        4.2,
        0.4,
        "Pixel 5 (orange) is in four windows: forward copies it four times, backward adds four gradients.",
        10,
    )
    return axes


def synapse():
    axes = canvas(7.0, 3.3)
    for j, y in enumerate((2.8, 2.0, 1.2, 0.4)):
        box(axes, 0.7, y, 0.7, 0.5, f"$x_{j + 1}$", ORANGE if j == 1 else PALE)
        arrow(axes, (1.08, y), (3.2, 1.75 + (y - 1.6) * 0.12), INK)
        write(axes, 1.9, y * 0.56 + 0.44 * 1.72, f"$1-\\beta_{{2{j + 1}}}\\,x_{j + 1}$", 9, bbox=WHITE)
    box(axes, 3.75, 1.75, 1.0, 0.6, "$\\Pi_j$")
    box(axes, 5.9, 1.75, 1.7, 0.6, "$y_2 = \\alpha_2\\,x_2\\,P_2$", ORANGE)
    arrow(axes, (4.28, 1.75), (5.02, 1.75), INK, "$P_2$")
    arrow(axes, (0.95, 2.27), (5.6, 2.08), BACKWARD, bend=-0.3)
    write(axes, 4.2, 2.92, "excitation", 10, BACKWARD)
    write(axes, 3.6, 1.2, "inhibition by every unit", 10)
    return axes


def training():
    axes = canvas(7.6, 2.3)
    names = (
        ("forward", "x → log_probs"),
        ("loss", "log_probs → dlog_probs"),
        ("backward", "→ grads"),
        ("update", "params"),
    )
    for place, (name, text) in enumerate(names):
        x = 0.95 + place * 1.9
        box(axes, x, 1.3, 1.5, 0.8, name, BLUE if place in (0, 1) else ORANGE, 12)
        write(axes, x, 0.72, text, 9)
        if place < 3:
            arrow(axes, (x + 0.77, 1.3), (x + 1.13, 1.3), INK)
    arrow(axes, (6.65, 1.75), (0.95, 1.75), INK, bend=0.12)
    write(axes, 3.8, 2.1, "the next batch", 9, bbox=WHITE)
    return axes


def network():
    axes = canvas(9.4, 3.0)
    layers = (
        ("image", "1×28×28"), ("conv1", "10×24×24"), ("pool1\nrelu1", "10×12×12"), ("conv2\ndropout", "20×8×8"),
        ("pool2\nrelu2", "20×4×4"), ("fc1\nrelu3\ndropout", "64"), ("softmax", "64"), ("fcn\nsynapse", "64"),
        ("fcb\nbatch-norm", "64"), ("fc2\nlog-softmax", "10"),
    )  # fmt: skip
    heights = (2.0, 1.8, 1.3, 1.1, 0.9, 0.9, 0.9, 0.9, 0.9, 0.7)
    for place, ((name, shape), height) in enumerate(zip(layers, heights, strict=True)):
        x = 0.55 + place * 0.92
        fill = ORANGE if "synapse" in name else "white" if place == 0 else BLUE if place < 5 else PALE
        box(axes, x, 1.7, 0.74, height, name, fill, 7.5)
        write(axes, x, 0.45, shape, 8)
        if place:
            arrow(axes, (x - 0.55, 1.7), (x - 0.37, 1.7), INK)
    write(axes, 4.7, 0.12, "shape of each activation, without the batch", 9)
    return axes


PICTURES = {
    "network": network, "1_one_neuron": one_neuron, "2_chain_rule": chain_rule, "3_linear": linear,
    "4_softmax": softmax, "5_batch_norm": batch_norm, "6_convolution": convolution, "7_synapse": synapse,
    "8_training": training,
}  # fmt: skip

if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    matplotlib.rcParams["svg.hashsalt"] = "lessons"  # equal pictures give equal files
    for name, draw in PICTURES.items():
        axes = draw()
        axes.figure.savefig(FOLDER / f"{name}.svg", metadata={"Date": None}, facecolor="white")
        plt.close(axes.figure)
