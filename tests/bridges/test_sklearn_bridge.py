"""SynapseNetClassifier: scikit-learn's own checks, and what scikit-learn does with estimators."""

import copy
import pickle
import subprocess
import sys

import numpy as np
import pytest

pytest.importorskip("sklearn")

import joblib
from sklearn.base import clone
from sklearn.datasets import load_iris
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import check_estimator

from synann_np.bridges.sklearn import SynapseNetClassifier
from synann_np.train import outputs


@pytest.fixture(autouse=True)
def usual_arithmetic():
    with np.errstate(all="warn", under="ignore"):
        yield


@pytest.fixture(scope="module")
def iris():
    return load_iris(return_X_y=True)


def quick(**parameters):
    return SynapseNetClassifier(**{"hidden_units": 16, "max_iter": 40, "random_state": 0} | parameters)


@pytest.mark.filterwarnings("ignore")  # the checks provoke warnings, of scikit-learn itself too
def test_all_checks_of_scikit_learn_pass(capsys):
    """Few epochs, to be quick; docs/bridges/sklearn.md has the result with the defaults."""
    results = check_estimator(SynapseNetClassifier(max_iter=10), on_skip=None, on_fail=None)
    failed = [(r["check_name"], r["exception"]) for r in results if r["status"] == "failed"]
    assert not failed
    assert {r["check_name"] for r in results if r["status"] != "passed"} <= {"check_array_api_input"}
    passed = sum(r["status"] == "passed" for r in results)
    with capsys.disabled():
        print(f"\nscikit-learn's checks: {passed} passed")
    assert passed >= 60


def test_it_learns_and_is_probable(iris):
    X, y = iris
    names = np.array(["setosa", "versicolor", "virginica"])[y]
    model = quick(max_iter=100).fit(X, names)
    assert model.score(X, names) > 0.95
    probabilities = model.predict_proba(X)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1)
    np.testing.assert_allclose(np.log(probabilities), model.predict_log_proba(X), rtol=1e-9)
    assert (model.classes_[probabilities.argmax(axis=1)] == model.predict(X)).all()
    assert model.n_iter_ == len(model.loss_curve_) == 100
    assert model.loss_curve_[-1] < 0.2 < model.loss_curve_[0]


def test_the_same_random_state_gives_the_same_model(iris):
    a, b, other = (quick(random_state=seed).fit(*iris).predict_proba(iris[0]) for seed in (1, 1, 2))
    np.testing.assert_array_equal(a, b)
    assert not np.array_equal(a, other)


def test_pipeline_search_and_cross_validation(iris):
    pipeline = make_pipeline(StandardScaler(), quick())
    assert cross_val_score(pipeline, *iris, cv=3).mean() > 0.85
    grid = {"synapsenetclassifier__synapse": ["free", "logistic"], "synapsenetclassifier__hidden_units": [4, 8]}
    search = GridSearchCV(pipeline, grid, cv=2).fit(*iris)
    assert search.best_score_ > 0.85


def test_copies_pickles_and_joblib(iris, tmp_path):
    model = quick().fit(*iris)
    expected = model.predict_proba(iris[0])
    joblib.dump(model, tmp_path / "model.joblib")
    for twin in (copy.deepcopy(model), pickle.loads(pickle.dumps(model)), joblib.load(tmp_path / "model.joblib")):
        np.testing.assert_array_equal(twin.predict_proba(iris[0]), expected)
        twin.partial_fit(*iris)  # its optimiser moves its own weights
        assert not np.array_equal(twin.predict_proba(iris[0]), expected)
    np.testing.assert_array_equal(model.predict_proba(iris[0]), expected)
    fresh = clone(model)
    assert not hasattr(fresh, "model_")
    assert fresh.get_params() == model.get_params()


def test_two_at_a_time_compute_the_same(iris):
    here = cross_val_score(quick(max_iter=5), *iris, cv=2)
    with joblib.parallel_config("threading", n_jobs=2):
        there = cross_val_score(quick(max_iter=5), *iris, cv=2)
    np.testing.assert_array_equal(here, there)


def test_partial_fit_is_one_epoch_and_needs_the_classes_once(iris):
    X, y = iris
    with pytest.raises(ValueError, match="pass classes"):
        quick().partial_fit(X, y)
    model = quick().partial_fit(X[:100], y[:100], classes=[0, 1, 2])  # without a flower of class 2
    assert model.n_iter_ == 1
    for _ in range(80):
        model.partial_fit(X, y)
    assert model.n_iter_ == 81
    assert model.score(X, y) > 0.9
    with pytest.raises(ValueError, match=r"labels \[7\] are not among the classes"):
        model.partial_fit(X[:1], [7])
    with pytest.raises(ValueError, match="balanced"):
        quick(class_weight="balanced").partial_fit(X, y, classes=[0, 1, 2])
    with pytest.raises(ValueError, match="classes of the first call"):
        model.partial_fit(X, y, classes=[0, 1])


def test_warm_start_continues_and_a_cold_start_does_not(iris):
    X, y = iris
    for warm in (True, False):
        model = quick(max_iter=20, warm_start=warm).fit(X, y)
        first = model.loss_curve_
        second = model.fit(X, y).loss_curve_
        assert len(second) == 20
        assert (second[0] < first[-1] + 0.02) == warm
    with pytest.raises(ValueError, match="warm_start needs the classes"):
        quick(warm_start=True).fit(X, y).fit(X[y < 2], y[y < 2])


def test_early_stopping_keeps_the_weights_of_the_best_epoch(iris):
    rng = np.random.default_rng(0)
    X, y = rng.standard_normal((60, 4)), rng.integers(0, 2, 60)  # nothing to learn: the held-out loss soon rises
    model = quick(early_stopping=True, max_iter=300, n_iter_no_change=5, learning_rate=0.03).fit(X, y)
    losses = model.validation_losses_
    assert model.n_iter_ == len(losses) < 300
    assert losses.index(min(losses)) == len(losses) - 6
    longer = quick(early_stopping=True, max_iter=losses.index(min(losses)) + 1, learning_rate=0.03).fit(X, y)
    np.testing.assert_allclose(longer.predict_proba(X), model.predict_proba(X))


@pytest.mark.parametrize("synapse", ["free", "logistic", "surprisal"])
def test_a_weight_of_two_is_the_sample_twice_and_of_zero_none(iris, synapse):
    X, y = iris[0][::3], iris[1][::3]
    weights = np.random.default_rng(1).integers(0, 3, len(y))
    weighted = quick(synapse=synapse).fit(X, y, sample_weight=weights)
    repeated = quick(synapse=synapse).fit(X.repeat(weights, axis=0), y.repeat(weights))
    np.testing.assert_allclose(weighted.predict_proba(X), repeated.predict_proba(X), rtol=1e-6)
    assert not np.allclose(weighted.predict_proba(X), quick(synapse=synapse).fit(X, y).predict_proba(X), rtol=1e-3)


def test_class_weights_are_sample_weights(iris):
    X, y = iris[0][20:], iris[1][20:]
    by_class = {0: 3.0, 1: 1.0, 2: 0.5}
    balanced = len(y) / (3 * np.bincount(y))
    for class_weight, weights in ((by_class, [3, 1, 0.5]), ("balanced", balanced)):
        a = quick(class_weight=class_weight).fit(X, y)
        b = quick().fit(X, y, sample_weight=np.asarray(weights)[y])
        np.testing.assert_allclose(a.predict_proba(X), b.predict_proba(X), rtol=1e-6)


def test_verbose_prints_every_epoch(iris, capsys):
    quick(max_iter=3, verbose=True, early_stopping=True).fit(*iris)
    lines = capsys.readouterr().out.splitlines()
    assert [line.partition(":")[0] for line in lines] == [f"Epoch {n}" for n in (1, 1, 2, 2, 3, 3)]
    quick(max_iter=3).fit(*iris)
    assert not capsys.readouterr().out


def test_float32_stays_float32_and_features_of_any_scale_are_normalised(iris):
    X, y = iris
    single = quick().fit(X.astype("float32"), y)
    assert single.model_.dtype == "float32"
    assert single.predict_proba(X.astype("float32")).dtype == "float32"
    scaled = quick().fit(X * [1e6, 1e-6, 1, 1] + [1e6, 0, 0, -9], y)
    expected = quick().fit(X, y).predict_proba(X)
    np.testing.assert_allclose(scaled.predict_proba(X * [1e6, 1e-6, 1, 1] + [1e6, 0, 0, -9]), expected, atol=1e-6)


def test_a_constant_feature_does_no_harm(iris):
    X = np.column_stack([iris[0], np.full(150, 0.1)])
    assert quick().fit(X, iris[1]).score(X, iris[1]) > 0.85


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"hidden_units": 0}, "hidden_units >= 1, got 0"),
        ({"max_iter": 0}, "max_iter >= 1"),
        ({"learning_rate": -1}, "learning_rate >= 0"),
        ({"batch_size": 0}, "batch_size >= 1"),
        ({"validation_fraction": 1.0}, "validation_fraction between 0 and 1"),
        ({"synapse": "tanh"}, "synapse to be one of free"),
    ],
)
def test_parameters_that_cannot_be_meant_are_refused_by_fit(iris, parameters, message):
    with pytest.raises(ValueError, match=f"SynapseNetClassifier: .*{message}"):
        quick(**parameters).fit(*iris)


def test_all_weights_zero_are_refused(iris):
    with pytest.raises(ValueError, match="at least one non-zero"):
        quick().fit(*iris, sample_weight=np.zeros(150))
    with pytest.raises(ValueError, match="all samples have weight 0"):
        quick(class_weight={0: 0, 1: 0, 2: 0}).fit(*iris)


def test_the_model_inside_is_a_sequential_of_ours(iris, tmp_path):
    import synann_np

    model = quick().fit(*iris)
    synann_np.save(tmp_path / "net.safetensors", model.model_)
    again = synann_np.load(tmp_path / "net.safetensors")
    np.testing.assert_allclose(outputs(again, iris[0]), model.predict_log_proba(iris[0]), atol=1e-12)


def test_without_scikit_learn_the_message_names_the_extra():
    program = "import sys\nsys.modules['sklearn'] = None\nimport synann_np.bridges.sklearn"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert "pip install scikit-learn" in done.stderr
