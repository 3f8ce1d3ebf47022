"""The three worked examples: data and fitted gates."""

from pathlib import Path

import numpy as np
import pandas as pd

from synann_np.risk import CausalGate

DATA = Path(__file__).resolve().parents[2] / "docs" / "causes" / "data"
VANILLA, CAKES, HAM = "vanilla ice cream", "cakes", "baked ham"


def oswego() -> tuple[pd.DataFrame, pd.Series]:
    """14 foods eaten by 75 people (a blank counts as not eaten), and who fell ill."""
    table = pd.read_csv(DATA / "oswego.csv").fillna(0).astype(float)
    return table.drop(columns=["person", "ill"]), table["ill"].astype(int)


def fit_oswego() -> CausalGate:
    """Every food a possible cause, maximum likelihood."""
    return CausalGate(prior=0).fit(*oswego())


def caesarean() -> tuple[pd.DataFrame, pd.Series, pd.Series]:
    """Factors, infection, and how many of 251 births each row stands for."""
    table = pd.read_csv(DATA / "caesarean.csv")
    factors = ["unplanned", "risk factor", "antibiotics"]
    ill = table[factors].assign(infected=1, births=table["infections"])
    well = table[factors].assign(infected=0, births=table["births"] - table["infections"])
    rows = pd.concat([ill, well], ignore_index=True)
    return rows[factors].astype(float), rows["infected"], rows["births"]


def fit_caesarean() -> CausalGate:
    """One cause, one pie, one preventer, maximum likelihood."""
    gate = CausalGate(["risk factor"], ["antibiotics"], [("risk factor", "unplanned")], prior=0)
    return gate.fit(*caesarean())


def saturated_log_likelihood(X, y, births) -> float:
    """Log-likelihood of a free probability for every combination of factors."""
    total = births.groupby([X[name] for name in X.columns]).transform("sum")
    share = (births / total)[births > 0]
    return float((births[births > 0] * np.log(share)).sum())


def rand() -> tuple[pd.DataFrame, pd.Series]:
    """Six factors of 20,190 person-years, and whether there was an outpatient visit. Needs statsmodels."""
    from statsmodels.datasets import randhie

    data = randhie.load_pandas().data
    X = pd.DataFrame(
        {
            "chronic index high": data["disea"] > data["disea"].quantile(0.75),
            "free care": data["lncoins"] == 0,
            "physical limitation": data["physlm"] > 0,
            "health good": data["hlthg"] > 0,
            "health fair": data["hlthf"] > 0,
            "health poor": data["hlthp"] > 0,
        }
    )
    return X.astype(float), (data["mdvis"] > 0).astype(int)


def rand_halves(seed: int = 0):
    """The RAND data in two halves at random: X_train, y_train, X_test, y_test."""
    X, y = rand()
    train, test = np.array_split(np.random.default_rng(seed).permutation(len(y)), 2)
    return X.iloc[train], y.iloc[train], X.iloc[test], y.iloc[test]
