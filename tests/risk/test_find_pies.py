"""find_pies: rules that made the data, and no rules where nothing did."""

import numpy as np
import pytest

pytest.importorskip("scipy")
pytest.importorskip("sklearn")

from synann_np.mathematics.surprisal import conjugate_complement
from synann_np.risk import CausalGate, Rule, find_pies
from synann_np.risk.rule_candidates import STRENGTHS, Candidates, candidate_count, candidates

TRUTH = {(("x0", True), ("x3", False)), (("x2", True), ("x4", True), ("x7", True))}


def labelled(rng, people=300, wrong=0.1):
    """X (N, 9) of fair coins, y = TRUTH with wrong labels."""
    X = (rng.random((people, 9)) < 0.5).astype(float)
    y = (X[:, 0] == 1) & (X[:, 3] == 0) | (X[:, [2, 4, 7]] == 1).all(axis=1)
    return X, y ^ (rng.random(people) < wrong)


def test_the_rules_are_found_and_predict(rng):
    found = find_pies(*labelled(rng))
    assert {rule.literals for rule in found} == TRUTH
    assert len(found) == 2
    assert found.p_value == 1 / 40
    assert found.ebic < found.ebic_without
    X, y = labelled(rng, 4000, wrong=0)
    assert (found.gate.predict(X) == y).mean() > 0.99


def test_they_are_printed_as_a_person_would_write_them(rng):
    pandas = pytest.importorskip("pandas")
    X, y = labelled(rng)
    frame = pandas.DataFrame(X, columns=["smoker", "a", "b", "vaccinated", "c", "d", "e", "f", "g"])
    text = str(find_pies(frame, np.where(y, "sick", "healthy")))
    assert text.startswith("sick:\n")
    assert "smoker and not vaccinated" in text
    assert " or if " in text
    assert "%" in text


def test_shuffled_outcomes_give_no_rules(rng):
    X, y = labelled(rng, 150)
    found = [find_pies(X, rng.permutation(y), shuffles=39) for _ in range(12)]
    assert sum(len(pies) > 0 for pies in found) <= 1
    nothing = next(pies for pies in found if not pies)
    assert "no rule found" in str(nothing)
    assert nothing.gate.terms_ == ()
    np.testing.assert_allclose(nothing.gate.predict_proba(X)[:, 1], y.mean(), atol=1e-6)


def test_the_guard_refuses_what_shuffles_bring_too(rng):
    """Without it a hundred random columns bring a rule now and then; the guard looks at the same search shuffled."""
    X, y = labelled(rng, 300)
    assert len(find_pies(X, y, shuffles=39, level=0.01)) == 0  # 1/40 is the least p-value there can be
    assert np.isnan(find_pies(X, y, shuffles=0).p_value)


def test_weights_count_people(rng):
    X, y = labelled(rng, 200)
    doubled = find_pies(X, y, sample_weight=np.full(200, 2.0), shuffles=0)
    repeated = find_pies(np.r_[X, X], np.r_[y, y], shuffles=0)
    assert doubled.rules == repeated.rules
    assert doubled.ebic == pytest.approx(repeated.ebic)


def test_the_ebic_is_that_of_the_fitted_gate(rng):
    X, y = labelled(rng, 200)
    found = find_pies(X, y, shuffles=0)
    price = [np.log(200) + 2 * np.log(candidate_count(9, len(rule.literals))) for rule in found]
    assert found.ebic == pytest.approx(-2 * found.gate.log_likelihood_ + np.log(200) + sum(price), abs=1e-6)


def test_all_rules_are_candidates():
    for order in (1, 2, 3, 4):
        listed = list(candidates(5, order))
        assert len(listed) == len(set(listed)) == sum(candidate_count(5, size) for size in range(1, order + 1))


def test_the_gain_of_a_candidate_is_the_difference_of_two_likelihoods(rng):
    X = rng.random((40, 4)) < 0.5
    events, others = rng.integers(0, 5, (2, 40)).astype(float)
    s = rng.uniform(0.05, 1, 40)
    pool = Candidates(X, 3)
    gains = pool.gains(s, events, others)
    for k in range(0, len(gains), 7):
        holds = np.logical_and.reduce([X[:, j] == present for j, present in pool.literals[k]])

        def loss(s):
            return events @ conjugate_complement(s) + others @ s

        expected = max(loss(s) - loss(s + lam * holds) for lam in STRENGTHS)
        assert gains[k] == pytest.approx(max(expected, 0), abs=1e-9)


def test_order_4_and_what_is_refused(rng):
    X = (rng.random((400, 5)) < 0.6).astype(float)
    y = (X[:, :4] == 1).all(axis=1) ^ (rng.random(400) < 0.05)
    assert [str(rule) for rule in find_pies(X, y, order=4)] == ["x0 and x1 and x2 and x3"]
    with pytest.raises(ValueError, match="order of 1 to 4"):
        find_pies(X, y, order=5)
    with pytest.raises(ValueError, match="0 and 1 in 'x2'"):
        find_pies(np.c_[X[:, :2], X[:, 2] * 3], y)


def test_rules_go_into_a_gate_with_other_causes(rng):
    X, y = labelled(rng)
    rules = find_pies(X, y).rules
    gate = CausalGate(causes=[1], pies=rules).fit(X, y)
    assert set(map(str, rules)) <= set(gate.terms_)
    assert str(Rule((("rain", True), ("umbrella", False)))) == "rain and not umbrella"
