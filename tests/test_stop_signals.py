"""The first signal is a wish, the second an order."""

import os
import signal
import threading

import pytest

from synann_np.programs.runs.stop_signals import StopSignals


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_first_signal_is_noted_and_handlers_come_back(number):
    before = signal.getsignal(number)
    told = []
    with StopSignals(told.append) as stop:
        assert stop.received is None
        os.kill(os.getpid(), number)
        assert stop.received == number
    assert told == [number]
    assert signal.getsignal(number) is before


def test_a_second_interrupt_stops_at_once():
    with StopSignals():
        os.kill(os.getpid(), signal.SIGINT)
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)


def test_outside_the_main_thread_nothing_happens():
    entered = []

    def enter():
        with StopSignals() as stop:
            entered.append(stop.received)

    thread = threading.Thread(target=enter)
    thread.start()
    thread.join()
    assert entered == [None]
