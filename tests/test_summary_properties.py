"""Random small logs against a plain account of them: what counts, and frequency, recency, T and spend of each customer.

The account is written from the definitions (`CountingRules`, `Window`) in whole cents and days, row by row.
"""

import datetime as dt
import inspect
import tempfile
from collections import Counter, defaultdict
from fractions import Fraction
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import clvmodels as clv
from clvmodels.data import compress_log
from clvmodels.foundation.units import DAYS_PER_UNIT

START = dt.date(2024, 1, 1)

# The choices of `CountingRules` that the account knows; those that the reader does not have yet are left out.
RULES = {
    "refunds": ("net", "match", "drop", "keep"),
    "zero_amounts": ("keep", "drop"),
    "missing_ids": ("drop",),
    "duplicates": ("keep", "drop"),
    "first_refunds": ("keep", "drop"),
    "other_currencies": ("drop",),
    "first_day": (None, START + dt.timedelta(days=7)),
    "last_day": (None, START + dt.timedelta(days=33)),
    "exclude": (None, {"sku": ("POST", "7")}),
    "order": (None, "invoice"),
}
TAKEN = inspect.signature(clv.read_transactions).parameters
RULES = {rule: words for rule, words in RULES.items() if rule in TAKEN}
CURRENCY = {"currency_column": "currency"} if "currency_column" in TAKEN else {}


class Line(NamedTuple):
    """A row of a log; amounts in cents."""

    customer: str | None
    day: int
    cents: int
    sku: str = "A1"
    currency: str = "USD"
    invoice: str = "i1"


# Few values, so that rows meet: of one customer, on one day, of one amount, twice the same.
LINES = st.builds(
    Line,
    customer=st.sampled_from(["7", "7", "007", "007", "a", None]),
    day=st.sampled_from([0, 0, 6, 7, 33, 34, 40]),
    cents=st.sampled_from([250, 250, 500, 1, 1999, 0, -250, -250, -500, -1999]),
    sku=st.sampled_from(["A1", "A1", "A1", "POST", "7"]),
    currency=st.sampled_from(["USD", "USD", "USD", "EUR"]) if CURRENCY else st.just("USD"),
    invoice=st.sampled_from(["i1", "i2"]),
)
LOGS = st.one_of(st.lists(LINES, min_size=1, max_size=8), st.lists(LINES, min_size=15, max_size=40))
CHOICES = st.fixed_dictionaries({rule: st.sampled_from(words) for rule, words in RULES.items()})


def frame_of(lines):
    return pd.DataFrame(
        {
            "customer_id": pd.Series([line.customer for line in lines], dtype="str"),
            "date": [START + dt.timedelta(days=line.day) for line in lines],
            "amount": [line.cents / 100 for line in lines],
            "sku": [line.sku for line in lines],
            "currency": [line.currency for line in lines],
            "invoice": [line.invoice for line in lines],
        }
    )


# --- the account ---


def fates_of(lines, rules):
    """What becomes of each line, in the order of the reasons: a line that has one has no other."""
    fates = [None] * len(lines)

    def settle(reason, places):
        for place in places:
            fates[place] = reason

    def left():
        return [(place, line) for place, line in enumerate(lines) if fates[place] is None]

    first, last = (rules.get(name) and (rules[name] - START).days for name in ("first_day", "last_day"))
    excluded = (rules.get("exclude") or {}).get("sku", ())
    settle("missing_id", [i for i, line in left() if line.customer is None])
    settle("other_currency", [i for i, line in left() if line.currency != "USD"])
    settle("before_first_day", [i for i, line in left() if first is not None and line.day < first])
    settle("after_last_day", [i for i, line in left() if last is not None and line.day > last])
    settle("excluded", [i for i, line in left() if line.sku in excluded])
    settle("zero_amount", [i for i, line in left() if rules["zero_amounts"] == "drop" and line.cents == 0])
    settle("refund_dropped", [i for i, line in left() if rules["refunds"] == "drop" and line.cents < 0])
    if rules.get("duplicates") == "drop":
        seen = Counter()
        for i, line in left():
            read = as_read(line, rules)
            seen[read] += 1
            settle("duplicate", [i] if seen[read] > 1 else [])
    if rules.get("first_refunds") == "drop":
        begins = {name: min(line.day for _, line in left() if line.customer == name) for name in names(left())}
        bought = {line.customer for _, line in left() if line.day == begins[line.customer] and line.cents >= 0}
        settle("first_refund", [i for i, line in left() if line.customer not in bought])
    if rules["refunds"] == "net":
        settle_by_day(left(), settle)
    if rules["refunds"] == "match":
        keys = [lambda line: (line.customer, abs(line.cents))]
        keys = [lambda line: (line.customer, abs(line.cents), line.invoice), *keys] if rules.get("order") else keys
        for key in keys:
            settle_matched(left(), key, settle)
        settle("refund_unmatched", [i for i, line in left() if line.cents < 0])
    settle("used", [i for i, _ in left()])
    return fates


def as_read(line, rules):
    """The columns of a line that are read."""
    extra = {"exclude": line.sku, "order": line.invoice}
    return (line.customer, line.day, line.cents, *(value for rule, value in extra.items() if rules.get(rule)))


def names(left):
    return {line.customer for _, line in left}


def settle_by_day(left, settle):
    """A day that has a refund and does not come to more than 0 is no purchase."""
    days = defaultdict(list)
    for i, line in left:
        days[line.customer, line.day].append((i, line.cents))
    for day in days.values():
        refunds = [i for i, cents in day if cents < 0]
        settle("refund_netted", refunds)
        if refunds and sum(cents for _, cents in day) <= 0:
            settle("refund_day", [i for i, _ in day])


def settle_matched(left, key, settle):
    """A refund undoes the latest purchase of its key up to its day that no other has undone."""
    bought = defaultdict(list)
    for i, line in sorted(left, key=lambda pair: (pair[1].day, pair[1].cents < 0)):
        if line.cents > 0:
            bought[key(line)].append(i)
        elif line.cents < 0 and bought[key(line)]:
            settle("refund_matched", [i, bought[key(line)].pop()])


def days_of(lines, fates):
    """Cents by customer and day of what counts."""
    days = defaultdict(Counter)
    for line, fate in zip(lines, fates, strict=True):
        if fate in ("used", "refund_netted"):
            days[line.customer][line.day] += line.cents
    return {customer: dict(sorted(days[customer].items())) for customer in sorted(days)}


def summary_of(days, end, last):
    """By customer: frequency, recency, T in days, repeat and first cents, holdout days and cents."""
    for customer, spent in days.items():
        seen = [day for day in spent if day <= end]
        held = [day for day in spent if end < day <= last]
        if seen:
            repeat = sum(spent[day] for day in seen[1:])
            told = (len(seen) - 1, seen[-1] - seen[0], end - seen[0], repeat, spent[seen[0]])
            yield customer, *told, len(held), sum(spent[day] for day in held)


def money(cents):
    """The float nearest to an amount."""
    return float(Fraction(int(cents), 100))


# --- the claims ---


WINDOWED = {"lines": LOGS, "rules": CHOICES, "share": st.floats(0, 1), "unit": st.sampled_from(list(DAYS_PER_UNIT))}


@settings(max_examples=15, deadline=None)
@given(**WINDOWED)
def test_a_log_and_its_summaries_are_those_of_the_plain_account(lines, rules, share, unit):
    check_account(lines, rules, share, unit)


@pytest.mark.slow
@settings(max_examples=150, deadline=None)
@given(**WINDOWED)
def test_many_logs_and_their_summaries_are_those_of_the_plain_account(lines, rules, share, unit):
    check_account(lines, rules, share, unit)


def check_account(lines, rules, share, unit):
    """The log of some lines, and its summaries, against the account."""
    fates = fates_of(lines, rules)
    days = days_of(lines, fates)
    if not days:
        with pytest.raises(clv.DataError, match="no purchase is left"):
            clv.read_transactions(frame_of(lines), **CURRENCY, **given_only(rules))
        return
    log = clv.read_transactions(frame_of(lines), **CURRENCY, **given_only(rules))
    assert accounts(log) == by_reason(lines, fates)
    assert sum(line.rows for line in log.ledger) == log.rows_read == len(lines)
    assert [tuple(row.values())[:3] for row in rows_of(log)] == [
        (customer, START + dt.timedelta(days=day), money(cents))
        for customer, spent in days.items()
        for day, cents in spent.items()
    ]
    check_summaries(log, days, share, unit)


def check_summaries(log, days, share, unit):
    """Customers, holdout and patterns of a window that ends some share of the way through the log."""
    purchase_days = [day for spent in days.values() for day in spent]
    first, last = min(purchase_days), max(purchase_days)
    end = first + int(share * (last - first))
    window = clv.Window(START + dt.timedelta(days=end), START + dt.timedelta(days=last + 1), unit)
    ids, x, t_x, T, repeat, opening, held, spent = map(list, zip(*summary_of(days, end, last + 1), strict=True))
    customers, holdout = clv.customer_summary(log, window), clv.holdout_summary(log, window)
    assert customers.customer_id.tolist() == holdout.customer_id.tolist() == ids
    per_unit = DAYS_PER_UNIT[unit]
    assert customers.frequency.tolist() == x
    assert customers.recency.tolist() == [value / per_unit for value in t_x]
    assert customers.T.tolist() == [value / per_unit for value in T]
    mean = [money(cents) / n if n and cents > 0 else np.nan for cents, n in zip(repeat, x, strict=True)]
    np.testing.assert_array_equal(customers.monetary_value, mean)
    assert customers.first_amount.tolist() == [money(cents) for cents in opening]
    assert holdout.purchases.tolist() == held
    assert holdout.amount.tolist() == [money(cents) for cents in spent]
    patterns = compress_log(log, window)
    columns = (patterns.frequency.rows, patterns.recency.rows, patterns.T.rows, patterns.n_customers)
    ours = {tuple(row[:3]): row[3] for row in zip(*(column.tolist() for column in columns), strict=True)}
    assert ours == Counter((n, r / per_unit, t / per_unit) for n, r, t in zip(x, t_x, T, strict=True))
    left_out = {line.reason: line.rows for line in customers.set_aside}
    assert left_out.get("after_calibration", 0) == len(days) - len(ids)
    assert left_out.get("no_positive_spend", 0) == sum(n > 0 and cents <= 0 for n, cents in zip(x, repeat, strict=True))


@settings(max_examples=7, deadline=None)
@given(lines=LOGS, rules=CHOICES, data=st.data())
def test_the_order_of_rows_the_kind_of_source_and_other_columns_change_nothing(lines, rules, data):
    check_source(lines, rules, data)


@pytest.mark.slow
@settings(max_examples=60, deadline=None)
@given(lines=LOGS, rules=CHOICES, data=st.data())
def test_orders_and_kinds_of_many_sources_change_nothing(lines, rules, data):
    check_source(lines, rules, data)


def check_source(lines, rules, data):
    """The log of some lines, and the same lines given in another way."""
    numbers = {"7": "7", "007": "12", "a": "3000000000", None: None}
    lines = [line._replace(customer=numbers[line.customer]) for line in lines]
    if not days_of(lines, fates_of(lines, rules)):
        return
    options = {**CURRENCY, **given_only(rules)}
    plain = clv.read_transactions(frame_of(lines), **options)
    source = data.draw(st.sampled_from(list(SOURCES)))
    with tempfile.TemporaryDirectory() as folder:
        other = SOURCES[source](frame_of(data.draw(st.permutations(lines))), Path(folder))
        log = clv.read_transactions(other, **options)
        assert log.ledger == plain.ledger
        assert log.notes == plain.notes
    assert rows_of(log) == rows_of(plain)
    end = clv.Window(plain.last_date, unit="week")
    first, second = (clv.customer_summary(read, end) for read in (plain, log))
    pd.testing.assert_frame_equal(first.to_pandas(), second.to_pandas(), check_exact=True)


@settings(max_examples=8, deadline=None)
@given(lines=LOGS)
def test_a_missing_id_is_refused_and_named_by_the_first_of_its_rows(lines):
    missing = [place for place, line in enumerate(lines) if line.customer is None]
    if not missing:
        return
    message = rf"customer_id.*missing in {len(missing)} of {len(lines)} rows \(first: row {missing[0]}\)"
    with pytest.raises(clv.DataError, match=message):
        clv.read_transactions(frame_of(lines), refunds="keep")


# --- how a log is given and read ---


def given_only(rules):
    return {rule: value for rule, value in rules.items() if value is not None}


def rows_of(log):
    return log.table.order_by("customer_id", "date").to_pyarrow().to_pylist()


def accounts(log):
    return {line.reason: (line.rows, line.amount) for line in log.ledger}


def by_reason(lines, fates):
    rows, cents = Counter(fates), Counter()
    for line, fate in zip(lines, fates, strict=True):
        cents[fate] += line.cents
    return {fate: (rows[fate], money(cents[fate])) for fate in rows}


def as_integers(frame, _):
    return frame.assign(customer_id=frame["customer_id"].astype("Int64"))


def as_floats(frame, _):
    return frame.assign(customer_id=pd.to_numeric(frame["customer_id"]).astype("float64"))


def as_text_file(frame, folder):
    frame.assign(note='say "so",\n;').to_csv(folder / "log.csv", index=False)
    return folder / "log.csv"


def as_text_files(frame, folder):
    for place in range(3):
        frame.iloc[place::3].to_csv(folder / f"{place}.csv", index=False)
    return folder / "*.csv"


def as_parquet_files(frame, folder):
    for place in range(3):
        frame.iloc[place::3].assign(extra=1.5).to_parquet(folder / f"{place}.parquet", index=False)
    return folder / "*.parquet"


SOURCES = {
    "rows in another order": lambda frame, _: frame,
    "other columns beside": lambda frame, _: frame[frame.columns[::-1]].assign(select="x", zip=[None] * len(frame)),
    "ids as integers": as_integers,
    "ids as floats": as_floats,
    "categories": lambda frame, _: frame.assign(customer_id=frame["customer_id"].astype("category")),
    "polars": lambda frame, _: pl.from_pandas(frame),
    "a text file": as_text_file,
    "text files": as_text_files,
    "Parquet files": as_parquet_files,
}
