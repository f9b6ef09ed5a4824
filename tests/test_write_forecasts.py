"""Forecasts written in parts: the numbers of the whole, whatever the slices and interruptions."""

import numpy as np
import pyarrow.parquet as pq
import pytest

import clvmodels as clv
from clvmodels.data import slices
from clvmodels.forecast.write_forecasts import FORECASTS, STATISTICS
from clvmodels.foundation.errors import DataError, FitError

HORIZON, RATE, SEED, DRAWS = 39, 0.1, 7, 40
OUTCOMES = {"horizon": HORIZON, "seed": SEED}
NONE = {"spend": None, "horizon": None, "annual_discount_rate": None, "seed": None}
WORTH = {"horizon": HORIZON, "annual_discount_rate": RATE, "margin": 0.3}


@pytest.fixture(scope="module")
def written(cdnow_log, window, bg_nbd_fit, gamma_gamma_fit, tmp_path_factory):
    """Writes forecasts, by default of all quantities, to a folder."""

    def write(folder=None, **changed):
        asked = {
            "fit": bg_nbd_fit,
            "spend": gamma_gamma_fit,
            "quantities": tuple(FORECASTS),
            "seed": SEED,
            "draws": DRAWS,
            "rows": 1000,
            **WORTH,
            **changed,
        }
        return clv.write_forecasts(cdnow_log, window, folder or tmp_path_factory.mktemp("parts") / "x", **asked)

    return write


@pytest.fixture(scope="module")
def whole(cdnow, bg_nbd_fit, gamma_gamma_fit):
    """The forecasts of the whole summary, by quantity."""
    predicted = {
        "p_alive": {},
        "expected_purchases": {"horizon": HORIZON},
        "purchases": OUTCOMES,
        "dert": {"annual_discount_rate": RATE},
    }
    forecasts = {
        quantity: clv.predict(bg_nbd_fit, cdnow, quantity=quantity, draws=DRAWS, **arguments)
        for quantity, arguments in predicted.items()
    }
    forecasts["expected_spend"] = clv.predict(gamma_gamma_fit, cdnow, quantity="expected_spend", draws=DRAWS)
    both = (bg_nbd_fit, gamma_gamma_fit, cdnow)
    forecasts["spend"] = clv.sample_spend(*both, draws=DRAWS, **OUTCOMES)
    forecasts["clv"] = clv.sample_clv(*both, draws=DRAWS, seed=SEED, **WORTH)
    forecasts["expected_clv"] = clv.expected_clv(*both, draws=DRAWS, **WORTH)
    return forecasts


@pytest.mark.parametrize("rows", [333, 2356, 2357, 100_000])
def test_the_parts_together_are_the_forecasts_of_the_whole(written, whole, cdnow, rows):
    found = written(rows=rows)
    assert found.parts.customers == len(cdnow)
    assert len(found.parts.files) == -(-len(cdnow) // rows)
    table = pq.read_table(found.parts.folder)
    assert table["customer_id"].to_pylist() == cdnow.customer_id.tolist()
    for name in ("frequency", "recency", "T", "monetary_value"):
        np.testing.assert_array_equal(table[name].to_numpy(), getattr(cdnow, name))
    for quantity in FORECASTS:
        for name in STATISTICS:
            np.testing.assert_array_equal(table[f"{quantity}_{name}"].to_numpy(), getattr(whole[quantity], name))
        np.testing.assert_allclose(found.totals[quantity], whole[quantity].total_draws, rtol=1e-12)
    np.testing.assert_array_equal(found.totals["purchases"], whole["purchases"].total_draws)


def test_an_interrupted_writing_goes_on_where_it_was(written, tmp_path, monkeypatch):
    made = []

    def stop(parts, all_parts):
        made.append(parts)
        if parts == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        written(tmp_path / "x", rows=600, progress=stop)
    kept = {path: path.stat().st_mtime_ns for path in (tmp_path / "x").glob("part-*.parquet")}
    assert len(kept) == 2
    assert not (tmp_path / "x" / "_SUCCESS").exists()
    found = written(tmp_path / "x", rows=600)
    assert len(found.parts.files) == 4
    assert all(path.stat().st_mtime_ns == time for path, time in kept.items())
    assert pq.read_table(found.parts.folder).equals(pq.read_table(written(rows=600).parts.folder))
    monkeypatch.setattr(slices, "_numbered", None)  # once all is there nothing is read again
    assert written(tmp_path / "x", rows=600).parts == found.parts


def test_a_part_is_never_there_in_part(written, tmp_path, monkeypatch):
    def fail(table, path):
        path.write_bytes(b"PAR1")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(slices.pq, "write_table", fail)
    with pytest.raises(DataError, match=r"cannot be written \(No space left on device"):
        written(tmp_path / "x")
    assert [path.name for path in (tmp_path / "x").iterdir()] == [slices.REQUEST]


def test_a_folder_that_holds_something_else_is_left_alone(written, tmp_path):
    written(tmp_path / "x")
    before = sorted(path.name for path in (tmp_path / "x").iterdir())
    for changed in ({"seed": 8}, {"rows": 999}, {"draws": 41}, {**NONE, "quantities": ("p_alive",)}):
        with pytest.raises(DataError, match="holds another forecast"):
            written(tmp_path / "x", **changed)
    (tmp_path / "y").mkdir()
    (tmp_path / "y" / "notes.txt").write_text("mine")
    with pytest.raises(DataError, match="is there already"):
        written(tmp_path / "y")
    assert sorted(path.name for path in (tmp_path / "x").iterdir()) == before


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"quantities": ("clvs",)}, '"clvs" is unknown, expected some of p_alive'),
        ({"quantities": ()}, "expected one or more"),
        ({"quantities": ("p_alive", "p_alive")}, "each once"),
        ({"seed": None}, "purchases, spend, clv: give seed="),
        ({"spend": None}, "expected_spend, spend, clv, expected_clv: give spend="),
        ({**NONE, "quantities": ("p_alive",), "seed": 1}, "seed: none of p_alive reads it"),
        ({"horizon": -1.0}, "horizon = -1.0"),
        ({"annual_discount_rate": -2.0}, "annual_discount_rate = -2.0"),
        ({"rows": 0}, "rows = 0: expected a whole number, 1 or more"),
    ],
)  # fmt: skip
def test_errors_come_before_any_work(written, tmp_path, changed, says):
    with pytest.raises(DataError, match=says):
        written(tmp_path / "x", **changed)
    assert not (tmp_path / "x").exists()


def test_a_window_outside_the_log_is_refused_before_any_work(cdnow_log, bg_nbd_fit, tmp_path):
    with pytest.raises(DataError, match="calibration_end 2020-01-01 is outside the data"):
        clv.write_forecasts(cdnow_log, clv.Window("2020-01-01"), tmp_path / "x", fit=bg_nbd_fit, horizon=1, seed=1)
    assert not (tmp_path / "x").exists()


def test_a_fit_in_another_unit_is_refused(written, tmp_path):
    fit = clv.fit_at("bg_nbd", {"r": 0.24, "alpha": 30.0, "a": 0.8, "b": 2.4}, unit="day")
    with pytest.raises(FitError, match='in units of a "day"'):
        written(tmp_path / "x", fit=fit)


def test_slices_are_the_summary(cdnow_log, window, cdnow):
    for rows in (500, 2357):
        found = list(clv.summary_batches(cdnow_log, window, rows=rows))
        for name in ("customer_id", "frequency", "recency", "T", "monetary_value", "current_value", "log_amount_sd"):
            joined = np.concatenate([getattr(one, name) for one in found])
            np.testing.assert_array_equal(joined, getattr(cdnow, name))


def test_a_fit_on_counted_rows_is_the_fit_on_all(cdnow_log, window, cdnow, bg_nbd_fit, gamma_gamma_fit):
    counted = clv.fit("bg_nbd", clv.counted_summary(cdnow_log, window), draws=1000, seed=1)
    assert counted.log_likelihood == bg_nbd_fit.log_likelihood
    assert counted.n_customers == len(cdnow)
    assert counted.draws.equals(bg_nbd_fit.draws)
    spend = clv.fit("gamma_gamma", clv.compress_spend_log(cdnow_log, window), draws=1000, seed=2)
    assert spend.draws.equals(gamma_gamma_fit.draws)
    with pytest.raises(DataError, match="tell nothing of purchase times"):
        clv.fit("bg_nbd", clv.compress_spend_log(cdnow_log, window), seed=1)


def test_expectations_of_counted_rows_have_the_totals_of_all(cdnow_log, window, cdnow, bg_nbd_fit):
    counted = clv.counted_summary(cdnow_log, window)
    few, all_ = (
        clv.predict(bg_nbd_fit, customers, quantity="expected_purchases", horizon=39, draws=50).total_draws
        for customers in (counted, cdnow)
    )
    assert len(counted) < len(cdnow)
    np.testing.assert_allclose(few, all_, rtol=1e-12)
