"""scikit-learn's own checks of an estimator, all of them."""

import subprocess
import sys

import numpy as np
import pytest

pytest.importorskip("scipy")
pytest.importorskip("sklearn")

from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from sklearn.utils.estimator_checks import check_estimator

from synann_np.risk import CausalGate


@pytest.mark.filterwarnings("ignore")  # the checks provoke warnings, of scikit-learn itself too
def test_the_checks_of_scikit_learn_pass():
    with np.errstate(all="warn"):
        results = check_estimator(CausalGate(), on_skip=None, on_fail=None)
    failed = [(r["check_name"], r["exception"]) for r in results if r["status"] == "failed"]
    assert not failed
    assert sum(r["status"] == "passed" for r in results) >= 55


def test_it_works_in_a_pipeline_and_a_grid_search(rng):
    X = (rng.random((200, 2)) < 0.5).astype(float)
    y = rng.random(200) < 0.1 + 0.5 * X[:, 0]
    pipeline = make_pipeline(FunctionTransformer(), CausalGate())
    search = GridSearchCV(pipeline, {"causalgate__prior": [0.1, 1.0]}, scoring="neg_log_loss", cv=3).fit(X, y)
    assert search.best_estimator_[-1].beta_[0] > 0.3


@pytest.mark.parametrize("missing", ["scipy", "sklearn"])
def test_without_the_extra_the_message_names_it_and_the_package_still_imports(missing):
    program = f"""
import sys
sys.modules[{missing!r}] = None
import synann_np
assert not {{"synann_np.risk", "sklearn", "scipy"}} & {{m for m, v in sys.modules.items() if v is not None}}
try:
    import synann_np.risk
except ImportError as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert "pip install scikit-learn scipy" in done.stdout
    assert missing in done.stdout
