"""Refunds: what becomes of each row, held against an account kept by hand in plain Python."""

from collections import defaultdict

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clvmodels.data import read_transactions
from clvmodels.foundation.errors import DataError

LINES = st.lists(
    st.tuples(st.sampled_from("ab"), st.integers(0, 5), st.sampled_from([-20, -10, -5, 0, 5, 10, 20])),
    min_size=1,
    max_size=25,
)


def frame(lines):
    table = pd.DataFrame(lines, columns=["customer_id", "day", "amount"])
    return table.assign(date=pd.Timestamp("2024-01-01") + pd.to_timedelta(table["day"], unit="D")).drop(columns="day")


def read(lines, **options):
    """Occasions {(customer, day of January): (amount, lines)} and ledger {reason: (rows, amount)}."""
    try:
        log = read_transactions(frame(lines), **options)
    except DataError:  # no purchase is left
        return {}, None
    table = log.table.to_pyarrow().to_pylist()
    occasions = {(row["customer_id"], row["date"].day - 1): (row["amount"], row["lines"]) for row in table}
    return occasions, {line.reason: (line.rows, line.amount) for line in log.ledger}


def occasions_of(lines):
    days = defaultdict(list)
    for customer, day, amount in lines:
        days[customer, day].append(amount)
    return {key: (sum(amounts), len(amounts)) for key, amounts in days.items()}


def matched_by_hand(lines):
    """The lines left when each refund takes the latest purchase of its amount that is still open."""
    left, open_purchases = [], defaultdict(list)
    for line in sorted(lines, key=lambda line: (line[1], line[2] < 0)):
        customer, _, amount = line
        if amount >= 0:
            left.append(line)
            open_purchases[customer, amount].append(line)
        elif open_purchases[customer, -amount]:
            left.remove(open_purchases[customer, -amount].pop())
    return left


@settings(max_examples=30, deadline=None)
@given(lines=LINES, refunds=st.sampled_from(["net", "match", "drop", "keep"]))
def test_every_row_and_every_amount_is_in_the_ledger_once(lines, refunds):
    occasions, ledger = read(lines, refunds=refunds)
    if ledger is None:
        assert not any(amount >= 0 for _, _, amount in lines) or refunds in ("net", "match")
        return
    assert sum(rows for rows, _ in ledger.values()) == len(lines)
    assert sum(amount for _, amount in ledger.values()) == pytest.approx(sum(amount for _, _, amount in lines))
    counted = [ledger[reason] for reason in ("used", "refund_netted") if reason in ledger]
    assert sum(rows for rows, _ in counted) == sum(count for _, count in occasions.values())
    assert sum(amount for _, amount in counted) == pytest.approx(sum(amount for amount, _ in occasions.values()))


@settings(max_examples=30, deadline=None)
@given(lines=LINES)
def test_match_takes_the_latest_open_purchase_of_the_same_amount(lines):
    assert read(lines, refunds="match")[0] == occasions_of(matched_by_hand(lines))


@settings(max_examples=12, deadline=None)
@given(lines=LINES)
def test_keep_and_drop_are_sums_with_and_without_the_refunds(lines):
    assert read(lines, refunds="keep")[0] == occasions_of(lines)
    assert read(lines, refunds="drop")[0] == occasions_of([line for line in lines if line[2] >= 0])


@settings(max_examples=12, deadline=None)
@given(lines=LINES)
def test_net_keeps_the_days_without_refund_and_those_that_come_to_more_than_nothing(lines):
    refunded = {line[:2] for line in lines if line[2] < 0}
    expected = {day: sums for day, sums in occasions_of(lines).items() if day not in refunded or sums[0] > 0}
    assert read(lines)[0] == expected


def test_net_names_the_rows_of_a_day_that_is_no_purchase():
    lines = [("a", 0, 20), ("a", 0, -5), ("a", 1, 10), ("a", 1, -10), ("b", 2, -5), ("b", 3, 5)]
    occasions, ledger = read(lines)
    assert occasions == {("a", 0): (15.0, 2), ("b", 3): (5.0, 1)}
    assert ledger == {"used": (2, 25.0), "refund_netted": (1, -5.0), "refund_day": (3, -5.0)}
    log = read_transactions(frame(lines))
    assert log.ledger[-1].sample == ("a 2024-01-02 -10.00", "a 2024-01-02 10.00", "b 2024-01-03 -5.00")


def test_a_day_undone_to_the_cent_is_no_purchase():
    lines = [
        ("a", 0, 0.1),
        ("a", 0, 0.2),
        ("a", 0, -0.3),
        ("b", 0, 1.0),
    ]  # 0.1 + 0.2 - 0.3 is 5.6e-17 in floats
    assert set(read(lines)[0]) == {("b", 0)}


def test_match_leaves_a_purchase_made_after_the_refund():
    assert read([("a", 0, -5), ("a", 1, 5)], refunds="match")[0] == {("a", 1): (5.0, 1)}


def test_lines_at_zero_and_rows_without_id_are_set_aside_only_on_request():
    lines = [("a", 0, 0), ("a", 1, 5), (None, 1, 7)]
    occasions, ledger = read(lines, missing_ids="drop")
    assert (len(occasions), ledger) == (2, {"used": (2, 5.0), "missing_id": (1, 7.0)})
    occasions, ledger = read(lines, missing_ids="drop", zero_amounts="drop")
    assert (len(occasions), ledger) == (
        1,
        {"used": (1, 5.0), "missing_id": (1, 7.0), "zero_amount": (1, 0.0)},
    )


def test_the_order_of_rows_does_not_choose_the_line_that_a_refund_undoes():
    """Lines of one amount on one day: which is undone decides how many of those left repeat another."""
    lines = pd.DataFrame(
        {
            "customer_id": "a",
            "date": pd.to_datetime(["2024-01-01"] * 6 + ["2024-01-09"] * 2),
            "amount": [10.0] * 6 + [-10.0] * 2,
            "code": ["1", "1", "2", "2", "3", "3", "1", "1"],
        }
    )
    told = set()
    for seed in range(6):
        log = read_transactions(lines.sample(frac=1, random_state=seed), exclude={"code": ["POST"]}, refunds="match")
        told.add(tuple((note.reason, note.rows, note.amount) for note in log.notes))
    assert len(told) == 1
