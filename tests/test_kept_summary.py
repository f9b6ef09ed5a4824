"""Summaries continued from file to file: those of all rows together, to the last bit; a folder is never half-way."""

import dataclasses
import datetime as dt
import fcntl
import json
import os
from itertools import count, pairwise
from pathlib import Path

import duckdb
import ibis
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

import clvmodels as clv

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
            if "no purchase is left" not in str(refusal):
                raise
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


@settings(max_examples=5, deadline=None)
@given(**CASES)
def test_a_continued_summary_is_that_of_all_rows(tmp_path_factory, rows, cuts, rules, ahead):
    check_a_continued_summary(tmp_path_factory.mktemp("kept"), rows, cuts, rules, ahead)


@pytest.mark.slow
@settings(max_examples=100, deadline=None)
@given(**CASES)
def test_a_continued_summary_is_that_of_all_rows_in_many_cases(tmp_path_factory, rows, cuts, rules, ahead):
    check_a_continued_summary(tmp_path_factory.mktemp("kept"), rows, cuts, rules, ahead)


# --- one example ---

HISTORY = [("a", 0, 500, "item"), ("B", 2, 250, "item"), ("a", 4, 999, "item")]
TODAY = [("B", 5, 500, "item"), ("7", 5, 250, "item")]


def window_of(day, **further):
    return clv.Window(START + dt.timedelta(days=day), unit="day", **further)


@pytest.fixture
def folder(tmp_path):
    clv.keep_summary(read(HISTORY), tmp_path / "kept")
    return tmp_path / "kept"


def content(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_an_update_reads_the_new_file_and_the_states_alone(tmp_path):
    history, today, folder = tmp_path / "history.csv", tmp_path / "today.csv", tmp_path / "kept"
    frame(HISTORY).to_csv(history, index=False)
    frame(TODAY).to_csv(today, index=False)
    clv.keep_summary(clv.read_transactions(history), folder)
    history.unlink()
    days = (folder / "days_1.parquet").read_bytes()
    (folder / "days_1.parquet").write_bytes(b"of no concern to an update")
    record = clv.update_summary(folder, clv.read_transactions(today))
    assert [(part.source, part.rows_read) for part in record.parts] == [(str(history), 3), (str(today), 2)]
    assert (record.until, record.n_customers, record.occasions) == (START + dt.timedelta(days=5), 3, 5)
    with pytest.raises(clv.DataError, match=r"days_1.parquet is missing or not as it was written\. Put it back"):
        clv.kept_summary(folder, window_of(5))
    (folder / "days_1.parquet").write_bytes(days)
    same(clv.kept_summary(folder, window_of(5)), clv.customer_summary(read(HISTORY + TODAY), window_of(5)))


def test_states_are_whole_numbers_and_decimals_so_that_nothing_is_rounded_twice(folder):
    clv.update_summary(folder, read(TODAY))
    for path in folder.glob("*.parquet"):
        kinds = {field.name: field.type for field in pq.read_schema(path)}
        assert not [name for name, kind in kinds.items() if pa.types.is_floating(kind)], path.name


def test_rows_of_a_day_that_is_counted_are_refused_and_nothing_changes(folder):
    before = content(folder)
    late = [*TODAY, ("a", 4, 100, "item"), ("7", 3, 100, "item")]
    with pytest.raises(
        clv.DataError,
        match=r"2 rows are on or before 2024-01-05, .* \(first: 7 2024-01-04 1.00\).* keep_summary of a log",
    ):
        clv.update_summary(folder, read(late))
    assert content(folder) == before
    clv.update_summary(folder, read([*TODAY, ("a", 4, 100, "post"), (None, 3, 100, "item")]))  # set aside on any day


def test_a_day_whose_rows_left_no_purchase_is_counted_too(tmp_path):
    log = read([*HISTORY, ("a", 6, -250, "item")])
    record = clv.keep_summary(log, tmp_path)
    assert (record.last_date, record.until) == (START + dt.timedelta(days=4), START + dt.timedelta(days=6))
    with pytest.raises(clv.DataError, match="on or before 2024-01-07"):
        clv.update_summary(tmp_path, read([("a", 6, 500, "item")]))  # it would have been netted
    same(clv.kept_summary(tmp_path, window_of(4)), clv.customer_summary(log, window_of(4)))


def test_rows_after_the_last_day_wait_for_the_file_that_brings_them_again(tmp_path):
    last_day = START + dt.timedelta(days=4)
    clv.keep_summary(read(HISTORY + TODAY, last_day=last_day), tmp_path)
    record = clv.update_summary(tmp_path, read(TODAY))
    same(clv.kept_summary(tmp_path, window_of(5)), clv.customer_summary(read(HISTORY + TODAY), window_of(5)))
    assert {line.reason: line.rows for line in record.ledger} == {"used": 5, "after_last_day": 2}
    assert record.rows_read == 7


def test_a_refund_is_first_only_of_customers_not_met_before(tmp_path):
    history = [*HISTORY, ("7", 1, -250, "item"), ("07", 1, 250, "item"), ("07", 1, -250, "item")]
    today = [("a", 5, -250, "item"), ("a", 6, 250, "item"), ("7", 6, 250, "item"), ("07", 5, -1, "item")]
    today += [("07", 6, 250, "item"), ("z", 5, -1, "item"), ("z", 6, 250, "item")]
    clv.keep_summary(read(history, first_refunds="drop"), tmp_path)
    record = clv.update_summary(tmp_path, read(today, first_refunds="keep"))
    customers = clv.kept_summary(tmp_path, window_of(6))
    assert customers.customer_id.tolist() == ["07", "B", "a"]  # 7 and z had refunds alone on their first day
    same(customers, clv.customer_summary(read(history + today, first_refunds="drop"), window_of(6)))
    assert {line.reason: line.rows for line in record.ledger}["first_refund"] == 4


@pytest.mark.parametrize(
    ("log", "message"),
    [
        ({"currency": "EUR"}, "is in EUR, the kept summary in USD"),
        ({"refunds": "drop"}, "was read with refunds = 'drop', the kept summary with 'net'"),
        ({"first_refunds": "drop"}, "first_refunds = 'drop', the kept summary with 'keep'"),
        ({"first_day": "2024-01-02"}, "first_day"),
    ],
)
def test_a_log_that_was_read_otherwise_is_refused(folder, log, message):
    with pytest.raises(clv.DataError, match=message):
        clv.update_summary(folder, read(TODAY, **log))


def test_what_a_kept_summary_cannot_know_is_refused(folder, tmp_path):
    with pytest.raises(clv.DataError, match='refunds = "match" looks for the purchase of each refund'):
        clv.keep_summary(read(HISTORY, refunds="match"), tmp_path / "other")
    with pytest.raises(clv.DataError, match="holds a kept summary already"):
        clv.keep_summary(read(HISTORY), folder)
    with pytest.raises(clv.DataError, match="current_days = 0"):
        clv.keep_summary(read(HISTORY), tmp_path / "other", current_days=0)
    for day in (3, 36):
        with pytest.raises(clv.DataError, match=r"last purchase kept in .* is of 2024-01-05; expected a day from then"):
            clv.kept_summary(folder, window_of(day))


def test_large_and_tiny_amounts_are_continued_to_the_last_bit(tmp_path):
    rng = np.random.default_rng(1)
    amounts = np.round(10 ** rng.uniform(-6, 14, 120), 6)
    rows = [(str(n % 4), n // 6, amount * 100, "item") for n, amount in enumerate(amounts)]
    early, late = ([row for row in rows if (row[1] < 10) is first] for first in (True, False))
    clv.keep_summary(read(early), tmp_path)
    clv.update_summary(tmp_path, read(late))
    same(clv.kept_summary(tmp_path, window_of(19)), clv.customer_summary(read(rows), window_of(19)))


def test_a_kept_summary_counts_the_customers_of_a_window(folder):
    won = window_of(9, acquired_from=START + dt.timedelta(days=1), acquired_until=START + dt.timedelta(days=3))
    customers = clv.kept_summary(folder, won)
    assert customers.customer_id.tolist() == ["B"]
    assert [(line.reason, line.rows, line.sample) for line in customers.set_aside] == [("won_before", 1, ("a",))]
    same(customers, clv.customer_summary(read(HISTORY), won))


def test_days_too_old_for_the_current_value_are_dropped(tmp_path):
    rows = [("a", day, 100 + day, "item") for day in range(6)]
    clv.keep_summary(read(rows[:1]), tmp_path, current_days=2)
    for row in rows[1:]:
        clv.update_summary(tmp_path, read([row]))
    assert sorted(content(tmp_path)) == ["customers_6.parquet", "days_5.parquet", "days_6.parquet", "kept.json"]
    ours, theirs = (
        clv.kept_summary(tmp_path, window_of(5)),
        clv.customer_summary(read(rows), window_of(5), current_days=2),
    )
    assert ours.current_value == theirs.current_value


@pytest.mark.parametrize("name", ["it's; DROP TABLE", "sh[o]p", "sh*p", "\u4e2d"])
def test_the_name_of_a_folder_is_no_pattern_and_no_sql(tmp_path, name):
    for other in ("shop", "shap"):
        clv.keep_summary(read([("other", 0, 100, "item")]), tmp_path / other)
    clv.keep_summary(read(HISTORY), tmp_path / name)
    clv.update_summary(tmp_path / name, read(TODAY))
    assert clv.kept_summary(tmp_path / name, window_of(5)).customer_id.tolist() == ["7", "B", "a"]


# --- faults ---


class Killed(BaseException):
    """The process ends here."""


def kill_at(monkeypatch, name, place, *, after):
    """The process ends before or after the so-manieth call of a method of Path; nothing is tidied up afterwards."""
    call, calls = getattr(Path, name), count(1)

    def counted(path, *arguments, **options):
        due = next(calls) == place
        if due and after:
            call(path, *arguments, **options)
        if due:
            monkeypatch.setattr(Path, "unlink", lambda *_, **__: None)
            raise Killed
        return call(path, *arguments, **options)

    monkeypatch.setattr(Path, name, counted)


@pytest.mark.parametrize("after", [False, True])
def test_an_update_that_is_cut_short_leaves_the_state_before_it_or_after_it(folder, monkeypatch, after):
    old, new = read(HISTORY), read(HISTORY + TODAY)
    before, today = content(folder), read(TODAY)
    window = window_of(5)
    for place in count(1):
        with monkeypatch.context() as patch:
            kill_at(patch, "replace", place, after=after)
            try:
                clv.update_summary(folder, today)
            except Killed:
                pass
            else:
                break
        if (folder / "kept.json").read_bytes() == before["kept.json"]:
            same(clv.kept_summary(folder, window), clv.customer_summary(old, window))
        else:
            assert (place, after) == (3, True)  # after the record that names the new files
            same(clv.kept_summary(folder, window), clv.customer_summary(new, window))
            break
    else:
        pytest.fail("never came through")
    assert place in (3, 4)
    same(clv.kept_summary(folder, window), clv.customer_summary(new, window))
    later = [("a", 6, 500, "item")]
    clv.update_summary(folder, read(later))
    same(clv.kept_summary(folder, window_of(6)), clv.customer_summary(read(HISTORY + TODAY + later), window_of(6)))
    names = ["customers_3.parquet", "days_1.parquet", "days_2.parquet", "days_3.parquet", "kept.json"]
    assert sorted(content(folder)) == names  # what was left behind is tidied up


def test_a_beginning_that_is_cut_short_can_be_made_again(tmp_path, monkeypatch):
    log = read(HISTORY)
    with monkeypatch.context() as patch:
        kill_at(patch, "replace", 2, after=True)
        with pytest.raises(Killed):
            clv.keep_summary(log, tmp_path)
    with pytest.raises(clv.DataError, match="holds no kept summary"):
        clv.kept_summary(tmp_path, window_of(5))
    clv.keep_summary(read(HISTORY), tmp_path)
    same(clv.kept_summary(tmp_path, window_of(5)), clv.customer_summary(read(HISTORY), window_of(5)))


def test_a_full_disk_is_an_error_that_leaves_the_old_state(folder, monkeypatch):
    before = content(folder)

    def full(_):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(clv.DataError, match=r"could not be written .No space left on device"):
            clv.update_summary(folder, read(TODAY))
    assert content(folder) == before


def test_what_the_engine_cannot_write_is_an_error_that_leaves_the_old_state(folder, monkeypatch):
    before = content(folder)

    def full(*_):
        raise duckdb.IOException("Could not write all bytes to file: No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(ibis.Table, "to_parquet", full)
        with pytest.raises(clv.DataError, match=r"days_2.parquet could not be written .*No space left on device"):
            clv.update_summary(folder, read(TODAY))
    assert content(folder) == before


def test_a_folder_that_another_works_in_is_left_alone(folder):
    held = os.open(folder, os.O_RDONLY)
    fcntl.flock(held, fcntl.LOCK_SH)
    clv.kept_summary(folder, window_of(5))  # readers do not disturb each other
    with pytest.raises(clv.DataError, match="another process works in it now"):
        clv.update_summary(folder, read(TODAY))
    os.close(held)
    clv.update_summary(folder, read(TODAY))


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda folder: (folder / "kept.json").write_text("{"), "kept.json is damaged"),
        (lambda folder: (folder / "kept.json").write_text('{"version": 1, "kept": {}}'), "kept.json is damaged"),
        (lambda folder: (folder / "kept.json").write_text('{"version": 2}'), "is of format 2, this version reads 1"),
        (lambda folder: (folder / "kept.json").unlink(), "holds no kept summary: begin one by keep_summary"),
        (lambda folder: (folder / "customers_1.parquet").unlink(), "customers_1.parquet is missing or not as it was"),
        (lambda folder: (folder / "customers_1.parquet").write_bytes(b"PAR1"), "missing or not as it was written"),
    ],
)
def test_a_damaged_folder_is_refused(folder, damage, message):
    damage(folder)
    with pytest.raises(clv.DataError, match=message):
        clv.kept_summary(folder, window_of(5))
    with pytest.raises(clv.DataError, match=message):
        clv.update_summary(folder, read(TODAY))


def test_a_folder_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(clv.DataError, match=r"cannot be opened .No such file or directory"):
        clv.update_summary(tmp_path / "none", read(TODAY))
    (tmp_path / "file").write_text("")
    with pytest.raises(clv.DataError, match="file cannot be made"):
        clv.keep_summary(read(HISTORY), tmp_path / "file")
