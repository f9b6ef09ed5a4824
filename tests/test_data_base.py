"""What became of the base window by window, and purchases by half: as plain loops over the log count them."""

import itertools

import numpy as np
import pandas as pd
import pytest

import clvmodels as clv
from clvmodels.data import base_periods, repeats_by_half


def log_of(rows):
    return clv.read_transactions(pd.DataFrame(rows, columns=["customer_id", "date", "amount"]))


@pytest.mark.parametrize(("windows", "letter", "number"), [("quarter", "Q", 6), ("month", "M", 18)])
def test_the_base_by_window_is_what_sets_in_pandas_count(cdnow_log, windows, letter, number):
    table = cdnow_log.table.to_pandas()
    table["window"] = pd.to_datetime(table["date"]).dt.to_period(letter)
    by_window = dict(list(table.groupby("window")))
    found = base_periods(cdnow_log, windows=windows)
    assert len(found) == len(by_window) == number
    before, known = set(), set()
    spent_before = pd.Series(dtype=float)
    for (window, rows), period in zip(sorted(by_window.items()), found, strict=True):
        spent = rows.groupby("customer_id")["amount"].sum()
        active, often = set(spent.index), set(rows["customer_id"][rows["customer_id"].duplicated()])
        groups = {"new": active - known, "kept": active & before, "won_back": (active & known) - before}
        assert (period.start, period.end) == (str(window.start_time.date()), str(window.end_time.date()))
        assert period.active == len(active)
        for name, group in groups.items():
            assert getattr(period, name) == len(group)
            assert getattr(period, f"{name}_value") == pytest.approx(spent[list(group)].sum())
        assert (period.before, period.left, period.away) == (len(before), len(before - active), len(known - before))
        assert period.left_value == pytest.approx(spent_before[list(before - active)].sum())
        assert period.repeat_buyers == len((active & known) | often)
        assert period.value == pytest.approx(spent.sum())
        before, known, spent_before = active, known | active, spent


def test_counts_of_each_window_add_up(cdnow_log):
    found = base_periods(cdnow_log)
    assert len(found) == 6  # quarters: the log has more than four
    for earlier, period in itertools.pairwise(found):
        assert period.active == period.new + period.kept + period.won_back
        assert period.before == earlier.active == period.kept + period.left
        assert period.value == pytest.approx(period.new_value + period.kept_value + period.won_back_value)
    assert sum(period.new for period in found) == cdnow_log.n_customers


def test_a_short_log_is_counted_by_month_and_a_window_that_it_cuts_off_is_left_out():
    rows = [("a", "2024-01-20", 5.0), ("b", "2024-02-03", 2.0), ("a", "2024-03-30", 1.0), ("c", "2024-04-10", 9.0)]
    found = base_periods(log_of(rows))
    assert [(period.start, period.end) for period in found] == [
        ("2024-01-20", "2024-01-31"),
        ("2024-02-01", "2024-02-29"),
        ("2024-03-01", "2024-03-31"),
    ]
    assert [(p.active, p.new, p.kept, p.won_back, p.left, p.away) for p in found] == [
        (1, 1, 0, 0, 0, 0),
        (1, 1, 0, 0, 1, 0),
        (1, 0, 0, 1, 1, 1),
    ]
    assert found[2].left_value == 2.0


def test_a_window_without_a_purchase_is_one_that_everybody_left():
    rows = [("a", "2024-01-05", 5.0), ("a", "2024-03-31", 2.0)]
    found = base_periods(log_of(rows), windows="month")
    assert [(p.active, p.left, p.won_back, p.away, p.value) for p in found] == [
        (1, 0, 0, 0, 5.0),
        (0, 1, 0, 0, 0.0),
        (1, 0, 1, 1, 2.0),
    ]


def test_a_log_of_a_few_days_has_no_whole_window_and_other_windows_are_refused():
    log = log_of([("a", "2024-01-05", 5.0), ("b", "2024-01-09", 2.0)])
    assert base_periods(log) == []
    with pytest.raises(clv.DataError, match='windows = "year"'):
        base_periods(log, windows="year")


def test_purchases_by_half_are_those_of_a_loop_over_customers(cdnow_log, window, cdnow):
    table = cdnow_log.table.to_pandas()
    table["date"] = pd.to_datetime(table["date"])
    table = table[table["date"] <= pd.Timestamp(window.calibration_end)]
    early, late = [], []
    for _, dates in sorted(table.groupby("customer_id")["date"]):
        days = (dates - dates.min()).dt.days
        T = (pd.Timestamp(window.calibration_end) - dates.min()).days
        early.append(((days > 0) & (2 * days <= T)).sum())
        late.append((2 * days > T).sum() if T else 0)
    found = repeats_by_half(cdnow_log, window)
    assert np.array_equal(found[0], early)
    assert np.array_equal(found[1], late)
    assert np.array_equal(found[0] + found[1], cdnow.frequency)


def test_halves_are_of_the_customers_that_count_in_the_window(cdnow_log):
    window = clv.Window("1997-09-30", unit="week", acquired_from="1997-02-01", acquired_until="1997-02-28")
    customers = clv.customer_summary(cdnow_log, window)
    early, late = repeats_by_half(cdnow_log, window)
    assert np.array_equal(early + late, customers.frequency)
