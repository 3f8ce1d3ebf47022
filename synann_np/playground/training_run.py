"""One training run at a time, in a thread of its own, steered from the page."""

import threading
import time
from contextlib import suppress
from typing import Any

from .learning import learn
from .run_log import RunLog

UNWATCHED_SECONDS = 15.0
ACTIVE = ("preparing", "running", "paused")


class Busy(RuntimeError):
    """What was asked for does not fit the state of the training."""


class TrainingRun:
    """The state of the training, shared by the thread that trains and the threads that answer the page.

    States: idle → preparing → running ⇄ paused → done, stopped or failed; reset leads back to idle. If no page has
    asked for news for unwatched_seconds, a running training pauses, so that a closed tab costs nothing.

    Arguments: networks: Networks, gets the weights as they are learned. data_set: DataSet.
    """

    def __init__(self, networks: Any, data_set: Any, unwatched_seconds: Any = UNWATCHED_SECONDS) -> None:
        self.networks, self.data_set, self.unwatched_seconds = networks, data_set, unwatched_seconds
        self._changed = threading.Condition()  # guards everything below
        self._thread: threading.Thread | None = None
        self._watched, self._log = 0.0, RunLog()
        with self._changed:
            self._begin("idle", None)

    def start(self, choice: Any) -> None:
        """Begin a run. Raises: Busy if one is active."""
        self._wait_for_end()
        with self._changed:
            if self._state in ACTIVE:
                raise Busy("a training is active: stop it before you start another")
            self._begin("preparing", choice)
            self._thread = threading.Thread(target=self._work, args=(choice,), daemon=True)
            self._thread.start()

    def pause(self) -> None:
        """Hold a running training after its present steps."""
        self._switch("running", "paused")

    def resume(self) -> None:
        """Continue a paused training."""
        self._switch("paused", "running")

    def stop(self) -> None:
        """End the run; its weights stay in use. Without an active run nothing happens."""
        with self._changed:
            if self._state in ACTIVE:
                self._set("stopped")

    def reset(self) -> None:
        """End the run and forget its weights and curves."""
        self.stop()
        self._wait_for_end()
        with self._changed:
            if self._state in ACTIVE:
                raise Busy("another training has been started meanwhile")
            self.networks.forget_trained()
            self._log.history.clear()
            self._begin("idle", None)

    def close(self) -> None:
        """End the run because the program ends; waits for it half a second at most."""
        self.stop()
        with suppress(Busy):
            self._wait_for_end(0.5)

    def set_learning_rate(self, lr: float) -> Any:
        """The highest rate of the schedule, from the next step on. Raises: Busy without an active run."""
        with self._changed:
            if self._state not in ACTIVE:
                raise Busy("no training is active")
            self.lr = lr
            self._set(self._state, self._message)

    def news(self, run: int = 0, version: int = 0, timeout: float = 2.0) -> dict[str, Any]:
        """What is new, as a dict of JSON values; waits for it at most `timeout` seconds.

        Arguments: run, version: of the last news that the page got.
        """
        with self._changed:
            self._watched = time.monotonic()
            self._changed.wait_for(lambda: self._log.has_news(run, version), timeout)
            self._watched = time.monotonic()
            return {
                "run": self._log.run, "version": self._log.version, "records": self._log.since(run, version),
                "latest": self._log.latest, "history": list(self._log.history), "state": self._state,
                "message": self._message, "choice": vars(self._choice) if self._choice else None, "lr": self.lr,
                "seconds": self._seconds,
            }  # fmt: skip

    # Called by the thread that trains.

    def ready(self) -> bool:
        """The preparations are done. Returns: whether to begin."""
        with self._changed:
            if self._state == "preparing":
                self._watched = time.monotonic()
                self._set("running")
            return self._state == "running"

    def note(self, record: Any, latest: Any) -> None:
        """Tell the page of a record; see RunLog."""
        with self._changed:
            self._log.add(record, latest)
            self._changed.notify_all()

    def go_on(self, seconds: float) -> bool:
        """Whether to train on after `seconds` of training; waits while paused."""
        with self._changed:
            self._seconds = seconds
            if self._state == "running" and time.monotonic() - self._watched > self.unwatched_seconds:
                self._set("paused", "Paused, because no page was open.")
            self._changed.wait_for(lambda: self._state != "paused")
            return self._state == "running"

    def _work(self, choice):
        end, message = "done", ""
        try:
            learn(choice, self, self.data_set.arrays(), self.networks)
        except ArithmeticError:  # NaN or infinity, in training or evaluation
            end, message = "failed", "The loss is no longer a number: start again with a smaller learning rate."
        except (OSError, MemoryError, ValueError) as error:  # of the data
            end, message = "failed", str(error)
        except Exception as error:  # a fault of ours must not leave the page waiting
            end, message = "failed", f"{type(error).__name__}: {error}"
            raise
        finally:
            with self._changed:
                self._log.remember(vars(choice), self._seconds)
                self._set(*((end, message) if self._state in ACTIVE else (self._state, self._message)))

    def _wait_for_end(self, timeout=30):
        """The thread of a run that was stopped ends after its present steps, or its evaluation."""
        thread = self._thread
        if thread is not None and self._state not in ACTIVE:
            thread.join(timeout)
            if thread.is_alive():
                raise Busy("the last training has not ended yet: try again in a moment")

    def _begin(self, state, choice):
        self._log.clear()
        self._choice, self.lr, self._seconds = choice, choice and choice.lr, 0.0
        self._set(state)

    def _set(self, state, message=""):
        self._state, self._message = state, message
        self._log.version += 1
        self._changed.notify_all()

    def _switch(self, old, new):
        with self._changed:
            if self._state != old:
                raise Busy(f"the training is not {old}")
            self._watched = time.monotonic()
            self._set(new)
