"""Learning-rate schedules: functions that make a function of the step, lr = schedule(step), step = 0, 1, ...

A schedule has no state, so a run resumed at a step continues with the right rate. Names of the arguments and
values are those of PyTorch's schedulers, stepped once after every update.
"""

import math
from collections.abc import Callable
from typing import Any

from ..backend import Array


def constant(lr: float) -> Any:
    """The same rate always."""
    return lambda step: lr


def step_decay(lr: float, step_size: int, gamma: Array = 0.1) -> Callable[[int], float]:
    """lr · gamma^⌊step / step_size⌋ (StepLR).

    Raises: ValueError unless step_size ≥ 1.
    """
    _check_at_least_one("step_decay", step_size=step_size)
    return lambda step: lr * gamma ** (step // step_size)


def cosine(lr: float, T_max: int, eta_min: float = 0.0) -> Callable[[int], float]:
    """Half a cosine from lr at step 0 to eta_min at step T_max, where it stays (CosineAnnealingLR up to there):

        eta_min + (lr − eta_min) (1 + cos(π step / T_max)) / 2

    Raises: ValueError unless T_max ≥ 1.
    """
    _check_at_least_one("cosine", T_max=T_max)
    return lambda step: _half_cosine(lr, eta_min, step / T_max)


def one_cycle(
    max_lr: float, total_steps: int, pct_start: float = 0.3, div_factor: float = 25.0, final_div_factor: float = 1e4
) -> Callable[[int], float]:
    """Up and down once (OneCycleLR with cosines, the momentum left alone), by Smith and Topin, 2017.

    From max_lr / div_factor up to max_lr during the first part pct_start of the steps, then down to
    max_lr / div_factor / final_div_factor at the last step, total_steps − 1, where it stays.

    Raises: ValueError unless total_steps ≥ 1 and 0 ≤ pct_start ≤ 1.
    """
    _check_at_least_one("one_cycle", total_steps=total_steps)
    if not 0 <= pct_start <= 1:
        raise ValueError(f"one_cycle: expected pct_start in 0..1, got {pct_start}")
    start = max_lr / div_factor
    top = pct_start * total_steps - 1  # the step of the highest rate, a fraction perhaps
    last = total_steps - 1

    def schedule(step):
        if step <= top and top > 0:
            return _half_cosine(start, max_lr, step / top)
        return _half_cosine(max_lr, start / final_div_factor, (step - top) / (last - top) if last > top else 1.0)

    return schedule


def warm_up(schedule: Callable[[int], float], steps: int) -> Callable[[int], float]:
    """A linear rise, after which a schedule begins (with its step 0).

    schedule(0) · (step + 1) / (steps + 1) for step < steps: the first update moves already, and no two are equal
    (LinearLR with start_factor = 1 / (steps + 1), then the schedule, by SequentialLR).
    """
    if steps < 0:
        raise ValueError(f"warm_up: expected steps >= 0, got {steps}")
    return lambda step: schedule(0) * (step + 1) / (steps + 1) if step < steps else schedule(step - steps)


def _half_cosine(first, last, share):
    """From first at share 0 to last at share 1, and last from there on."""
    return last + (first - last) * (1 + math.cos(math.pi * min(share, 1.0))) / 2


def _check_at_least_one(who, **arguments):
    for name, value in arguments.items():
        if not value >= 1:
            raise ValueError(f"{who}: expected {name} >= 1, got {value}")
