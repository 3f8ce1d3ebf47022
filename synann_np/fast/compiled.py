"""What a compiled model keeps of the plain one, so that it can be saved, copied and pickled."""

from typing import Any

from ..sequential import Sequential


def _of_plain(name: str) -> Any:
    return property(lambda self: getattr(self.plain, name), lambda self, value: setattr(self.plain, name, value))


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

    class_names, in_shape = _of_plain("class_names"), _of_plain("in_shape")  # a file holds those of the plain model

    def __reduce__(self):
        function, *arguments = self.again
        return function, (self.plain, *arguments)
