"""CausalGate: estimates, intervals, apportionment, odds ratios, circuits, and what it refuses."""

import copy
import pickle

import numpy as np
import pytest

pytest.importorskip("scipy")
pytest.importorskip("sklearn")

from scipy.optimize import minimize
from scipy.stats import chi2
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression

from synann_np.layers import SynapseGraph
from synann_np.mathematics.circuit import CircuitSimulator
from synann_np.risk import CausalGate, Rule
from synann_np.risk.named_array import NamedArray

BETA, LEAK, STOP = np.array([0.6, 0.25, 0.0]), 0.1, 0.7


def sample(rng, people, stop=STOP):
    """Three causes and one preventer of prevalence .4: X (N, 4), y, p."""
    X = (rng.random((people, 4)) < 0.4).astype(float)
    p = (1 - (1 - LEAK) * (1 - BETA * X[:, :3]).prod(axis=1)) * (1 - stop * X[:, 3])
    return X, rng.random(people) < p, p


def expected_sample(stop=STOP):
    """Every pattern with and without the event, weighted by its probability: the estimates must be the truth."""
    X = (np.arange(16)[:, None] >> np.arange(4) & 1).astype(float)
    p = (1 - (1 - LEAK) * (1 - BETA * X[:, :3]).prod(axis=1)) * (1 - stop * X[:, 3])
    return np.r_[X, X], np.arange(32) < 16, 100 * np.r_[p, 1 - p]


@pytest.fixture
def gate():
    return CausalGate(preventers=[3], prior=0).fit(*expected_sample())


def test_the_truth_is_found_in_a_sample_without_noise(gate):
    np.testing.assert_allclose(gate.beta_, [*BETA, STOP], atol=2e-5)
    assert gate.leak_ == pytest.approx(LEAK, abs=2e-5)
    assert gate.terms_ == ("x0", "x1", "x2", "x3")
    assert gate.beta_["x3"] == gate.beta_[3]


def test_the_estimate_is_a_fixed_point_of_em(rng):
    """λ_j = λ_j Σ x_j y (1 + n(s)) / (Σ x_j + ρ): an algorithm that shares nothing with Newton's."""
    X, y, _ = sample(rng, 500, stop=0)
    rho = 2.0
    gate = CausalGate(causes=[0, 1], prior=rho).fit(X, y)
    lam = -np.log1p(-np.asarray(gate.beta_))
    s = -np.log1p(-gate.leak_) + X[:, :2] @ lam
    step = (X[y][:, :2] / -np.expm1(-s[y])[:, None]).sum(axis=0) / (X[:, :2].sum(axis=0) + rho)
    np.testing.assert_allclose(step, 1, rtol=1e-5)


def test_the_minimum_is_that_of_a_general_optimiser_with_preventers_and_sampling(rng):
    X, y, _ = sample(rng, 300)
    gate = CausalGate(preventers=[3], prior=1).fit(X, y, sampling=(0.9, 0.3))
    found = minimize(gate._fit.likelihood, np.full(5, 0.3), jac=True, method="L-BFGS-B", bounds=[(1e-9, 30)] * 5)
    assert gate._fit.loss <= found.fun + 1e-6


def test_the_interval_ends_where_the_profile_has_risen_by_half_a_chi_square(rng):
    X, y, _ = sample(rng, 400)
    gate = CausalGate(preventers=[3], prior=0).fit(X, y)
    for place, name in enumerate(("leak", *gate.terms_)):
        for end in gate.interval(name, 0.9):
            if end in (0, 1):
                continue
            value = -np.log1p(-end)
            free = [k for k in range(5) if k != place]

            def loss(rest, value=value, place=place, free=free):
                loss, gradient = gate._fit.likelihood(np.insert(rest, place, value))
                return loss, gradient[free]

            fits = [
                minimize(loss, np.full(4, start), jac=True, method="L-BFGS-B", bounds=[(1e-9, 30)] * 4)
                for start in (0.1, 0.5)
            ]
            rise = min(fit.fun for fit in fits) - gate._fit.loss
            assert rise == pytest.approx(chi2.ppf(0.9, 1) / 2, abs=2e-3), (name, end)


def test_an_interval_that_the_data_do_not_bound_ends_at_0_or_1():
    X, y = np.array([[1.0], [1], [1], [0], [0], [0]]), np.array([1, 1, 1, 0, 0, 0])
    gate = CausalGate(prior=0).fit(X, y)
    assert gate.beta_[0] == 1
    assert gate.leak_ == 0
    low, high = gate.interval("x0")
    assert (high, gate.interval("leak")[0]) == (1, 0)
    assert 0.2 < low < 0.7
    assert 0.3 < CausalGate(prior=1).fit(X, y).beta_[0] < 0.9


def test_with_a_prior_nobody_is_infinitely_surprised():
    X, y = np.array([[1.0], [1], [0], [0]]), np.array([1, 0, 0, 0])
    assert 0 < CausalGate().fit(X, y).leak_ < 0.01
    assert CausalGate(prior=0).fit(X, y).leak_ == 0
    assert CausalGate(prior=0).fit(X, y).predict_proba([[0.0]])[0, 1] == 0


def test_a_case_control_sample_gives_the_estimates_of_the_population():
    X, y, weight = expected_sample()
    gate = CausalGate(preventers=[3], prior=0)
    gate.fit(X, y, np.where(y, 0.8, 0.05) * weight, sampling=(0.8, 0.05))
    np.testing.assert_allclose(gate.beta_, [*BETA, STOP], atol=5e-4)
    population = CausalGate(preventers=[3], prior=0).fit(X, y, weight)
    np.testing.assert_allclose(gate.attributable_fraction(), population.attributable_fraction(), atol=1e-3)


def test_exposure_turns_beta_into_a_rate():
    patterns = np.array([[a, b, e] for a in (0, 1) for b in (0, 1) for e in (0.5, 1, 3)])
    X, exposure = patterns[:, :2], patterns[:, 2]
    p = 1 - ((1 - LEAK) * (1 - BETA[:2] * X).prod(axis=1)) ** exposure
    twice = np.r_[X, X], np.arange(24) < 12, 50 * np.r_[p, 1 - p]
    gate = CausalGate(prior=0).fit(*twice, exposure=np.r_[exposure, exposure])
    np.testing.assert_allclose([gate.leak_, *gate.beta_], [LEAK, *BETA[:2]], atol=1e-5)
    np.testing.assert_allclose(gate.predict_proba(X, exposure=exposure)[:, 1], p, atol=1e-5)


def test_people_of_weight_0_are_not_there(rng):
    X, y, _ = sample(rng, 200)
    more = np.r_[X, np.full((3, 4), 7.0)], np.r_[y, [True] * 3], np.r_[np.ones(200), np.zeros(3)]
    with_them, without = CausalGate(prior=0).fit(*more), CausalGate(prior=0).fit(X, y)
    np.testing.assert_array_equal(with_them.beta_, without.beta_)
    with pytest.raises(ValueError, match="one class"):
        CausalGate().fit(X, y, sample_weight=np.where(y, 1, 0))
    with pytest.raises(ValueError, match="weights >= 0"):
        CausalGate().fit(X, y, sample_weight=-np.ones(200))


def test_doses_multiply_surprisals():
    X = np.array([[0.0], [1], [2], [3]])
    p = 1 - (1 - LEAK) * 0.7 ** X[:, 0]
    gate = CausalGate(prior=0).fit(np.r_[X, X], np.arange(8) < 4, 90 * np.r_[p, 1 - p])
    np.testing.assert_allclose([gate.leak_, gate.beta_[0]], [LEAK, 0.3], atol=1e-5)


@pytest.mark.parametrize("kind", ["missing", "uncertain"])
def test_unknown_factors_are_averaged_over_exactly(kind):
    """A sample without noise, the first factor hidden in half the people, of prevalence .3, independent of the rest."""
    X = np.array([[a, b] for a in (0, 1) for b in (0, 1)], dtype=float)
    prevalence = np.where(X[:, 0] == 1, 0.3, 0.7)
    p = 1 - (1 - LEAK) * (1 - BETA[:2] * X).prod(axis=1)
    hidden = np.c_[np.full(2, np.nan if kind == "missing" else 0.3), [0, 1]]
    q = 1 - (1 - LEAK) * (1 - 0.3 * BETA[0]) * (1 - BETA[1] * hidden[:, 1])
    rows, y = np.r_[X, X, hidden, hidden], np.r_[np.ones(4), np.zeros(4), np.ones(2), np.zeros(2)]
    weight = 100 * np.r_[prevalence * p, prevalence * (1 - p), q, 1 - q]
    gate = CausalGate(prior=0, uncertain=[0] if kind == "uncertain" else ()).fit(rows, y, weight)
    np.testing.assert_allclose([gate.leak_, *gate.beta_], [LEAK, *BETA[:2]], atol=1e-4)
    np.testing.assert_allclose(gate.predict_proba(hidden)[:, 1], q, atol=1e-4)


def test_what_is_missing_only_in_prediction_is_averaged_over_too(gate):
    unknown = gate.predict_proba([[np.nan, 1, 0, 0]])[0, 1]
    known = gate.predict_proba([[0.0, 1, 0, 0], [1, 1, 0, 0]])[:, 1]
    assert unknown == pytest.approx(known.mean(), abs=1e-9)  # the prevalence is ½


def test_an_unknown_dose_becomes_the_mean_dose():
    X = np.array([[0.0], [1], [2], [3], [np.nan]])
    gate = CausalGate(prior=0).fit(np.r_[X, X], np.arange(10) < 5, np.r_[1, 2, 3, 4, 1, 9, 8, 7, 6, 1])
    mean = (10 + 20 + 30) / (10 * 4)
    np.testing.assert_allclose(gate.predict_proba([[np.nan]]), gate.predict_proba([[mean]]), atol=1e-12)


def test_pies_hold_where_all_their_literals_do(rng):
    X = (np.arange(8)[:, None] >> np.arange(3) & 1).astype(float)
    p = 1 - 0.9 * (1 - 0.8 * X[:, 0] * (1 - X[:, 1])) * (1 - 0.3 * X[:, 2])
    data = np.r_[X, X], np.arange(16) < 8, 100 * np.r_[p, 1 - p]
    for pie in ((0, "not x1"), ("x0", "not x1"), Rule((("x0", True), ("x1", False)))):
        gate = CausalGate(causes=["x2"], pies=[pie], prior=0).fit(*data)
        assert gate.terms_ == ("x2", "x0 and not x1")
        np.testing.assert_allclose(gate.beta_, [0.3, 0.8], atol=1e-5)


def test_the_three_senses_of_causation(gate):
    X, _, _ = expected_sample()
    explanation = gate.explain(X)
    s = -np.log1p(-np.c_[np.full(32, gate.leak_), np.asarray(gate.beta_)[:3] * X[:, :3]])
    np.testing.assert_allclose(explanation.first, s / s.sum(axis=1, keepdims=True), atol=1e-12)
    np.testing.assert_allclose(explanation.first.sum(axis=1), 1)
    for j in range(3):
        without = X.copy()
        without[:, j] = 0
        p, p_without = gate.predict_proba(X)[:, 1], gate.predict_proba(without)[:, 1]
        np.testing.assert_allclose(explanation.but_for[:, 1 + j], (p - p_without) / p, atol=1e-12)
        caused = gate.beta_[j] * X[:, j] * (1 - gate.beta_[3] * X[:, 3])
        np.testing.assert_allclose(explanation.fired[:, 1 + j], caused / p, atol=1e-12)
    assert explanation.names == ("leak", "x0", "x1", "x2")
    assert set(explanation.person(1, "fired")) <= {"leak", "x0", "x2"}
    with pytest.raises(ValueError, match="but_for"):
        explanation.person(0, "blame")


def test_first_is_the_share_of_causes_that_fire_first_in_a_race(rng):
    lam = np.array([0.2, 0.9, 0.4])
    times = rng.exponential(1 / lam, (200_000, 3))
    happened = times.min(axis=1) < 1
    first = np.bincount(times[happened].argmin(axis=1), minlength=3) / happened.sum()
    gate = CausalGate(prior=0).fit(*_of(lam))
    np.testing.assert_allclose(gate.explain([[1.0, 1.0]]).first[0], first, atol=0.005)


def _of(lam):
    X = np.array([[a, b] for a in (0, 1) for b in (0, 1)], dtype=float)
    p = -np.expm1(-(lam[0] + X @ lam[1:]))
    return np.r_[X, X], np.arange(8) < 4, 100 * np.r_[p, 1 - p]


def test_attributable_and_prevented_fractions(gate):
    X, _, weight = expected_sample()
    p = gate.predict_proba(X)[:, 1]
    fractions = gate.attributable_fraction()
    for j, name in enumerate(gate.terms_):
        without = X.copy()
        without[:, j] = 0
        q = gate.predict_proba(without)[:, 1]
        expected = 1 - (weight @ q) / (weight @ p) if j < 3 else 1 - (weight @ p) / (weight @ q)
        assert fractions[name] == pytest.approx(expected, abs=1e-12)
    np.testing.assert_allclose(gate.attributable_fraction(X, weight), fractions)


def test_the_odds_ratio_is_the_quotient_of_odds_and_depends_on_the_background(gate):
    def odds(row):
        p = gate.predict_proba([row])[0, 1]
        return p / (1 - p)

    a, b = [1.0, 0, 0, 0], [0.0, 0, 0, 0]
    assert gate.odds_ratio(a, b) == pytest.approx(odds(a) / odds(b), rel=1e-12)
    assert gate.odds_ratio({"x0": 1}, {}) == pytest.approx(odds(a) / odds(b), rel=1e-12)
    assert gate.odds_ratio({"x0": 1, "x1": 1}, {"x1": 1}) < gate.odds_ratio({"x0": 1}, {})
    assert gate.odds_ratio(a, b) * gate.odds_ratio(b, a) == pytest.approx(1)
    nobody = CausalGate(prior=0).fit([[1.0], [1], [0], [0]], [1, 0, 0, 0])
    assert nobody.odds_ratio({"x0": 1}, {}) == np.inf


def test_the_circuit_and_two_synapse_graphs_compute_the_gate(rng):
    X = (rng.random((300, 4)) < 0.5).astype(float)
    X[:, 2] = rng.random(300)
    p = (1 - 0.9 * (1 - 0.5 * X[:, 0]) * (1 - 0.6 * X[:, 1] * (1 - X[:, 2]))) * (1 - 0.7 * X[:, 3])
    y = rng.random(300) < p
    gate = CausalGate([0], [3], [("x1", "not x2")], prior=0.5, uncertain=[2]).fit(X, y)
    circuit = gate.to_circuit()
    run = CircuitSimulator(circuit, ["event"], dtype="float64")
    inputs = X[:, [int(name.removeprefix("factor x")) for name in run.inputs]]
    got = run.forward(inputs[None])[0][0, :, 0]
    np.testing.assert_allclose(got, gate.predict_proba(X)[:, 1], rtol=0, atol=1e-15)

    causes = SynapseGraph(1, 2, dtype="float64")
    causes.params["alpha"][:], causes.params["beta"][:] = 1 - gate.leak_, gate.beta_[:2]
    preventers = SynapseGraph(1, 1, dtype="float64")
    preventers.params["alpha"][:], preventers.params["beta"][:] = 1, gate.beta_[2]
    ones = np.ones((300, 1))
    nothing, _ = causes.forward(ones, np.c_[X[:, 0], X[:, 1] * (1 - X[:, 2])])
    event, _ = preventers.forward(1 - nothing, X[:, 3:])
    np.testing.assert_allclose(event[:, 0], gate.predict_proba(X)[:, 1], rtol=0, atol=1e-15)


def test_the_scale_check_sees_in_which_world_it_is(rng):
    X, y, _ = sample(rng, 3000, stop=0)
    causes = CausalGate([0, 1, 2], prior=0).fit(X, y)
    check = causes.scale_check(X, y)
    assert check.difference > 0
    assert "independent causes" in str(check)
    model = LogisticRegression(C=1e9, tol=1e-8, max_iter=1000).fit(X[:, :3], y)
    p = model.predict_proba(X[:, :3])[:, 1]
    assert check.logistic == pytest.approx(np.log(np.where(y, p, 1 - p)).sum(), abs=1e-4)
    assert check.gate == pytest.approx(causes.log_likelihood_, abs=1e-6)

    z = rng.random(3000) < 1 / (1 + np.exp(3 - X[:, :3] @ [2.5, 2, 1.5]))
    assert causes.fit(X, z).scale_check(X, z).difference < 0


def test_names_come_from_a_data_frame_and_labels_stay_what_they_are(rng):
    pandas = pytest.importorskip("pandas")
    X, y, _ = sample(rng, 300)
    frame = pandas.DataFrame(X, columns=["smoke", "dust", "noise", "mask"])
    gate = CausalGate(preventers=["mask"]).fit(frame, np.where(y, "ill", "healthy"))
    assert gate.terms_ == ("smoke", "dust", "noise", "mask")
    assert list(gate.feature_names_in_) == list(frame.columns)
    assert list(gate.classes_) == ["healthy", "ill"]
    assert set(gate.predict(frame)) <= {"healthy", "ill"}
    assert gate.interval("smoke") == gate.interval(0)
    assert gate.odds_ratio({"smoke": 1}, {}) > 1


def test_a_copy_a_pickle_and_a_clone(gate):
    for same in (pickle.loads(pickle.dumps(gate)), copy.deepcopy(gate)):
        assert same.beta_["x1"] == gate.beta_["x1"]
        assert same.interval("x1") == gate.interval("x1")
    assert not hasattr(clone(gate), "beta_")
    assert (gate.beta_ * 2).names == ()
    with pytest.raises(KeyError, match="x0, x1"):
        gate.beta_["x9"]
    assert NamedArray([1.0], ["a"]).items() == [("a", 1.0)]


REFUSED = {
    "a constant column": ({}, lambda X: np.c_[X, np.ones(len(X))], "'x4' is constant"),
    "an empty column": ({}, lambda X: np.c_[X, np.zeros(len(X))], "nobody in these data has 'x4'"),
    "x with 1 − x": ({}, lambda X: np.c_[X, 1 - X[:, 1]], "'x1', 'x4' and the leak are linearly dependent"),
    "a column twice": ({}, lambda X: np.c_[X, X[:, 2]], "'x2', 'x4' are linearly dependent"),
    "a constant preventer": ({"preventers": ["x4"]}, lambda X: np.c_[X, np.ones(len(X))], "'x4' is constant"),
    "an unknown cause": ({"causes": ["coffee"]}, None, "cause 'coffee' is not a column"),
    "an unknown preventer": ({"preventers": [7]}, None, "preventer 7 is not a column"),
    "an unknown factor of a pie": ({"pies": [("x0", "not tea")]}, None, "'tea' is not a column"),
    "a pie that is a string": ({"pies": ["x0"]}, None, "a pie is a tuple"),
    "a factor twice in a pie": ({"pies": [("x0", "not x0")]}, None, "different factors"),
    "causes that are a string": ({"causes": "x0"}, None, "list of columns"),
    "a cause that is a preventer": ({"causes": [0], "preventers": [0]}, None, "'x0' is named twice"),
    "the absence of a dose": ({"pies": [("x0", "not x1")]}, lambda X: 2 * X, "'x1' in \\[0, 1\\]"),
    "a negative value": ({}, lambda X: X - 1, "Negative values in data passed to CausalGate: 'x0'"),
    "a negative prior": ({"prior": -1}, None, "prior >= 0"),
    "nothing known": ({}, lambda X: np.c_[X, np.full(len(X), np.nan)], "'x4' is missing for everybody"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_fitted_is_refused_by_name(rng, name):
    arguments, change, message = REFUSED[name]
    X, y, _ = sample(rng, 60)
    with pytest.raises(ValueError, match=message):
        CausalGate(**arguments).fit(X if change is None else change(X), y)


def test_arguments_of_fit_and_of_the_methods_are_checked(rng, gate):
    X, y, _ = sample(rng, 60)
    with pytest.raises(ValueError, match="sampling"):
        CausalGate().fit(X, y, sampling=(0, 1))
    with pytest.raises(ValueError, match="60 exposures"):
        CausalGate().fit(X, y, exposure=np.ones(3))
    with pytest.raises(ValueError, match="6 people cannot tell 8 terms"):
        CausalGate(prior=0).fit(rng.random((6, 8)), [0, 1, 0, 1, 0, 1])
    with pytest.raises(ValueError, match="one class"):
        CausalGate().fit(X, np.zeros(60))
    with pytest.raises(ValueError, match="no term 'tea'"):
        gate.interval("tea")
    with pytest.raises(ValueError, match="0 < level < 1"):
        gate.interval("x0", 95)
    with pytest.raises(ValueError, match="no columns tea"):
        gate.odds_ratio({"tea": 1}, {})
    with pytest.raises(ValueError, match="columns of the fit"):
        gate.scale_check(X[:, :3], y)
    with pytest.raises(ValueError, match="expected 4 values"):
        gate.odds_ratio([1, 0], [0, 0])


def test_data_are_not_modified(rng):
    X, y, _ = sample(rng, 100)
    X[::7, 0] = np.nan
    before = X.copy()
    gate = CausalGate(preventers=[3], pies=[(0, "not x1")]).fit(X, y, exposure=np.full(100, 2.0))
    gate.explain(X)
    gate.attributable_fraction()
    gate.interval("x0")
    np.testing.assert_array_equal(X, before)
