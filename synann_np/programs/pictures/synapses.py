"""Pictures of the synapse's mathematics: its surface, surprisal space, Bose–Einstein, the flip circuit, odds ratios.

Every function writes one PNG file and raises OSError if it cannot be written.
"""

import math
from os import PathLike
from typing import Any

import numpy as np

from ...mathematics.circuit import CircuitSimulator, flip, flip_fixed_points
from ...mathematics.surprisal import bose_einstein, conjugate_complement
from ...mathematics.synapse_function import synapse
from ...storage.png_file import own_settings, write_png


@own_settings()
def draw_surface(path: str | PathLike, alpha: float = 1.0, beta: float = 1.0) -> None:
    """S over the unit square, as a surface and as contours."""
    figure = _figure(10, 4.4)
    x, y = np.meshgrid(np.linspace(0, 1, 61), np.linspace(0, 1, 61))
    S = synapse(x, y, alpha, beta)

    surface = figure.add_subplot(1, 2, 1, projection="3d")
    surface.plot_surface(x, y, S, cmap="viridis", rcount=30, ccount=30, edgecolor="0.3", linewidth=0.2)
    surface.set(xlabel="x, excitatory", ylabel="y, inhibitory", zlabel="S", title="S(x, y) = α x (1 − β y)")
    surface.view_init(elev=26, azim=-125)
    surface.set_box_aspect(None, zoom=0.93)

    contours = figure.add_subplot(1, 2, 2)
    filled = contours.contourf(x, y, S, levels=20, cmap="viridis")
    lines = contours.contour(x, y, S, levels=np.arange(1, 10) / 10 * alpha, colors="white", linewidths=0.8)
    contours.clabel(lines, fontsize=8)
    figure.colorbar(filled, ax=contours, label="S")
    contours.set(xlabel="x, excitatory", ylabel="y, inhibitory", title=f"α = {alpha:g}, β = {beta:g}", aspect="equal")
    write_png(figure, path)


@own_settings()
def draw_surprisal_curves(path: str | PathLike) -> None:
    """I(x) = −log x with I(1 − x), and G, a mirror image of itself in the diagonal."""
    figure = _figure(9, 4.2)
    left, right = figure.subplots(1, 2)
    x = np.linspace(0.002, 0.998, 500)
    left.plot(x, -np.log(x), label="I(x) = −log x")
    left.plot(x, -np.log1p(-x), label="G(I(x)) = I(1 − x)")
    left.plot(0.5, math.log(2), "o", color="0.2", label="x = ½, log 2 nats")
    left.set(xlabel="probability x", ylabel="surprisal, nats", ylim=(0, 5), title="Surprisal")
    left.legend()

    z = np.concatenate([np.geomspace(1e-3, math.log(2), 200), np.linspace(math.log(2), 5, 200)])
    right.plot(z, conjugate_complement(z), label="G(z) = −log(1 − e⁻ᶻ)")
    right.plot([0, 5], [0, 5], color="0.6", ls="--", lw=1, label="mirror: G(G(z)) = z")
    right.plot(math.log(2), math.log(2), "o", color="0.2", label="fixed point log 2")
    z = np.array([0.2, 0.05])
    for a, b in zip(z, conjugate_complement(z), strict=True):
        right.plot([a, b], [b, a], "o:", color="tab:orange", ms=4, lw=1)
    right.set(xlabel="z", ylabel="G(z)", xlim=(0, 5), ylim=(0, 5), aspect="equal", title="The complement in surprisals")
    right.legend()
    write_png(figure, path)


@own_settings()
def draw_bose_einstein(path: str | PathLike) -> None:
    """∂LS/∂γ over the energy γ + v, and over v for several γ."""
    figure = _figure(9, 3.8)
    left, right = figure.subplots(1, 2)
    z = np.linspace(0.12, 5, 400)
    left.plot(z, -bose_einstein(z), lw=2, label=r"$\partial LS / \partial\gamma = -1\,/\,(e^{\gamma + v} - 1)$")
    h = 1e-5
    marks = z[::40]
    slope = (conjugate_complement(marks + h) - conjugate_complement(marks - h)) / (2 * h)
    left.plot(marks, slope, "o", ms=4, color="tab:orange", label="slope of G, by finite differences")
    left.plot(z, -np.exp(-z), "--", color="0.5", lw=1, label=r"$-e^{-(\gamma + v)}$, the Boltzmann distribution")
    left.set(xlabel="γ + v, nats", ylabel="∂LS/∂γ", ylim=(-8, 0.2), title="The negative Bose–Einstein distribution")
    left.legend(loc="lower right")

    v = np.linspace(0, 3, 400)
    styles = ("-", "--", "-.", ":", (0, (6, 1, 1, 1, 1, 1)))  # told apart without colours too
    for gamma, style in zip((0.1, 0.25, 0.5, 1.0, 2.0), styles, strict=True):
        right.plot(v, -bose_einstein(gamma + v), ls=style, label=f"γ = {gamma:g}, β = {math.exp(-gamma):.2f}")
    right.set(
        xlabel="v, surprisal of the inhibitory input, nats", ylabel="∂LS/∂γ", title="The same over v, for several γ"
    )
    right.legend(loc="lower right")
    write_png(figure, path)


@own_settings()
def draw_flip(path: str | PathLike, beta: float = 0.8, alphas: Any = (0.9, 1.0, 1.15)) -> None:
    """Trajectories of the flip circuit in the plane of its two outputs, with the fixed points, for several α."""
    figure = _figure(12, 5.2)
    figure.suptitle("Flip circuit: x ← α x (1 − β y), y ← α y (1 − β x).   ○ start   • each step")
    for axes, alpha in zip(figure.subplots(1, len(alphas)), alphas, strict=True):
        for orbit in flip_orbits(alpha, beta):
            lead = orbit[0, 0] - orbit[0, 1]
            axes.plot(*orbit.T, ".-", ms=4, lw=0.8, color="0.5" if lead == 0 else "#d55e00" if lead > 0 else "#0072b2")
            axes.plot(*orbit[0], "o", ms=5, mfc="white", mec="0.2", mew=0.8)
        points = flip_fixed_points(alpha, beta)
        for x, y, eigenvalues in points:
            kind = "attracting" if max(map(abs, eigenvalues)) < 1 else "repelling" if min(eigenvalues) > 1 else "saddle"
            marker = {"attracting": "o", "repelling": "X", "saddle": "D"}[kind]
            axes.plot(x, y, marker, ms=9, color="black", zorder=5, clip_on=False, label=f"({x:.3g}, {y:.3g}), {kind}")
        if not points:
            axes.plot([0, 0, 1], [1, 0, 0], color="black", lw=3, zorder=5, label="every point of the axes")
        axes.set(xlim=(-0.02, 1), ylim=(-0.02, 1), aspect="equal", title=f"α = {alpha:g}, β = {beta:g}")
        axes.set(xlabel="x (orange: x starts larger)", ylabel="y (blue: y starts larger)")
        axes.legend(title="fixed points", loc="upper center", bbox_to_anchor=(0.5, -0.14), ncols=2, frameon=False)
    write_png(figure, path)


def flip_orbits(alpha: float, beta: float, steps: int = 200) -> Any:
    """Trajectories from 17 starting points: list of (steps + 1, 2), to the first point outside the unit square."""
    grid = np.linspace(0.08, 0.96, 5)
    starts = np.array([(a, b) for a in grid for b in grid if max(a, b) in grid[[2, 4]] or a == b])
    simulator = CircuitSimulator(flip(alpha, beta), ["x", "y"], dtype="float64")
    with np.errstate(over="ignore", invalid="ignore"):  # outside of the unit square a trajectory may run away
        run, _ = simulator.forward(np.empty((steps + 1, len(starts), 0)), state=starts)
    orbits = []
    for orbit in run.transpose(1, 0, 2):
        left = np.flatnonzero(~((orbit >= 0) & (orbit <= 1)).all(axis=1))
        orbits.append(orbit[: left[0] + 1] if len(left) else orbit)
    return orbits


def _figure(width, height):
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout="constrained")
