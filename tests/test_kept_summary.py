"""Summaries continued from file to file: those of all rows together, to the last bit; a folder is never half-way."""

import dataclasses
import datetime as dt
import json
import os
import subprocess
import sys
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

import clvmodels as clv
from clvmodels.foundation import files

START = dt.date(2024, 1, 1)
ROW = st.tuples(
    st.sampled_from(["a", "B", "07", "7", None]),
    st.integers(0, 20),
    st.sampled_from([-500, -250, 0, 1, 250, 500, 999]),
    st.sampled_from(["item", "item", "item", "post"]),
)
RULES = st.fixed_dictionaries(
    {
        "refunds": st.sampled_from(["net", "drop", "keep"]),
        "zero_amounts": st.sampled_from(["keep", "drop"]),
        "duplicates": st.sampled_from(["keep", "drop"]),
        "first_refunds": st.sampled_from(["keep", "drop"]),
    }
)


def frame(rows):
    table = pd.DataFrame(rows, columns=["customer_id", "day", "cents", "kind"], dtype=object)
    dates = pd.to_datetime([START + dt.timedelta(days=day) for day in table["day"]])
    return table.assign(date=dates, amount=table["cents"].astype(float) / 100)


def read(rows, **rules):
    return clv.read_transactions(frame(rows), missing_ids="drop", exclude={"kind": ["post"]}, **rules)


def same(some, others):
    for field in dataclasses.fields(some):
        ours, theirs = getattr(some, field.name), getattr(others, field.name)
        if isinstance(ours, np.ndarray):
            equal = np.array_equal(ours, theirs, equal_nan=ours.dtype != object)
            assert equal, f"{field.name}: {ours} {theirs}"
        else:
            assert ours == theirs, field.name


def parts_of(rows, cuts):
    """The rows in order of days, cut after some of them."""
    for early, late in pairwise([-1, *sorted(cuts), 99]):
        yield [row for row in rows if early < row[1] <= late]


def fed(folder, rows, cuts, **rules):
    """Feed the parts in order; those that leave no purchase by themselves go with the next. The rows that were fed."""
    waiting, taken = [], []
    for part in parts_of(rows, cuts):
        waiting += part
        if not waiting:
            continue
        try:
            log = read(waiting, **rules)
        except clv.DataError as refusal:
            assert "no purchase is left" in str(refusal)  # noqa: PT017
            continue
        if taken:
            clv.update_summary(folder, log)
        else:
            clv.keep_summary(log, folder, current_days=7, logarithms=True)
        taken, waiting = taken + waiting, []
    return taken


def check_a_continued_summary(folder, rows, cuts, rules, ahead):
    taken = fed(folder, rows, cuts, **rules)
    assume(taken)
    whole = read(taken, **rules)
    window = clv.Window(whole.last_date + dt.timedelta(days=ahead), unit="week")
    same(clv.kept_summary(folder, window), clv.customer_summary(whole, window, current_days=7, logarithms=True))
    record = json.loads((folder / "kept.json").read_text())["kept"]
    assert record["ledger"] == [json.loads(json.dumps(dataclasses.asdict(line))) for line in whole.ledger]
    assert (record["rows_read"], record["gross"]) == (whole.rows_read, whole.gross)
    assert (record["occasions"], record["n_customers"]) == (whole.occasions, whole.n_customers)


CASES = {
    "rows": st.lists(ROW, min_size=1, max_size=40),
    "cuts": st.sets(st.integers(0, 19), min_size=1, max_size=4),
    "rules": RULES,
    "ahead": st.integers(0, 31),
}


@settings(max_examples=12, deadline=None)
@given(**CASES)
def test_a_continued_summary_is_that_of_all_rows(tmp_path_factory, rows, cuts, rules, ahead):
    check_a_continued_summary(tmp_path_factory.mktemp("kept"), rows, cuts, rules, ahead)


@pytest.mark.slow
@settings(max_examples=300, deadline=None)
@given(**CASES)
def test_a_continued_summary_is_that_of_all_rows_in_many_cases(tmp_path_factory, rows, cuts, rules, ahead):
    check_a_continued_summary(tmp_path_factory.mktemp("kept"), rows, cuts, rules, ahead)
