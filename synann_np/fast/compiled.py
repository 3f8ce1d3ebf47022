"""What a compiled model keeps of the plain one, so that it can be saved, copied and pickled."""

from typing import Any

from ..sequential import Sequential


class Compiled(Sequential):
    """A Sequential whose layers compute faster than those of `plain`, with the same arrays.

    A file holds the plain model. Copies and pickles are compiled again from it, wherever they are made.

    Arguments:
        layers: as in Sequential.
        plain: the Sequential that was compiled.
        again: (function, arguments...), so that function(plain, arguments...) compiles it again.
    """

    def __init__(self, layers: Any, plain: Any, again: Any) -> None:
        super().__init__(layers, plain.dtype, plain.backend)
        self.plain, self.again = plain, again

    @property
    def class_names(self) -> tuple[str, ...] | None:
        """Those of the plain model, which is what a file holds."""
        return self.plain.class_names

    @class_names.setter
    def class_names(self, names: Any) -> None:
        self.plain.class_names = names

    @property
    def in_shape(self) -> tuple[int, ...] | None:
        """That of the plain model."""
        return self.plain.in_shape

    @in_shape.setter
    def in_shape(self, shape: Any) -> None:
        self.plain.in_shape = shape

    def __reduce__(self):
        function, *arguments = self.again
        return function, (self.plain, *arguments)
