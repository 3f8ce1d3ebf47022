"""The numbers that change from step to step, on the device: a graph that is launched again reads the next ones."""

import operator

import numpy as np

from ....counter_random import key_halves

WIDTH = 64  # columns of the table


class StepNumbers:
    """A table with one row a step, and the row of the present step, whose numbers operations and kernels read.

        numbers.column("lr", "float32", schedule)     array (): the rate of the present step, wherever that is
        numbers.begin(first=200, count=100)           one copy to the device: the rows of the next 100 steps
        numbers.advance()                             the next row; on the device alone, so a graph may hold it

    A column takes 8 bytes, whatever its dtype. A new column may be added between two steps or within one, but not while
    a graph is captured, since that copies its number from the host.

    Arguments: backend. capacity: the most steps that `begin` gets.

    Attributes: row, int64 (1, WIDTH): the present row. is_complete: whether the table has all columns.
    """

    def __init__(self, backend, capacity):
        xp = backend.xp
        self.backend, self.capacity = backend, capacity
        self.table, self.row = xp.zeros((capacity, WIDTH), "int64"), xp.zeros((1, WIDTH), "int64")
        self.place = xp.zeros(1, "int64")  # of the next row
        self.columns = {}  # name -> (dtype, function of the step)
        self.present, self.is_complete = 0, True

    def column(self, name, dtype, function):
        """The number of the present step as an array (). function: of the step; of the first caller of that name.

        Raises: ValueError if there are too many.
        """
        if name not in self.columns:
            if len(self.columns) == WIDTH:
                raise ValueError(f"more than {WIDTH} numbers change from step to step")
            self.columns[name] = np.dtype(dtype), function
            self.row[...] = self.backend.asarray(self._rows(self.present, 1))
            self.is_complete = False
        place = list(self.columns).index(name)
        return self.row[0, place : place + 1].view(dtype)[:1].reshape(())

    def begin(self, first, count):
        """The next steps are `count` from `first` on."""
        self.table[:count] = self.backend.asarray(self._rows(first, count))
        self.place[...] = 0
        self.is_complete = True

    def advance(self):
        """Make the next row the present one."""
        self.backend.xp.take(self.table, self.place, axis=0, out=self.row)
        self.place += 1

    def _rows(self, first, count):
        rows = np.zeros((count, WIDTH), "int64")
        for place, (dtype, function) in enumerate(self.columns.values()):
            rows[:, place : place + 1].view(dtype)[:, 0] = [function(step) for step in range(first, first + count)]
        return rows


class StepNumber:
    """The number of a step of which a graph is captured: what stands in for an int where a plain step has one.

    Random numbers take their key from the device. A comparison is answered for the present step, and noted: the graph
    holds for the steps for which every comparison has the same answer. Anything else that a graph would freeze, such as
    arithmetic, is a TypeError.

    Arguments: numbers: StepNumbers. step: int.
    """

    def __init__(self, numbers, step):
        self.numbers, self.step, self.answers = numbers, step, []

    def key(self, seed):
        """The halves of the key of counter_random for this seed, arrays uint32 ()."""
        return tuple(
            self.numbers.column((seed, half), "uint32", lambda step, half=half: key_halves(seed, step)[half])
            for half in (0, 1)
        )

    def holds(self, step):
        """Whether all comparisons have the same answers for another step."""
        return all(compare(step, other) == answer for compare, other, answer in self.answers)

    def __add__(self, other):
        return self if other == 0 else NotImplemented  # the first batch of a walk

    def __lt__(self, other):
        return self._compare(operator.lt, other)

    def __le__(self, other):
        return self._compare(operator.le, other)

    def __gt__(self, other):
        return self._compare(operator.gt, other)

    def __ge__(self, other):
        return self._compare(operator.ge, other)

    def __eq__(self, other):
        return self._compare(operator.eq, other)

    def _compare(self, compare, other):
        answer = bool(compare(self.step, other))
        self.answers.append((compare, other, answer))
        return answer
