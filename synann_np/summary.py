"""What a model is made of, layer by layer: shapes, parameters, multiplications, memory."""

import html
import math
from dataclasses import dataclass
from typing import Any

import numpy as np

HEADINGS = ("layer", "kind", "output of one example", "parameters", "multiplications", "bytes of output")


@dataclass(frozen=True)
class Row:
    """One layer. depth: how deep it is nested; multiplications: None where the layer does not tell.

    shape: of the output of one example. memory: of that output, bytes.
    """

    name: str
    kind: str
    depth: int
    shape: tuple[int, ...]
    parameters: int
    multiplications: int | None
    memory: int

    def texts(self) -> tuple[str, ...]:
        """The cells of the table."""
        numbers = (self.parameters, self.multiplications, self.memory)
        shape = " × ".join(map(str, self.shape)) or "1"
        cells = ("?" if number is None else f"{number:,}" for number in numbers)
        return ("  " * self.depth + self.name, self.kind, shape, *cells)


@dataclass(frozen=True)
class Summary:
    """The rows of a model, from its input on; `print` shows a table, a notebook an HTML table.

    The parameters, multiplications and memory of a layer made of layers are in the rows below it.

    Attributes: rows; parameters, multiplications, memory: totals of one example; buffers: numbers not trained.
    """

    rows: tuple[Row, ...]
    parameters: int
    buffers: int

    @property
    def multiplications(self) -> int:
        """Products of a weight and an input for one example, where layers tell; elementwise work is not counted."""
        return sum(row.multiplications or 0 for row in self.rows)

    @property
    def memory(self) -> int:
        """Bytes of all outputs for one example: N times as much are held for a batch of N in training, and what the
        caches hold in addition."""
        return sum(row.memory for row in self.rows)

    def _total(self) -> tuple[str, ...]:
        return ("total", "", "", f"{self.parameters:,}", f"{self.multiplications:,}", f"{self.memory:,}")

    def _note(self) -> str:
        return f"{self.buffers:,} numbers that are not trained" if self.buffers else ""

    def __str__(self) -> str:
        table = [HEADINGS, *(row.texts() for row in self.rows), self._total()]
        widths = [max(map(len, column)) for column in zip(*table, strict=True)]
        pads = [str.ljust] * 3 + [str.rjust] * 3
        lines = [
            "  ".join(pad(cell, width) for pad, cell, width in zip(pads, cells, widths, strict=True)) for cells in table
        ]
        rule = "-" * len(lines[0])
        return "\n".join([lines[0], rule, *lines[1:-1], rule, lines[-1], self._note()]).rstrip()

    def _repr_html_(self) -> str:
        def line(cells, tag):
            styles = ["left", "left", "left", "right", "right", "right"]
            inside = "".join(
                f'<{tag} style="text-align: {style}; white-space: pre">{html.escape(cell)}</{tag}>'
                for style, cell in zip(styles, cells, strict=True)
            )
            return f"<tr>{inside}</tr>"

        body = "".join(line(row.texts(), "td") for row in self.rows)
        note = f"<p>{html.escape(self._note())}</p>" if self.buffers else ""
        head, foot = line(HEADINGS, "th"), line(self._total(), "th")
        return f"<table><thead>{head}</thead><tbody>{body}</tbody><tfoot>{foot}</tfoot></table>{note}"


def summarize(model: Any, in_shape: tuple[int, ...]) -> Summary:
    """The Summary of a Sequential: see Sequential.summary."""
    try:
        x = model.backend.xp.zeros((1, *in_shape), model.dtype)
    except TypeError:
        raise TypeError(
            f"summary: expected the shape of one example, such as (1, 28, 28), got {in_shape!r:.80}"
        ) from None
    rows: list[Row] = []
    with np.errstate(all="ignore"):
        _walk(model, x, rows, 0)
    sizes = [sum(a.size for a in arrays.values()) for arrays in (model.params, model.buffers)]
    return Summary(tuple(rows), *sizes)


def _walk(model, x, rows, depth):
    """Rows of the layers of a Sequential, or of one layer, that gets x; returns its output."""
    for name, layer in model.layers.items():
        try:
            y = layer.forward(x)[0]
        except (IndexError, TypeError, ValueError) as error:
            raise ValueError(f"summary: {name}: {error}") from error
        rows.append(_row(name, layer, x, y, depth))
        inner = layer if hasattr(layer, "layers") else getattr(layer, "body", None)
        if hasattr(inner, "layers"):
            _walk(inner, x, rows, depth + 1)
        x = y
    return x


def _row(name, layer, x, y, depth):
    shape, kind = tuple(y.shape[1:]), type(layer).__name__
    if hasattr(layer, "layers") or hasattr(getattr(layer, "body", None), "layers"):
        return Row(name, kind, depth, shape, 0, 0, 0)
    count = getattr(layer, "multiplications", None)
    multiplications = None if count is None else count(x.shape, y.shape)
    parameters = sum(p.size for p in layer.params.values())
    return Row(name, kind, depth, shape, parameters, multiplications, math.prod(shape) * y.dtype.itemsize)
