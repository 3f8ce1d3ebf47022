import math

import pytest

from synann_np.training.schedules import constant, cosine, one_cycle, step_decay, warm_up


def test_a_constant_is_constant():
    assert {constant(0.3)(step) for step in range(5)} == {0.3}


def test_steps_fall_by_gamma_every_step_size():
    schedule = step_decay(8.0, 3, 0.5)
    assert [schedule(step) for step in range(8)] == [8, 8, 8, 4, 4, 4, 2, 2]


def test_a_cosine_begins_at_lr_passes_the_middle_ends_at_eta_min_and_stays_there():
    schedule = cosine(1.0, 10, 0.2)
    assert [schedule(step) for step in (0, 5, 10, 11, 1000)] == pytest.approx([1.0, 0.6, 0.2, 0.2, 0.2])


def test_one_cycle_rises_to_the_top_falls_to_nearly_nothing_and_stays_there():
    schedule = one_cycle(1.0, 100, 0.3, 25, 1e4)
    rates = [schedule(step) for step in range(100)]
    assert rates[0] == pytest.approx(0.04)
    assert rates[99] == schedule(100) == schedule(9999) == pytest.approx(0.04 / 1e4)
    top = rates.index(max(rates))
    assert top == 29
    assert rates[: top + 1] == sorted(rates[: top + 1])
    assert rates[top:] == sorted(rates[top:], reverse=True)


@pytest.mark.parametrize("pct_start", [0.0, 0.01, 1.0])
@pytest.mark.parametrize("total_steps", [1, 2, 3, 50])
def test_one_cycle_of_any_shape_stays_between_its_ends(pct_start, total_steps):
    schedule = one_cycle(1.0, total_steps, pct_start)
    for step in range(total_steps + 2):
        assert schedule(step) >= 0.04 / 1e4 * (1 - 1e-9)
        assert schedule(step) <= 1.0


def test_warm_up_rises_linearly_and_then_begins_the_schedule():
    schedule = warm_up(step_decay(1.0, 2, 0.5), 4)
    assert [schedule(step) for step in range(8)] == pytest.approx([0.2, 0.4, 0.6, 0.8, 1.0, 1.0, 0.5, 0.5])


def test_without_steps_warm_up_is_the_schedule():
    schedule, bare = warm_up(cosine(1.0, 7), 0), cosine(1.0, 7)
    assert [schedule(step) for step in range(9)] == [bare(step) for step in range(9)]


def test_a_schedule_is_a_function_of_the_step_alone():
    """A run resumed at a step asks for that step first."""
    schedule = warm_up(one_cycle(0.5, 20), 3)
    forwards = [schedule(step) for step in range(25)]
    assert [schedule(step) for step in reversed(range(25))] == forwards[::-1]


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: step_decay(1, 0), "step_decay: expected step_size >= 1, got 0"),
        (lambda: cosine(1, 0), "cosine: expected T_max >= 1"),
        (lambda: cosine(1, math.nan), "cosine: expected T_max >= 1"),
        (lambda: one_cycle(1, 0), "one_cycle: expected total_steps >= 1"),
        (lambda: one_cycle(1, 5, 1.1), "one_cycle: expected pct_start in 0..1"),
        (lambda: warm_up(constant(1), -1), "warm_up: expected steps >= 0"),
    ],
)
def test_impossible_arguments_are_refused_by_name(make, words):
    with pytest.raises(ValueError, match=words):
        make()
