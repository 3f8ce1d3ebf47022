"""Which of two ways is taken, when, and how often that is asked again. No clock: the seconds are given."""

import itertools

from synann_np.fast.pace import FIRST_PERIOD, IGNORED, LONGEST_PERIOD, TRIAL, Pace


def walk(pace, calls, seconds_of):
    """The ways of so many calls, each of which takes seconds_of[way]."""
    ways = []
    for _ in range(calls):
        ways.append(pace.choose())
        pace.took(ways[-1], seconds_of[ways[-1]])
    return ways


def test_every_way_is_tried_and_the_faster_one_goes_on():
    for fast, slow in ("ab", "ba"):
        ways = walk(Pace("a", "b"), 2 * TRIAL + FIRST_PERIOD, {fast: 1.0, slow: 2.0})
        assert ways[: 2 * TRIAL] == ["a"] * TRIAL + ["b"] * TRIAL
        assert set(ways[2 * TRIAL :]) == {fast}


def test_the_first_calls_of_a_trial_do_not_count():
    pace = Pace("a", "b")
    for way, usual in (("a", 1.0), ("b", 2.0)):
        for call in range(TRIAL):
            pace.took(way, 100.0 if way == "a" and call < IGNORED else usual)
    assert pace.best == "a"


def test_an_outlier_decides_nothing():
    pace = Pace("a", "b")
    for way, usual in (("a", 1.0), ("b", 2.0)):
        for call in range(TRIAL):
            pace.took(way, 100.0 if way == "a" and call == TRIAL - 1 else usual)
    assert pace.best == "a"


def test_a_change_of_the_machine_is_noticed_in_the_next_trial():
    pace = Pace("a", "b")
    walk(pace, 2 * TRIAL + FIRST_PERIOD, {"a": 1.0, "b": 2.0})
    walk(pace, FIRST_PERIOD + 4 * TRIAL, {"a": 3.0, "b": 2.0})
    assert pace.best == "b"
    assert pace.period == FIRST_PERIOD


def test_trials_become_rare_while_nothing_changes_but_never_end():
    pace, length = Pace("a", "b"), 20 * LONGEST_PERIOD
    ways = walk(pace, length, {"a": 1.0, "b": 2.0})
    begins = [k for k in range(1, length) if ways[k] == "b" and ways[k - 1] == "a"]
    gaps = [after - before for before, after in itertools.pairwise(begins)]
    assert gaps == sorted(gaps)
    assert gaps[-1] == LONGEST_PERIOD + 2 * TRIAL
    assert gaps[0] < 3 * FIRST_PERIOD
    assert ways.count("b") < 0.01 * length


def test_calls_that_were_chosen_before_others_were_done_are_not_mixed_up():
    pace = Pace("a", "b")
    early = pace.choose()
    walk(pace, TRIAL, {"a": 1.0, "b": 2.0})
    pace.took(early, 50.0)  # of way a, while b is tried
    assert pace.choose() == "b"
    walk(pace, TRIAL, {"a": 1.0, "b": 2.0})
    assert pace.best == "a"
