"""Odds, odds ratios of probabilities and of tables, against their definitions and against SciPy."""

import importlib.util
import itertools
import math
import pathlib
import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import contingency

import strict_device
from synann_np.mathematics.odds import log_odds, odds, odds_ratio, odds_ratio_interval, table_odds_ratio
from synann_np.mathematics.surprisal import surprisal, surprisal_synapse
from synann_np.mathematics.synapse_function import synapse
from synann_np.programs.pictures.forest_plot import draw_forest

sp = pytest.importorskip("sympy")

ROOT = pathlib.Path(__file__).resolve().parents[1]
many = settings(deadline=None, max_examples=100)
inside = st.one_of(st.floats(1e-150, 1, exclude_max=True), st.sampled_from([1e-150, 1e-16, 0.5, 1 - 2**-53]))
counts = st.integers(0, 10**6)
tables = st.tuples(counts, counts, counts, counts).map(lambda cells: [list(cells[:2]), list(cells[2:])])


@many
@given(inside, inside)
def test_the_odds_ratio_is_the_quotient_of_odds_and_of_swapped_synapses(x, y):
    x, y = np.float64(x), np.float64(y)
    assert odds_ratio(x, y) == pytest.approx(odds(x) / odds(y), rel=1e-14)
    assert odds_ratio(x, y) == pytest.approx(synapse(x, y) / synapse(y, x), rel=1e-14)
    assert odds_ratio(x, y) * odds_ratio(y, x) == pytest.approx(1, rel=1e-14)


@many
@given(inside, inside)
def test_the_logarithm_of_the_odds_ratio_is_a_difference_in_log_odds_and_in_surprisal_space(x, y):
    x, y = np.float64(x), np.float64(y)
    log_ratio = math.log(odds_ratio(x, y))
    u, v = surprisal(x), surprisal(y)
    assert log_odds(x) - log_odds(y) == pytest.approx(log_ratio, rel=1e-12, abs=1e-13)
    assert surprisal_synapse(v, u) - surprisal_synapse(u, v) == pytest.approx(log_ratio, rel=1e-12, abs=1e-13)


def test_the_swap_equation_in_surprisal_space_symbolically():
    x, y = sp.symbols("x y", positive=True)

    def LS(u, v):
        return u - sp.log(1 - sp.exp(-v))

    u, v = -sp.log(x), -sp.log(y)
    ratio = sp.exp(LS(v, u) - LS(u, v))
    assert sp.simplify(ratio - (x / (1 - x)) / (y / (1 - y))) == 0


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_odds_near_the_ends_keep_their_digits_and_at_the_ends_are_0_and_infinity(dtype):
    tiny, step = np.finfo(dtype).tiny, np.finfo(dtype).epsneg
    p = np.array([0, tiny, 0.5, 1 - step, 1], dtype)
    np.testing.assert_array_equal(odds(p), [0, tiny, 1, 1 / step - 1, np.inf])
    np.testing.assert_allclose(log_odds(p)[1:4], [math.log(tiny), 0, -math.log(step)], rtol=1e-6, atol=1e-7)
    np.testing.assert_array_equal(log_odds(p)[[0, 4]], [-np.inf, np.inf])
    assert odds(p).dtype == log_odds(p).dtype == odds_ratio(p, p).dtype == dtype


def test_the_odds_ratio_at_the_ends():
    half, zero, one = np.array(0.5), np.array(0.0), np.array(1.0)
    assert odds_ratio(zero, half) == odds_ratio(half, one) == odds_ratio(zero, one) == 0
    assert odds_ratio(half, zero) == odds_ratio(one, half) == odds_ratio(one, zero) == np.inf
    assert np.isnan(odds_ratio(zero, zero))
    assert np.isnan(odds_ratio(one, one))


# ---- tables


@many
@given(tables, st.floats(0.5, 0.999))
def test_ratio_and_interval_are_scipys(table, confidence):
    theirs = contingency.odds_ratio(table, kind="sample")
    # SciPy multiplies the counts it is given; an interval with a zero cell is ours alone, see below.
    np.testing.assert_allclose(table_odds_ratio(table), theirs.statistic, rtol=1e-13)
    if min(map(min, table)) > 0:
        interval = theirs.confidence_interval(confidence)
        np.testing.assert_allclose(odds_ratio_interval(table, confidence), interval, rtol=1e-9)


@pytest.mark.parametrize("cells", [c for c in itertools.product([0, 3], repeat=4) if 0 in c])
def test_zero_cells_give_0_infinity_or_undefined_as_scipy_and_an_interval_that_excludes_nothing(cells):
    table = np.reshape(cells, (2, 2))
    np.testing.assert_array_equal(table_odds_ratio(table), contingency.odds_ratio(table, kind="sample").statistic)
    empty = 0 in table.sum(axis=0) or 0 in table.sum(axis=1)
    assert np.isnan(table_odds_ratio(table)) == empty
    assert odds_ratio_interval(table) == (0, np.inf)


def test_the_correction_adds_half_a_count_to_every_cell():
    ratio = table_odds_ratio([[10, 0], [5, 7]], correction=0.5)
    assert ratio == pytest.approx(10.5 * 7.5 / (0.5 * 5.5))
    low, high = odds_ratio_interval([[10, 0], [5, 7]], correction=0.5)
    assert 0 < low < ratio < high < math.inf
    expected = contingency.odds_ratio(np.array([[21, 1], [11, 15]]), kind="sample").statistic  # the same, doubled
    assert ratio == pytest.approx(expected)


def test_rows_and_columns_of_a_table_give_the_same_odds_ratio_as_probabilities():
    (a, b), (c, d) = table = [[647, 622], [2, 27]]
    by_column = odds_ratio(np.float64(a / (a + c)), b / (b + d))
    by_row = odds_ratio(np.float64(a / (a + b)), c / (c + d))
    np.testing.assert_allclose([by_column, by_row], table_odds_ratio(table), rtol=1e-12)


def test_large_integer_counts_do_not_overflow():
    table = np.array([[2**31 - 1, 2**30], [2**30, 2**31 - 1]], np.int32)
    assert table_odds_ratio(table) == pytest.approx(4)
    assert odds_ratio_interval(table)[0] == pytest.approx(4, abs=1e-3)


def test_tables_are_computed_in_any_number_on_both_backends_and_float32_stays_float32():
    device = strict_device.backend()
    tables = np.random.default_rng(1).integers(0, 5, (4, 3, 2, 2))
    for dtype, result in [("float32", "float32"), ("float64", "float64"), ("int64", "float64")]:
        host = tables.astype(dtype)
        there = device.asarray(host)
        for a, b in [
            (table_odds_ratio(host), table_odds_ratio(there)),
            *zip(odds_ratio_interval(host), odds_ratio_interval(there), strict=True),
            (odds_ratio(host[..., 0], host[..., 1]), odds_ratio(there[..., 0], there[..., 1])),
            (log_odds(host / 8), log_odds(there / 8)),
        ]:
            assert a.dtype == b.dtype
            np.testing.assert_array_equal(device.to_host(b), a)
        assert table_odds_ratio(host).dtype == odds_ratio_interval(host)[0].dtype == result
        assert table_odds_ratio(host).shape == (4, 3)
        np.testing.assert_array_equal(host, tables)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: table_odds_ratio([1, 2]), r"expected 2×2 tables.*got \(2,\)"),
        (lambda: table_odds_ratio(np.ones((2, 3))), r"got \(2, 3\)"),
        (lambda: table_odds_ratio([[1, 2], [3, -4]]), "counts cannot be negative, got -4"),
        (lambda: table_odds_ratio([[1, 2], [3, 4]], correction=-1), "expected correction >= 0, got -1"),
        (lambda: odds_ratio_interval([[1, 2], [3, 4]], confidence=95), "expected 0 < confidence < 1, got 95"),
    ],
)
def test_what_is_no_table_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()


@pytest.mark.parametrize("size", [1e200, 1e-200, 1e308, 5e-324])
def test_counts_whose_products_leave_the_floats_have_a_ratio(size):
    assert table_odds_ratio(np.full((2, 2), size)) == 1
    large = np.array([[size, 1.0], [1.0, 1 / size if size > 1e-300 else 1.0]])
    assert table_odds_ratio(large) == pytest.approx(1 if size > 1e-300 else size, rel=1e-12)


def test_a_ratio_beyond_the_floats_is_infinite():
    assert table_odds_ratio(np.array([[1e200, 1.0], [1.0, 1e200]])) == np.inf
    assert table_odds_ratio(np.array([[1.0, 1e200], [1e200, 1.0]])) == 0


# ---- the worked example


def test_the_code_of_the_page_runs_and_prints_what_it_says(capsys):
    text = (ROOT / "docs" / "odds_ratio.md").read_text(encoding="utf-8")
    blocks = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    printed = re.findall(r"```text\n(.*?)```", text, re.DOTALL)
    exec("\n".join(blocks), {})
    assert capsys.readouterr().out == "".join(printed)
    assert len(printed) >= 2


@pytest.fixture(scope="module")
def plot_odds_ratio():
    spec = importlib.util.spec_from_file_location("plot_odds_ratio", ROOT / "scripts" / "plot_odds_ratio.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_amounts_smoked_add_up_to_the_totals_of_the_source(plot_odds_ratio):
    tables = {label: np.array(table) for label, table in plot_odds_ratio.EXPOSED.items()}
    amounts = [table[0] for label, table in tables.items() if label.startswith("men") and "smokers" not in label]
    assert len(amounts) == 5
    np.testing.assert_array_equal(sum(amounts), [647, 622])
    np.testing.assert_array_equal(tables["men, smokers"].sum(axis=0), [649, 649])
    np.testing.assert_array_equal(tables["women, smokers"].sum(axis=0), [60, 60])


def test_the_script_prints_the_table_of_the_page_and_draws(plot_odds_ratio, tmp_path, capsys):
    picture = tmp_path / "odds_ratio.png"
    assert plot_odds_ratio.main(["--out", str(picture)]) == 0
    lines = capsys.readouterr().out.splitlines()
    page = (ROOT / "docs" / "odds_ratio.md").read_text(encoding="utf-8")
    for label, line in zip(plot_odds_ratio.EXPOSED, lines, strict=False):
        ratio, interval = line.removeprefix(label).split(maxsplit=1)
        assert f"| {ratio} | {interval[1:-1]} |" in page
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert plot_odds_ratio.main(["--out", str(tmp_path / "no such folder" / "x.png")]) == 2
    assert "cannot be written" in capsys.readouterr().err


def test_a_forest_refuses_what_a_logarithmic_axis_cannot_show(tmp_path):
    with pytest.raises(ValueError, match="'empty': expected positive finite numbers"):
        draw_forest(tmp_path / "x.png", ["empty"], [1.0], [0.0], [math.inf])
