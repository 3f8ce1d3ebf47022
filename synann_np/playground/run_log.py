"""What has happened in a training run, for pages that ask what is new."""

from typing import Any

KEPT_RUNS = 8


class RunLog:
    """The records of one run after the other, numbered. Not locked: whoever owns it does that.

    Attributes: run: number of the run. version: counts what was added, also changes that are not a record. latest: dict
    of what only the newest is needed of. history: a dict for each past run that was evaluated, the oldest first.
    """

    def __init__(self) -> None:
        self.run = self.version = 0
        self.history: list[dict[str, Any]] = []
        self.clear()

    def clear(self) -> None:
        """Begin a new run."""
        self.run += 1
        self.version = 0
        self.records: list[tuple[int, Any]] = []
        self.latest: dict[str, Any] = {}

    def add(self, record: Any, latest: Any) -> None:
        """A record, a dict with "kind" and "step"."""
        self.version += 1
        self.records.append((self.version, record))
        self.latest |= latest

    def has_news(self, run: Any, version: Any) -> bool:
        """Whether there is more than a page has."""
        return run != self.run or version != self.version

    def since(self, run: Any, version: Any) -> list[Any]:
        """The run's records that a page does not have, which has got the news of this run up to this version."""
        first = version if run == self.run else 0
        return [record for number, record in self.records if number > first]

    def remember(self, choice: Any, seconds: Any) -> None:
        """Put the run into the history, if it got as far as an evaluation."""
        epochs = self._of_kind("epoch")
        if not epochs:
            return
        points = [[record["step"], record["accuracy"]] for record in self._of_kind("estimate")]
        ended = {"epochs": epochs[-1]["epoch"], "accuracy": epochs[-1]["accuracy"], "seconds": seconds}
        self.history.append(choice | ended | {"points": points})
        del self.history[:-KEPT_RUNS]
        self.version += 1

    def _of_kind(self, kind):
        return [record for _, record in self.records if record["kind"] == kind]
