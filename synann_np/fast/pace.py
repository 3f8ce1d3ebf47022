"""Two ways of doing the same work: which one is faster just now."""

from statistics import median

TRIAL, IGNORED = 8, 3  # calls of each way in a trial; the first of them do not count: whoever slept has to wake up
FIRST_PERIOD, LONGEST_PERIOD = 200, 3200  # calls from one trial to the next: twice as many whenever nothing has changed


class Pace:
    """Tries all ways in turn, then takes the fastest, and tries again after a while: other work on the machine comes
    and goes. The ways must give equal bits, or results would depend on the time.

    Arguments: ways, the first of which is tried first.

    Attributes: best, the way that was fastest in the last trial, before that the first one.
    """

    def __init__(self, *ways):
        self.best, self.period = ways[0], FIRST_PERIOD
        self.trial = [way for way in ways for _ in range(TRIAL)]
        self._begin()

    def choose(self):
        """The way to take next."""
        return self.trial[self.done] if self.done < len(self.trial) else self.best

    def took(self, way, seconds):
        """Note how long a call by this way took."""
        if self.done < len(self.trial):
            if way != self.trial[self.done]:  # chosen before others were done
                return
            self.seconds.setdefault(way, []).append(seconds)
        self.done += 1
        if self.done == len(self.trial):
            self._decide()
        elif self.done >= len(self.trial) + self.period:
            self._begin()

    def _begin(self):
        self.done, self.seconds = 0, {}

    def _decide(self):
        best = min(self.seconds, key=lambda way: median(self.seconds[way][IGNORED:]))
        self.period = min(2 * self.period, LONGEST_PERIOD) if best == self.best else FIRST_PERIOD
        self.best = best
