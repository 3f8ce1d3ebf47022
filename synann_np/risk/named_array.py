"""An array of numbers with names: beta["coffee"] as well as beta[3]."""

import numpy as np


class NamedArray(np.ndarray):
    """A one-dimensional array whose elements also answer to a name.

    Arguments: values: (M,) numbers. names: M different strings.

    Attributes: names: tuple of str; empty for an array computed from this one (a slice, a sum), which has no names.
    """

    names: tuple[str, ...]

    def __new__(cls, values, names) -> "NamedArray":
        array = np.asarray(values, dtype=np.float64).view(cls)
        array.names = tuple(names)
        return array

    def __array_finalize__(self, source):
        self.names = ()

    def __getitem__(self, key):
        if isinstance(key, str):
            if key not in self.names:
                raise KeyError(f"no term {key!r}; the terms are {', '.join(self.names)}")
            key = self.names.index(key)
        return super().__getitem__(key)

    def __reduce__(self):
        return NamedArray, (np.array(self), self.names)

    def __deepcopy__(self, memo):
        return NamedArray(np.array(self), self.names)

    def items(self) -> list[tuple[str, float]]:
        """(name, value) of every element."""
        return list(zip(self.names, self.tolist(), strict=True))
