"""Parts of past value, on a log of ten rows that anybody can add up by hand."""

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

import clvmodels as clv

COLUMNS = ["customer_id", "date", "amount", "category", "cost", "referrer", "list_price"]
ROWS = [
    ("a", "2024-01-01", 100, "x", 40, None, 100),
    ("a", "2024-02-01", 80, "x", 28, None, 80),
    ("a", "2024-02-01", 20, "y", 7, None, 25),  # a category that is new to a
    ("a", "2024-03-01", 50, "y", 20, None, 50),  # and now is not
    ("b", "2024-01-05", 60, "x", 30, "a", 80),
    ("b", "2024-01-20", 40, "z", 18, "a", 50),  # new to b
    ("c", "2024-01-09", 30, "z", 15, "b", 30),
    ("d", "2024-01-10", 10, "x", 5, "q", 20),  # q is no customer
    ("d", "2024-02-10", -5, "x", -1, "q", 10),  # a refund alone: no purchase
    ("d", "2024-02-11", 15, None, 6, None, 15),
]
EVERY = {name: name for name in COLUMNS[3:]}


def log_of(rows=ROWS, **options):
    return clv.read_transactions(pd.DataFrame(rows, columns=COLUMNS), **options)


def parts(past):
    return {part.key: part for part in past.parts}


def test_every_part_is_what_the_ten_rows_come_to():
    past = clv.past_value(log_of(), until="2024-12-31", **EVERY)
    assert dict(zip(past.customer_id, past.contribution, strict=True)) == {"a": 155, "b": 52, "c": 15, "d": 14}
    assert past.observed_margin == pytest.approx(236 / 405)
    found = parts(past)
    assert found["first_purchase"].amount == pytest.approx(60 + 30 + 15 + 5)
    assert found["repeat_purchases"].amount == pytest.approx(236 - 110)
    assert found["cross_selling"].amount == pytest.approx((20 - 7) + (40 - 18))
    # a, b and d came back: 75 of 170 at first, 79 of 205 later
    assert found["lower_cost"].amount == pytest.approx(75 / 170 * 205 - 79)
    assert found["referral"].amount == pytest.approx(52 + 15)  # b and c
    # 170 of a list price of 200 at first, 205 of 220 later
    assert found["price_premium"].amount == pytest.approx(205 - 170 / 200 * 220)
    assert found["referral"].share == pytest.approx(67 / 236)
    assert all(part.missing == "" for part in past.parts)


def test_without_columns_a_part_names_the_one_that_would_tell():
    past = clv.past_value(log_of(), until="2024-12-31", margin=0.5)
    assert past.contribution.tolist() == [125, 50, 15, 12.5]
    assert past.observed_margin is None
    found = parts(past)
    assert found["first_purchase"].amount == 100
    assert found["repeat_purchases"].amount == 102.5
    assert found["first_purchase"].share + found["repeat_purchases"].share == pytest.approx(1)
    assert {key: part.missing for key, part in found.items() if part.amount is None} == {
        "cross_selling": "category",
        "lower_cost": "cost",
        "referral": "referrer",
        "price_premium": "list_price",
    }


def test_by_a_stated_margin_parts_are_that_share_of_spend():
    past = clv.past_value(log_of(), until="2024-12-31", margin=0.5, category="category", list_price="list_price")
    assert parts(past)["cross_selling"].amount == pytest.approx(0.5 * 60)
    assert parts(past)["price_premium"].amount == pytest.approx(0.5 * 18)
    assert past.contribution.sum() == 202.5


def test_days_after_the_last_one_do_not_count():
    past = clv.past_value(log_of(), until="2024-01-31", margin=1.0, category="category")
    assert past.contribution.tolist() == [100, 100, 30, 10]
    assert parts(past)["cross_selling"].amount == pytest.approx(40)


def test_the_same_rows_count_as_in_the_log_whatever_the_rules():
    doubled = [*ROWS, ROWS[1], (*ROWS[1][:3], "another", 1, None, 1)]
    for options in ({"refunds": "keep"}, {"refunds": "match", "duplicates": "drop"}):
        log = log_of(doubled, **options)
        plain = clv.past_value(log, until="2024-12-31")
        told = clv.past_value(log, until="2024-12-31", category="category", referrer="referrer")
        np.testing.assert_array_equal(plain.contribution, told.contribution)
        assert parts(plain)["first_purchase"] == parts(told)["first_purchase"]


def test_costs_and_list_prices_are_of_one_item_where_the_log_has_a_quantity():
    rows = pd.DataFrame(ROWS, columns=COLUMNS).assign(quantity=2)
    log = clv.read_transactions(rows, quantity="quantity")
    past = clv.past_value(log, until="2024-12-31", **EVERY)
    once = clv.past_value(log_of(), until="2024-12-31", **EVERY)
    np.testing.assert_allclose(past.contribution, 2 * once.contribution)
    for key, part in parts(once).items():
        assert parts(past)[key].amount == pytest.approx(2 * part.amount)


def test_a_file_is_read_once_more_as_it_was_read_first(tmp_path):
    path = tmp_path / "log.csv"
    pd.DataFrame(ROWS, columns=COLUMNS).to_csv(path, index=False, sep=";", decimal=",")
    log = clv.read_transactions(path, delimiter=";", decimal=",")
    assert parts(clv.past_value(log, until="2024-12-31", **EVERY))["cross_selling"].amount == pytest.approx(35)


def test_nothing_to_compare_with_is_no_number():
    once = [row for row in ROWS if row[0] == "c"]
    found = parts(clv.past_value(log_of(once), until="2024-12-31", **EVERY))
    assert found["lower_cost"].amount is None
    assert found["lower_cost"].missing == ""
    assert found["cross_selling"].amount == 0


def test_what_cannot_be_told_is_refused():
    gap = [*ROWS[:3], (*ROWS[3][:4], None, None, 50), *ROWS[4:]]
    with pytest.raises(clv.DataError, match=r'"cost" is missing in 1 of 10 rows \(first: row 3'):
        clv.past_value(log_of(gap), until="2024-12-31", cost="cost")
    with pytest.raises(clv.DataError, match='no column "price"'):
        clv.past_value(log_of(), until="2024-12-31", list_price="price")
    with pytest.raises(clv.DataError, match="nothing was bought by then"):
        clv.past_value(log_of(), until="2023-12-31")
    with pytest.raises(clv.DataError, match="two columns"):
        clv.past_value(log_of(), until="2024-12-31", cost="amount")
    table = pa.table({"customer_id": ["a"], "date": ["2024-01-01"], "amount": [1.0], "cost": [0.5]})
    stream = clv.read_transactions(pa.RecordBatchReader.from_batches(table.schema, table.to_batches()))
    with pytest.raises(clv.DataError, match="a stream is read once"):
        clv.past_value(stream, until="2024-12-31", cost="cost")
