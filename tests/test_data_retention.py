"""Contracts as a table of retention: renewals on the calendar, each contract accounted for, no bias from the ends."""

import datetime as dt
import itertools
import math
from collections import Counter

import ibis
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from dateutil.relativedelta import relativedelta

import clvmodels as clv
from clvmodels.foundation.errors import DataError
from clvmodels.foundation.units import days_per_unit

STEPS = {"day": "days", "week": "weeks", "month": "months", "year": "years"}
HEADER = "customer_id,start,end\n"


def frame(*contracts, **columns):
    """Contracts (customer, start, end) with further columns."""
    ids, starts, ends = zip(*contracts, strict=True)
    return pd.DataFrame({"customer_id": ids, "start": starts, "end": ends} | columns)


def table(contracts, *, unit="month", observation_end="2024-12-31", **options):
    return clv.retention_table(contracts, unit=unit, observation_end=observation_end, **options)


def one(start, end, **options):
    """Entry, age and loss of a single contract."""
    found = table(frame(("a", start, end)), **options)
    assert len(found) == 1
    return found.entry[0], found.age[0], bool(found.lost[0])


def accounts(lines):
    return {line.reason: line.rows for line in lines}


@pytest.fixture
def csv(tmp_path):
    def write(text, name="contracts.csv"):
        path = tmp_path / name
        path.write_text(text, encoding="utf-8")
        return path

    return write


# --- an independent way to the same table ---


def random_contracts(rng, size, *, unit, mid):
    """Contracts of some customers with several, starts on all days of the month, ends on renewals or between them."""
    start = [dt.date(2019, 12, 1) + dt.timedelta(days=int(d)) for d in rng.integers(0, 1800, size)]
    life = rng.geometric(0.25, size)
    rows = []
    for i in range(size):
        end = start[i] + relativedelta(**{STEPS[unit]: int(life[i])})
        if mid and rng.random() < 0.7:
            end = start[i] + dt.timedelta(days=int(rng.integers(0, (end - start[i]).days + 1)))
        rows.append((f"c{rng.integers(0, size // 2)}", start[i], None if rng.random() < 0.2 else end))
    return rows


def relations_by_loop(rows, *, last, gap_days):
    """Contracts that follow each other joined, one customer after the other."""
    found = {}
    near = sorted((r for r in rows if r[1] <= last + dt.timedelta(days=1)), key=lambda r: (r[0], r[1]))
    for customer, contracts in itertools.groupby(near, key=lambda r: r[0]):
        joined = []
        for _, start, written in contracts:
            end = written or dt.date.max
            if joined and (start - joined[-1][1]).days <= 1 + gap_days:
                joined[-1][1] = max(joined[-1][1], end)
            else:
                joined.append([start, end])
        for number, (start, end) in enumerate(joined):
            if start <= last:
                found[customer + (f" ({number + 1})" if number else "")] = (start, end if end <= last else None)
    return found


def table_by_loop(rows, *, unit, last, begin, gap_days=0, at_renewals):
    """Entry, age and loss of each relation, by walking from renewal to renewal."""
    found = {}
    for who, (start, end) in relations_by_loop(rows, last=last, gap_days=gap_days).items():
        length = (last - start).days / days_per_unit(unit)
        renewals = [start + relativedelta(**{STEPS[unit]: n}) for n in range(int(length) + 3)]
        made = max(n for n, renewal in enumerate(renewals) if renewal <= last)
        noticed = None if end is None else min(n for n, renewal in enumerate(renewals) if n and renewal >= end)
        lost = end is not None and noticed <= made
        age = noticed if lost else made
        entry = 0
        if begin is not None and start < begin:
            passed = [n for n, renewal in enumerate(renewals) if renewal <= begin]
            entry = max(passed) if at_renewals else min(n for n, r in enumerate(renewals) if r >= begin)
            if end is not None and (end <= begin or noticed <= entry):
                continue
            entry = entry if lost else min(entry, age)
        found[who] = (entry, age, lost)
    return found


@pytest.mark.parametrize("unit", ["day", "week", "month", "year"])
@pytest.mark.parametrize(("mid", "begin"), [(True, None), (True, dt.date(2022, 2, 28)), (False, dt.date(2022, 2, 28))])
def test_the_table_is_that_of_a_walk_from_renewal_to_renewal(unit, mid, begin):
    rng = np.random.default_rng(5)
    last = dt.date(2024, 2, 29)
    rows = random_contracts(rng, 150 if unit == "day" else 1500, unit=unit, mid=mid)
    if not mid:  # so that no join moves a renewal
        rows = [(f"{customer}-{i}", start, end) for i, (customer, start, end) in enumerate(rows)]
    by_loop = table_by_loop(rows, unit=unit, last=last, begin=begin, gap_days=9, at_renewals=not mid or unit == "day")
    options = {"unit": unit, "observation_end": last, "observed_from": begin, "gap_days": 9}
    each = table(frame(*rows), rows="customers", **options)
    ours = dict(zip(each.customer_id, zip(each.entry, each.age, each.lost, strict=True), strict=True))
    assert ours == by_loop
    counts = table(frame(*rows), **options)
    counted = zip(counts.entry, counts.age, counts.lost, strict=True)
    assert dict(zip(counted, counts.n_customers, strict=True)) == Counter(by_loop.values())
    assert sum(line.rows for line in each.ledger) == len(rows)


def test_ages_in_continuous_time_are_days():
    rng = np.random.default_rng(6)
    last, begin = dt.date(2023, 6, 30), dt.date(2021, 1, 1)
    rows = [(f"{c}-{i}", s, e) for i, (c, s, e) in enumerate(random_contracts(rng, 2000, unit="month", mid=True))]
    ours = table(frame(*rows), clock="continuous", rows="customers", observation_end=last, observed_from=begin)
    expected = {}
    for who, start, end in rows:
        lost = end is not None and end <= last
        if start <= last and not (lost and start < begin and end <= begin):
            days = ((end if lost else last) - start).days
            days = 0.5 if lost and days == 0 else days
            expected[who] = (max((begin - start).days, 0) / 30.4375, days / 30.4375, lost)
    assert dict(zip(ours.customer_id, zip(ours.entry, ours.age, ours.lost, strict=True), strict=True)) == expected
    assert ours.due is None


# --- renewals on the calendar ---


@pytest.mark.parametrize(
    ("unit", "start", "last", "age"),
    [
        ("month", "2023-01-31", "2023-02-27", 0),
        ("month", "2023-01-31", "2023-02-28", 1),
        ("month", "2024-01-31", "2024-02-28", 0),
        ("month", "2024-01-31", "2024-02-29", 1),
        ("month", "2023-01-31", "2023-03-30", 1),
        ("month", "2023-01-31", "2023-03-31", 2),
        ("month", "2023-01-30", "2023-02-28", 1),
        ("month", "2023-02-28", "2023-03-27", 0),
        ("month", "2023-02-28", "2023-03-28", 1),
        ("month", "2022-12-31", "2023-12-31", 12),
        ("year", "2020-02-29", "2021-02-27", 0),
        ("year", "2020-02-29", "2021-02-28", 1),
        ("year", "2020-02-29", "2024-02-28", 3),
        ("year", "2020-02-29", "2024-02-29", 4),
        ("year", "2023-12-31", "2024-12-30", 0),
        ("week", "2024-02-26", "2024-03-03", 0),
        ("week", "2024-02-26", "2024-03-04", 1),
        ("day", "2024-02-28", "2024-03-01", 2),
        ("month", "2024-05-05", "2024-05-05", 0),
    ],
)
def test_a_renewal_is_made_on_its_anniversary_and_not_the_day_before(unit, start, last, age):
    assert one(start, None, unit=unit, observation_end=last) == (0, age, False)


@pytest.mark.parametrize("end", ["2024-12-31", "2025-01-01"])
def test_both_ways_to_write_the_end_of_a_years_contract_are_a_loss_at_the_first_renewal(end):
    assert one("2024-01-01", end, unit="year", observation_end="2025-06-30") == (0, 1, True)


@pytest.mark.parametrize(
    ("end", "age"),
    [("2023-01-31", 1), ("2023-02-28", 1), ("2023-03-01", 2), ("2023-03-31", 2), ("2023-04-01", 3), ("2023-04-30", 3)],
)
def test_a_loss_between_two_renewals_is_noticed_at_the_next(end, age):
    assert one("2023-01-31", end) == (0, age, True)


def test_a_loss_whose_renewal_is_not_due_is_not_counted_yet():
    found = table(frame(("a", "2024-01-10", "2024-12-20"), ("b", "2024-01-10", None)), rows="customers")
    assert found.age.tolist() == [11, 11]
    assert not found.lost.any()
    assert accounts(found.notes) == {"loss_not_due": 1}


def test_last_days_are_due_with_the_end_of_the_observation_where_they_are_said_to_be_last_days():
    contracts = frame(("a", "2024-01-01", "2024-12-31"), ("b", "2024-01-01", None))
    read = table(contracts, unit="year", rows="customers", end_is="last_day")
    assert list(zip(read.age, read.lost, strict=True)) == [(1, True), (1, False)]
    other = table(contracts, unit="year", rows="customers")
    assert list(zip(other.age, other.lost, strict=True)) == [(0, False), (0, False)]


def test_the_part_of_a_unit_to_the_next_renewal_is_in_days_of_the_calendar():
    contracts = frame(
        ("a", "2024-01-31", None), ("b", "2024-02-10", None), ("c", "2024-01-31", None), ("d", "2024-02-29", None)
    )
    found = table(contracts, observation_end="2024-02-29", rows="customers")
    np.testing.assert_allclose(found.due, [1.0, 10 / 29, 1.0, 1.0])
    counts = table(contracts, observation_end="2024-02-29")
    assert counts.age.tolist() == [0, 1]
    np.testing.assert_allclose(counts.due, [(10 / 29 + 1) / 2, 1.0], atol=1e-10)


# --- no bias from the ends of the observation ---


@pytest.mark.parametrize("begin", [None, "2021-07-01"])
@pytest.mark.parametrize("unit", ["month", "year"])
def test_the_share_lost_at_a_renewal_is_right_though_customers_leave_on_any_day(unit, begin):
    # Each interval is lost with chance 0.2, on any day of it. Losses that are not due counted as losses, or
    # late entrants taken for those who were there since the last renewal, move the share of a year by 10 % or more.
    rng, size, theta = np.random.default_rng(8), 40_000, 0.2
    start = np.datetime64("2019-01-01") + rng.integers(0, 1800, size)
    whole, part = rng.geometric(theta, size) - 1, rng.random(size)
    length = {"month": 30.4375, "year": 365.25}[unit]
    end = start + np.ceil((whole + part) * length).astype(int)
    contracts = pd.DataFrame({"customer_id": np.arange(size), "start": start, "end": end})
    seen = contracts if begin is None else contracts[contracts["end"] > pd.Timestamp(begin)]
    found = table(seen, unit=unit, observation_end="2023-12-31", observed_from=begin)
    n = found.n_customers
    exposed, lost = (n * (found.age - found.entry)).sum(), (n * found.lost).sum()
    assert abs(lost / exposed - theta) < 4 * math.sqrt(theta * (1 - theta) / exposed)


# --- relations ---


def test_contracts_that_follow_or_overlap_each_other_are_one_relation():
    renewed = [("a", "2024-01-01", "2024-02-01"), ("a", "2024-02-01", "2024-03-01"), ("a", "2024-03-02", "2024-04-02")]
    within = [("b", "2024-01-01", "2024-06-01"), ("b", "2024-02-01", "2024-03-01"), ("b", "2024-06-01", None)]
    twice = [("c", "2024-01-05", "2024-03-05")] * 2
    found = table(frame(*renewed, *within, *twice), rows="customers")
    assert list(zip(found.customer_id, found.age, found.lost, strict=True)) == [
        ("a", 4, True),
        ("b", 11, False),
        ("c", 2, True),
    ]
    assert accounts(found.ledger) == {"used": 8}
    assert accounts(found.notes) == {"joined": 5, "repeated_line": 1}


def test_after_a_longer_gap_the_customer_begins_anew():
    contracts = frame(("c17", "2024-01-01", "2024-02-01"), ("c17", "2024-02-05", None))
    apart = table(contracts, rows="customers")
    assert list(zip(apart.customer_id, apart.age, apart.lost, strict=True)) == [
        ("c17", 1, True),
        ("c17 (2)", 10, False),
    ]
    assert accounts(apart.notes) == {"returned": 1}
    taken = frame(("c17", "2024-01-01", "2024-02-01"), ("c17", "2024-02-05", None), ("c17 (2)", "2024-02-05", None))
    with pytest.raises(DataError, match=r'customer_id "c17 \(2\)" is a customer'):
        table(taken, rows="customers")
    together = table(contracts, rows="customers", gap_days=3)
    assert list(zip(together.customer_id, together.age, strict=True)) == [("c17", 11)]


def test_a_relation_has_the_price_of_its_latest_contract_and_the_reason_of_its_end():
    contracts = frame(
        ("a", "2024-01-01", "2024-03-01"),
        ("a", "2024-03-01", "2024-05-01"),
        ("b", "2024-01-01", None),
        ("c", "2024-01-01", "2024-02-01"),
        price=[3.0, 5.0, None, 2.0],
        why=["moved", "price", "none", None],
    )
    found = table(contracts, rows="customers", price="price", reason="why")
    np.testing.assert_array_equal(found.price, [5.0, np.nan, 2.0])
    assert found.reason.tolist() == ["price", None, "unknown"]
    assert accounts(found.notes) == {"joined": 1, "no_reason": 1}


def test_rows_of_counts_hold_the_mean_price_and_keep_reasons_groups_and_cohorts_apart():
    contracts = frame(
        *[(f"c{i}", f"2024-0{1 + i % 2}-01", f"2024-0{2 + i % 2}-01") for i in range(8)],
        price=[1.0, 1.0, 3.0, 5.0, 1.0, 1.0, 3.0, 5.0],
        why=["x"] * 4 + ["y"] * 4,
        segment=["A", "A", "A", "A", "B", "B", "B", "B"],
    )
    found = table(contracts, price="price", reason="why", groups=["segment"], cohort="month")
    assert found.groups["segment"].tolist() == ["A", "A", "B", "B"]
    assert found.groups["cohort"].tolist() == ["2024-01", "2024-02"] * 2
    assert found.price.tolist() == [2.0, 3.0, 2.0, 3.0]
    assert found.n_customers.tolist() == [2.0] * 4
    assert found.start.tolist() == [dt.date(2024, 1, 1), dt.date(2024, 2, 1)] * 2
    assert found.customer_id[0] == "segment A, cohort 2024-01, lost at 1 (x)"
    assert len(set(found.customer_id)) == 4


@pytest.mark.parametrize(
    ("cohort", "label"), [("year", "2020"), ("month", "2020-12"), ("week", "2020-W53"), ("day", "2020-12-31")]
)
def test_a_cohort_is_named_by_its_unit_of_the_calendar(cohort, label):
    found = table(frame(("a", "2020-12-31", None)), cohort=cohort)
    assert found.groups["cohort"].tolist() == [label]


def test_a_calendar_keeps_the_unit_of_the_start_and_must_reach_it():
    calendar = clv.Calendar(dt.date(2024, 1, 1), (180, 186), {"sale": (0.0, 1.0)})
    contracts = frame(("a", "2024-01-20", None), ("b", "2024-02-20", None), ("c", "2024-02-21", None))
    found = table(contracts, calendar=calendar, unit="month", observation_end="2024-03-10")
    assert found.start.tolist() == [dt.date(2024, 1, 1), dt.date(2024, 2, 1)]
    assert found.n_customers.tolist() == [1, 2]
    assert found.calendar is calendar
    assert table(contracts, observation_end="2024-03-10").start is None
    with pytest.raises(DataError, match="from 2024-01-01 to 2024-12-31, and 2024-01-20 to 2025-01-01"):
        table(contracts, calendar=calendar, observation_end="2025-01-01")


def test_covariates_are_numbers_where_their_column_is_and_labels_else(csv):
    text = "customer_id,start,end,age,plan\na,2024-01-01,,31,basic\nb,2024-01-01,,45.5,007\n"
    found = table(csv(text), rows="customers", covariates=["age", "plan"])
    assert found.covariates["age"].tolist() == [31.0, 45.5]
    assert found.covariates["plan"].tolist() == ["basic", "007"]
    data = frame(("a", "2024-01-01", None), ("b", "2024-01-01", None), flag=[True, False], code=["1", "2"])
    found = table(data, rows="customers", covariates=["flag", "code"])
    assert found.covariates["flag"].tolist() == [1.0, 0.0]
    assert found.covariates["code"].tolist() == ["1", "2"]


# --- accounts ---


def test_every_contract_is_in_one_line_of_the_ledger():
    contracts = frame(
        ("a", "2023-01-01", "2023-03-01"),  # ended before it could be seen
        ("b", "2023-01-01", None),
        ("c", "2024-02-01", "2030-01-01"),  # an end that is not known yet
        ("d", "2025-01-01", None),  # begins after the last day, and the day after it
        ("e", "2025-03-01", None),
        (None, "2024-01-01", None),
        ("f", "1970-01-01", "9999-12-31"),  # as data bases write it
        price=[1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0],
    )
    found = table(contracts, observed_from="2023-06-15", missing_ids="drop", price="price", rows="customers")
    assert accounts(found.ledger) == {"used": 3, "before_observation": 1, "missing_id": 1, "after_observation": 2}
    assert [line.amount for line in found.ledger] == [70.0, 1.0, 32.0, 24.0]
    assert accounts(found.notes) == {"later_end": 1, "early_date": 1}
    assert dict(zip(found.customer_id, zip(found.entry, found.age, strict=True), strict=True)) == {
        "b": (5, 23),
        "c": (0, 10),
        "f": (641, 659),
    }


def test_a_contract_that_begins_the_day_after_tells_only_that_the_last_one_goes_on():
    contracts = frame(("a", "2024-01-01", "2024-12-31"), ("a", "2025-01-01", None), ("b", "2025-01-01", None))
    found = table(contracts, unit="month", end_is="last_day")
    assert (found.age.tolist(), found.lost.tolist(), found.n_customers.tolist()) == ([12], [False], [1])
    assert accounts(found.ledger) == {"used": 2, "after_observation": 1}


def test_the_last_day_named_is_the_end_where_every_contract_has_ended():
    found = clv.retention_table(
        frame(("a", "2024-01-01", "2024-03-01"), ("b", "2024-01-01", "2024-02-01")), unit="month"
    )
    assert (found.observation_end, found.age.tolist(), found.lost.all()) == (dt.date(2024, 3, 1), [1, 2], True)


def test_ids_that_differ_by_case_alone_are_noted():
    found = table(frame(("a", "2024-01-01", None), ("A", "2024-01-01", None)))
    assert (found.n_customers.sum(), accounts(found.notes)) == (2, {"similar_id": 1})


def test_the_order_of_rows_does_not_matter():
    rows = random_contracts(np.random.default_rng(3), 500, unit="month", mid=True)
    prices = np.random.default_rng(4).random(500)
    data = frame(*rows, price=prices)
    tables = [table(data.iloc[order], price="price", cohort="year") for order in (slice(None), slice(None, None, -1))]
    for name in ("customer_id", "age", "n_customers", "price", "due"):
        np.testing.assert_array_equal(getattr(tables[0], name), getattr(tables[1], name))


@pytest.mark.parametrize(
    "convert",
    [
        pl.from_pandas,
        pa.Table.from_pandas,
        ibis.memtable,
        lambda f: f.assign(start=pd.to_datetime(f["start"]), end=pd.to_datetime(f["end"])),
        lambda f: f.assign(start=pd.to_datetime(f["start"]).dt.date),
    ],
)
def test_every_kind_of_frame_gives_the_same_table(convert):
    data = frame(("a", "2024-01-01", "2024-03-01"), ("b", "2024-01-01", None), segment=["x", "y"])
    ours, same = table(convert(data), groups=["segment"]), table(data, groups=["segment"])
    assert ours.customer_id.tolist() == same.customer_id.tolist()
    assert ours.n_customers.tolist() == same.n_customers.tolist()


@pytest.mark.parametrize("suffix", [".csv", ".csv.gz", ".parquet"])
def test_files_give_the_table_of_the_frame_that_they_were_written_from(tmp_path, suffix):
    data = frame(("007", "2024-01-31", "2024-03-01"), ("010", "2024-01-01", None), price=[1.5, 2.5])
    path = tmp_path / f"contracts{suffix}"
    data.to_parquet(path) if suffix == ".parquet" else data.to_csv(path, index=False)
    found = table(path, rows="customers", price="price")
    assert found.customer_id.tolist() == ["007", "010"]
    assert (found.price.tolist(), found.age.tolist()) == ([1.5, 2.5], [2, 11])


def test_dates_of_another_form_are_read_by_their_format(csv):
    path = csv("kunde;von;bis\na;31.01.2024;15.03.2024\nb;01.02.2024;\n")
    names = {"customer": "kunde", "start": "von", "end": "bis"}
    found = table(path, rows="customers", date_format="%d.%m.%Y", **names)
    assert (found.age.tolist(), found.lost.tolist()) == ([2, 10], [True, False])


def test_a_table_of_contracts_still_active_has_a_column_of_ends_without_a_value():
    data = frame(("a", "2024-01-01", np.nan), ("b", "2024-01-01", np.nan))
    assert table(data).age.tolist() == [11]


# --- refusals ---


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("a,2024-01-01,\n,2024-01-01,\n", r'"customer_id" is missing in 1 of 2 rows \(first: contracts.csv, line 3\)'),
        ("a,,2024-01-01\n", r'"start" is missing in 1 of 1 rows'),
        ("a,01/02/2024,\n", r'"start" cannot be used .*"01/02/2024".*"%d/%m/%Y" or "%m/%d/%Y"'),
        (
            "a,2024-01-01,\nb,2024-01-01,soon\n",
            r'"end" cannot be used in 1 of 2 rows \(first: contracts.csv, line 3: "soon"',
        ),
        (
            "a,2024-02-01,2024-01-31\n",
            r'"end" cannot be used in 1 of 1 rows .*"2024-01-31"\). The contract ends before',
        ),
        ("", "there are no rows"),
        ("a,2025-01-02,\n", "no contract has begun by observation_end 2024-12-31"),
    ],
)
def test_a_value_that_cannot_be_used_is_refused_with_its_place(csv, body, message):
    with pytest.raises(DataError, match=message):
        table(csv(HEADER + body))


@pytest.mark.parametrize(
    ("prices", "message"),
    [
        ([1.0, -2.0], r'"price" cannot be used in 1 of 2 rows \(first: row 1: "-2.0"\). A price is'),
        (["1", "12,50"], r'"price" cannot be used in 1 of 2 rows \(first: row 1: "12,50"\). Prices are plain'),
        ([1.0, math.inf], r'"price" cannot be used .*"inf".*finite'),
        ([True, False], '"price" holds boolean'),
    ],
)
def test_a_price_that_is_none_is_refused(prices, message):
    with pytest.raises(DataError, match=message):
        table(frame(("a", "2024-01-01", None), ("b", "2024-01-01", None), price=prices), price="price")


def test_a_missing_group_and_a_customer_in_two_are_refused():
    contracts = [("a", "2024-01-01", "2024-02-01"), ("a", "2024-02-01", None), ("b", "2024-01-01", None)]
    with pytest.raises(DataError, match=r'"segment" is missing in 1 of 3 rows \(first: row 2\)'):
        table(frame(*contracts, segment=["x", "x", None]), groups=["segment"])
    with pytest.raises(
        DataError, match=r'"segment" differs .* for 1 customers \(first: customer_id "a", \'x\' and \'y\'\)'
    ):
        table(frame(*contracts, segment=["x", "y", "z"]), groups=["segment"])
    with pytest.raises(DataError, match=r'"size" differs .*leave the column out of covariates='):
        table(frame(*contracts, size=[1, 2, 3]), covariates=["size"])
    with pytest.raises(DataError, match=r'no column "segment" \(groups=\); .*Did you mean groups="Segment"'):
        table(frame(*contracts, Segment=["x", "y", "z"]), groups=["segment"])


def test_the_end_of_the_observation_is_asked_for_where_contracts_are_active():
    contracts = frame(("a", "2024-01-01", "2024-02-01"), ("b", "2024-05-03", None))
    with pytest.raises(DataError, match=r"1 contracts have no end .*observation_end=.*last start is 2024-05-03"):
        clv.retention_table(contracts, unit="month")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"unit": "quarter"}, 'unit = "quarter": expected one of'),
        ({"clock": "discrete"}, 'clock = "discrete": expected one of "renewals", "continuous"'),
        ({"rows": "all"}, 'rows = "all": expected one of "counts", "customers"'),
        ({"end_is": "last"}, 'end_is = "last": expected one of "day_after", "last_day"'),
        ({"cohort": "quarter"}, 'cohort = "quarter": expected one of "", "day"'),
        ({"cohort": "month", "groups": ["cohort"]}, 'groups has a column "cohort" already'),
        ({"groups": "segment"}, r'groups = "segment": expected a list'),
        ({"covariates": ["x", "x"]}, "a column is named twice"),
        ({"gap_days": -1}, "gap_days = -1"),
        ({"observation_end": "31.12.2024"}, "observation_end = '31.12.2024'"),
        ({"observed_from": "2025-06-01"}, "observed_from 2025-06-01 is after observation_end 2024-12-31"),
        ({"date_format": "dd.mm.yyyy"}, "expected codes"),
        ({"missing_ids": "keep"}, 'missing_ids = "keep"'),
    ],
)
def test_an_option_that_is_wrong_is_refused_before_the_source_is_opened(options, message):
    with pytest.raises(DataError, match=message):
        table("nowhere.csv", **options)


def test_a_table_in_which_nobody_is_left_is_refused():
    with pytest.raises(DataError, match="no contract is left"):
        table(frame(("a", "2023-01-01", "2023-03-01")), observed_from="2024-01-01")


def test_units_of_continuous_time_are_those_of_the_package():
    found = table(frame(("a", "2023-12-31", None)), unit="year", clock="continuous")
    assert found.age[0] == 366 / days_per_unit("year")
