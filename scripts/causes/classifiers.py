"""The classifiers of the comparison, each as a pipeline that takes a DataFrame with numbers, words and gaps."""

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.compose import make_column_selector, make_column_transformer
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder, StandardScaler

from synann_np.risk import CausalGate

NUMBERS, WORDS = make_column_selector(dtype_include="number"), make_column_selector(dtype_exclude="number")


class RiskIndicators(TransformerMixin, BaseEstimator):
    """Columns of 0 and 1, each pointing to the higher risk: x > t or x ≤ t for thresholds t, and levels of a category.

    The direction is that of the training data. Of a category the level of the lowest risk is left out. Indicators that
    are linearly dependent on earlier ones are dropped. Gaps are 0 in all indicators of the column.

    Arguments: bins: thresholds are quantiles, bins − 1 of them.
    """

    def __init__(self, bins=6):
        self.bins = bins

    def fit(self, X, y):
        y = np.asarray(y, dtype=float)
        self.indicators_ = []
        for name in X.columns:
            x = X[name]
            if pd.api.types.is_numeric_dtype(x):
                known = np.unique(x.dropna())
                cuts = np.unique(np.quantile(x.dropna(), np.linspace(0, 1, self.bins + 1)[1:-1], method="inverted_cdf"))
                if len(known) <= self.bins:
                    cuts = known
                for cut in cuts[cuts < known[-1]]:
                    above = y[x > cut].mean() >= y[x <= cut].mean()
                    self.indicators_.append((name, ">" if above else "<=", cut))
            else:
                levels = [level for level in x.dropna().unique() if (x == level).sum() >= 5]
                risk = {level: y[x == level].mean() for level in levels}
                for level in sorted(levels, key=risk.get)[1:]:
                    self.indicators_.append((name, "==", level))
        columns, kept = self.transform(X), []
        basis = [np.full(len(X), 1 / np.sqrt(len(X)))]
        for k, column in enumerate(columns.T):
            rest = column - np.sum([(v @ column) * v for v in basis], axis=0)
            rest -= np.sum([(v @ rest) * v for v in basis], axis=0)
            if np.linalg.norm(rest) > 1e-6 * max(np.linalg.norm(column), 1):
                basis.append(rest / np.linalg.norm(rest))
                kept.append(k)
        self.indicators_ = [self.indicators_[k] for k in kept]
        return self

    def transform(self, X):
        compare = {">": np.greater, "<=": np.less_equal, "==": np.equal}
        columns = [compare[sign](X[name].to_numpy(), value) for name, sign, value in self.indicators_]
        return np.stack(columns, axis=1).astype(float)


def classifiers() -> dict:
    """name -> estimator, untrained. The explainable boosting machine is there if interpret is installed."""
    filled = make_column_transformer(
        (make_pipeline(SimpleImputer(), StandardScaler()), NUMBERS),
        (OneHotEncoder(handle_unknown="ignore", min_frequency=5), WORDS),
    )
    ordered = make_column_transformer(
        ("passthrough", NUMBERS),
        (OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1), WORDS),
    )
    gate = make_pipeline(RiskIndicators(), CausalGate())
    logistic = make_pipeline(filled, LogisticRegression(max_iter=2000))
    found = {
        "gate": GridSearchCV(gate, {"causalgate__prior": [0.3, 1, 3, 10]}, scoring="neg_log_loss", cv=3),
        "logistic": GridSearchCV(logistic, {"logisticregression__C": [0.01, 0.1, 1, 10]}, scoring="neg_log_loss", cv=3),
        "forest": make_pipeline(filled, RandomForestClassifier(300, min_samples_leaf=3, random_state=0)),
        "boosting": make_pipeline(ordered, HistGradientBoostingClassifier(learning_rate=0.05, random_state=0)),
    }
    try:
        from interpret.glassbox import ExplainableBoostingClassifier
    except ImportError:
        return found
    # Main effects only and 8 bags instead of 14: with the defaults one fit to 569 × 30 numbers took three minutes.
    return found | {"EBM": ExplainableBoostingClassifier(interactions=0, outer_bags=8, random_state=0, n_jobs=1)}
