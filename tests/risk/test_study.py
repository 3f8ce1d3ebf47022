"""The commands of docs/causes: their figures, the simulation in small, the table of classifiers on one table."""

import importlib
import re
import sys
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("scipy")
pytest.importorskip("sklearn")
pytest.importorskip("pandas")

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def script(monkeypatch):
    """Import scripts/NAME.py."""
    monkeypatch.syspath_prepend(ROOT / "scripts")

    def load(name):
        return importlib.import_module(name)

    yield load
    for name in [
        name for name in sys.modules if name.partition(".")[0] in ("causes", "which_cause", "simulate_causes")
    ]:
        del sys.modules[name]


def test_oswego(script):
    text = script("causes.report").oswego()
    assert re.search(r"vanilla ice cream +0\.761  \(0\.611 to 0\.871\)", text)
    assert re.search(r"cakes +0\.274  \(0\.02\d to 0\.5(39|40)\)", text)
    assert re.search(r"leak +0\.000  \(0\.000 to", text)
    assert "all other foods: beta at most 0\n" in text
    assert "-33.55 (gate), -33.77 (logistic)" in text
    for line in ("10 people,  3 ill,  2.74 expected", "24 people, 19 ill, 18.27", "30 people, 24 ill, 24.80"):
        assert line in text
    assert "attributable fraction: vanilla ice cream 0.761" in text
    assert re.search(r"first +vanilla ice cream 0\.817, cakes 0\.183", text)
    assert re.search(r"fired +vanilla ice cream 0\.921, cakes 0\.331", text)
    assert re.search(r"but_for +vanilla ice cream 0\.669, cakes 0\.079", text)
    assert re.search(r"odds ratio of vanilla ice cream: 23\.7  \(4\.49 to 124\.\d\)", text)
    assert re.search(r"odds ratio of baked ham: 4\.5  \(0\.27 to 7\d\.\d\)", text)


def test_caesarean(script):
    text = script("causes.report").caesarean()
    for line in (
        r"leak +0\.180  \(0\.09",
        r"risk factor +0\.368  \(0\.17\d to 0\.53",
        r"risk factor and unplanned +0\.771  \(0\.4\d\d to 0\.94",
        r"antibiotics +0\.865  \(0\.780 to 0\.92",
        r"deviance 8\.46 on 3",
        r"same terms: 12\.20",
    ):
        assert re.search(line, text), line


def test_rand(script):
    pytest.importorskip("statsmodels")
    examples = script("causes.examples")
    from sklearn.metrics import log_loss

    from synann_np.risk import CausalGate

    X, y, X_test, y_test = examples.rand_halves()
    gate = CausalGate(prior=0).fit(X, y)
    assert len(y) + len(y_test) == 20_190
    assert 0.33 < gate.beta_["chronic index high"] < 0.43
    assert 0.16 < gate.beta_["free care"] < 0.23
    assert log_loss(y_test, gate.predict_proba(X_test)) == pytest.approx(0.6105, abs=0.001)


def test_the_data_are_those_of_the_studies(script):
    examples = script("causes.examples")
    X, y = examples.oswego()
    assert X.shape == (75, 14)
    assert y.sum() == 46
    X, infected, births = examples.caesarean()
    assert births.sum() == 251
    assert births[infected == 1].sum() == 72


def test_the_code_of_the_page_runs_and_prints_what_it_says(capsys, monkeypatch):
    monkeypatch.chdir(ROOT)
    text = (ROOT / "docs" / "causes" / "README.md").read_text(encoding="utf-8")
    blocks, printed = (re.findall(rf"```{kind}\n(.*?)```", text, re.DOTALL) for kind in ("python", "text"))
    exec("\n".join(blocks), {})
    assert capsys.readouterr().out == "".join(printed)
    assert len(printed) == 4


def test_the_pictures_are_drawn(script, tmp_path, capsys, monkeypatch):
    pytest.importorskip("matplotlib")
    which = script("which_cause")
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert which.main(["--out", str(tmp_path / "new")]) == 0
    out, err = capsys.readouterr()
    assert "vanilla ice cream" in out
    assert "statsmodels" in err
    pictures = sorted((tmp_path / "new").iterdir())
    assert [path.name for path in pictures] == ["caesarean.png", "oswego.png", "person.png"]
    assert all(path.read_bytes().startswith(b"\x89PNG") for path in pictures)
    (tmp_path / "file").write_text("")
    assert which.main(["--out", str(tmp_path / "file")]) == 2
    assert "cannot be written" in capsys.readouterr().err


def test_the_simulation_in_small(script, capsys):
    """40 samples: an estimate off by 4 standard errors fails, and so does a coverage of .8 or less."""
    simulation = script("causes.simulation")
    study = simulation.coverage_study(800, 40)
    error = study["spread"][:4] / np.sqrt(40)
    assert (np.abs(study["estimate"] - simulation.BETA)[:4] < 4 * error + 0.005).all()
    assert (study["covered"] >= 0.8).all()
    assert (study["logistic"] < study["estimate"])[simulation.BETA > 0].all()
    assert script("simulate_causes").main(["--people", "300", "--replicates", "10", "--functions", "2"]) == 0
    out = capsys.readouterr().out
    shares = re.findall(r"(\d+)%", out)
    assert 90 < float(re.search(r"functions, ([\d.]+)% of inputs", out)[1]) <= 100
    assert int(shares[0]) > 50 > int(shares[1])


def test_indicators_point_to_the_higher_risk_and_are_independent(script, rng):
    import pandas as pd

    pytest.importorskip("matplotlib")
    classifiers = script("causes.classifiers")
    x, words = rng.normal(size=300), rng.choice(["a", "b", "c"], 300)
    frame = pd.DataFrame({"x": x, "minus x": -x, "word": pd.Series(words, dtype=object), "gap": x})
    frame.loc[::9, "gap"] = np.nan
    y = rng.random(300) < np.where(x < 0, 0.7, 0.2)
    indicators = classifiers.RiskIndicators(bins=4).fit(frame, y)
    columns = indicators.transform(frame)
    assert {sign for name, sign, _ in indicators.indicators_ if name == "x"} == {"<="}
    assert "minus x" not in {name for name, _, _ in indicators.indicators_}
    assert np.linalg.matrix_rank(np.c_[np.ones(300), columns]) == 1 + columns.shape[1]
    gate = classifiers.classifiers()["gate"].fit(frame, y)
    assert (gate.predict(frame) == y).mean() > 0.65
