"""Layers made of other layers."""

from typing import Any

from .base import Layer


class Composed(Layer):
    """A layer that computes with other layers, its parts.

    Its own params and buffers hold the arrays of the parts, named prefix + name; they are what counts: an array that is
    replaced there is used by the part from the next call on.

    Attributes: parts, dict prefix -> layer.
    """

    def multiplications(self, x_shape: tuple[int, ...], y_shape: tuple[int, ...]) -> int:
        """As Layer's, where every matrix is used once."""
        return sum(p.size for p in self.params.values() if p.ndim > 1)

    def add_parts(self, parts: Any) -> None:
        """Take over the arrays of the parts (dict prefix -> layer)."""
        self.parts = parts
        for prefix, part in parts.items():
            self.params |= {prefix + name: p for name, p in part.params.items()}
            self.buffers |= {prefix + name: b for name, b in part.buffers.items()}

    def current_parts(self) -> dict[str, Any]:
        """The parts, holding the arrays that params and buffers hold now."""
        for prefix, part in self.parts.items():
            for mine, its in ((self.params, part.params), (self.buffers, part.buffers)):
                its.update({name: mine[prefix + name] for name in its})
        return self.parts
