"""Tables of retention: survivors of cohorts read as published, impossible ones refused with cohort and age."""

import datetime as dt

import numpy as np
import pandas as pd
import pytest

import clvmodels as clv
from clvmodels.foundation.errors import DataError

# Survivors of 1,000 customers after renewals 0 to 12 (Fader and Hardie 2007).
REGULAR = [1000, 631, 468, 382, 326, 289, 262, 241, 223, 207, 194, 183, 173]
HIGH_END = [1000, 869, 743, 653, 593, 551, 517, 491, 468, 445, 427, 409, 394]


def published():
    parts = [
        pd.DataFrame({"segment": name, "age": range(13), "survivors": counts})
        for name, counts in (("Regular", REGULAR), ("High End", HIGH_END))
    ]
    return pd.concat(parts, ignore_index=True)


def read(frame, **options):
    return clv.RetentionTable.from_survivors(frame, unit="year", **options)


def survivors(table, ages):
    """How many of a table's customers are there after each renewal."""
    gone = [table.n_customers[table.lost & (table.age <= age)].sum() for age in ages]
    return (table.n_customers.sum() - np.array(gone)).tolist()


def triangle(active, *, contractual=True, **columns):
    active = np.array(active, dtype=np.float64)
    plain = {
        "cohorts": tuple(f"2024-{month:02d}" for month in range(1, len(active) + 1)),
        "start": np.arange("2024-01", f"2024-{len(active) + 1:02d}", dtype="datetime64[M]").astype("datetime64[D]"),
        "acquired": np.nan_to_num(active[:, 0], nan=4.0),
        "active": active,
        "revenue": np.full_like(active, np.nan),
    }
    return clv.CohortTriangle(
        **(plain | columns), unit="month", currency="USD", last_date=dt.date(2024, 6, 30), contractual=contractual
    )


# --- survivors ---


@pytest.mark.parametrize(("segment", "counts"), [("Regular", REGULAR), ("High End", HIGH_END)])
def test_the_published_survivors_are_read_and_given_back(segment, counts):
    table = read(published(), groups=["segment"]).where(segment=segment)
    assert survivors(table, range(13)) == counts
    assert table.n_customers[~table.lost].tolist() == [counts[-1]]
    assert table.age[~table.lost].tolist() == [12]
    assert not table.entry.any()


def test_seven_renewals_of_the_published_survivors_are_those_of_the_paper():
    table = read(published(), groups=["segment"]).where(segment="Regular").seen_to(7)
    assert survivors(table, range(8)) == REGULAR[:8]
    assert table.n_customers[~table.lost].sum() == REGULAR[7]
    assert table.age.max() == 7
    # lost at 1 to 7 and active at 7; those lost later are active still
    assert sorted(zip(table.age, table.lost, table.n_customers, strict=True))[:2] == [(1, True, 369), (2, True, 163)]


def test_the_order_of_rows_does_not_matter():
    frame = published()
    ours, other = read(frame, groups=["segment"]), read(frame.sample(frac=1, random_state=1), groups=["segment"])
    rows = [sorted(zip(t.customer_id, t.age, t.lost, t.n_customers, strict=True)) for t in (ours, other)]
    assert rows[0] == rows[1]


def test_a_cohort_seen_from_a_later_age_enters_there():
    table = read(pd.DataFrame({"age": [3, 4, 5], "survivors": [50, 40, 40]}))
    rows = list(zip(table.entry, table.age, table.lost, table.n_customers, strict=True))
    assert rows == [(3, 4, True, 10), (3, 5, False, 40)]


def test_a_cohort_that_dies_out_has_no_active_row():
    table = read(pd.DataFrame({"age": [0, 1, 2], "survivors": [3, 0, 0]}))
    assert (table.lost.tolist(), table.n_customers.tolist()) == ([True], [3])


def test_groups_and_covariates_belong_to_the_cohort():
    frame = published().assign(price=lambda f: np.where(f["segment"] == "Regular", 10.0, 90.0), channel="web")
    table = read(frame, groups=["segment"], covariates=["price", "channel"])
    of_high_end = table.groups["segment"] == "High End"
    assert set(table.covariates["price"][of_high_end]) == {90.0}
    assert set(table.covariates["channel"]) == {"web"}


def changed(**cells):
    """The published table with one cell changed: survivors of the High End at an age."""
    frame = published()
    frame["survivors"] = frame["survivors"].astype(float)
    frame.loc[(frame["segment"] == "High End") & (frame["age"] == cells["age"]), "survivors"] = cells["survivors"]
    return frame


@pytest.mark.parametrize(
    ("frame", "message"),
    [
        (changed(age=5, survivors=600), "segment High End, age 5: 600 survivors after 593 at the age 4. .*cannot rise"),
        (changed(age=1, survivors=1001), "segment High End, age 1: 1001 survivors after 1000 at the age 0"),
        (changed(age=3, survivors=0.653), "segment High End, age 3: survivors = 0.653 .* looks like a share"),
        (changed(age=3, survivors=65.3), "segment High End, age 3: survivors = 65.3 is no whole number"),
        (changed(age=3, survivors=-1), "segment High End, age 3: survivors = -1 is no whole number"),
        (changed(age=3, survivors=np.nan), "segment High End, age 3: survivors = nan is no whole number"),
        (changed(age=3, survivors=np.inf), "segment High End, age 3: survivors = inf is no whole number"),
        (changed(age=0, survivors=0), "segment High End, age 1: 869 survivors after 0"),
        (published().drop(index=13 + 4), "segment High End, age 5: the age 4 is missing"),
        (published().assign(age=lambda f: f["age"].replace(6, 5)), "segment Regular, age 5: there are several rows"),
        (published().assign(age=lambda f: f["age"] / 2), "segment Regular, age 0.5: ages are whole renewals"),
        (published().assign(age=lambda f: f["age"] - 1), "segment Regular, age -1: ages are whole renewals"),
        (published().assign(age=lambda f: f["age"].where(f.index != 12)), "segment Regular, age nan: ages are whole"),
        (published()[lambda f: (f["segment"] == "Regular") | (f["age"] == 0)], "segment High End: one age only, 0"),
        (published().assign(survivors=0), "segment Regular: nobody is there at the first age 0"),
        (published().assign(survivors="many"), "column 'survivors' holds something that is not a number"),
        (published().assign(segment=lambda f: f["segment"].where(f.index > 2)), "'segment' is missing in row 0"),
        (published().drop(columns="age"), "column 'age' is missing; the frame has: segment, survivors"),
        (published().rename(columns={"segment": "age"}), "column 'age' is there several times"),
        (published().iloc[:0], "has no row"),
        ([1, 2], "survivors of type list"),
    ],
)
def test_an_impossible_table_is_refused_with_its_cohort_and_age(frame, message):
    with pytest.raises(DataError, match=message):
        read(frame, groups=["segment"])


def test_two_cohorts_that_no_group_tells_apart_are_refused():
    with pytest.raises(DataError, match=r"the cohort, age 0: there are several rows of this age.*groups="):
        read(published())


def test_a_covariate_without_a_value_is_refused():
    frame = published().assign(price=lambda f: np.where(f["age"] < 3, 10.0, np.nan))
    with pytest.raises(DataError, match="column 'price' is missing in row 3"):
        read(frame, groups=["segment"], covariates=["price"])


# --- triangles ---


def test_a_triangle_of_contracts_is_the_survivors_of_each_cohort_to_its_last_age():
    table = clv.RetentionTable.from_triangle(triangle([[9, 5, 5], [4, 3, np.nan], [6, np.nan, np.nan]]))
    rows = list(zip(table.groups["cohort"], table.age, table.lost, table.n_customers, strict=True))
    assert rows == [
        ("2024-01", 1, True, 4),
        ("2024-01", 2, False, 5),
        ("2024-02", 1, True, 1),
        ("2024-02", 1, False, 3),
        ("2024-03", 0, False, 6),
    ]
    assert table.start.tolist() == [dt.date(2024, 1, 1)] * 2 + [dt.date(2024, 2, 1)] * 2 + [dt.date(2024, 3, 1)]
    assert (table.unit, table.observation_end) == ("month", dt.date(2024, 6, 30))


def test_a_cohort_whose_unit_is_not_over_or_that_nobody_is_in_has_no_row():
    table = clv.RetentionTable.from_triangle(triangle([[9, 5, 5], [0, 0, np.nan], [np.nan] * 3]))
    assert set(table.groups["cohort"]) == {"2024-01"}
    assert [(line.reason, line.rows) for line in table.ledger] == [("used", 9), ("unit_not_over", 4)]


@pytest.mark.parametrize(
    ("active", "message"),
    [
        ([[9, 5, 6], [4, 3, np.nan]], "cohort 2024-01, age 2: 6 survivors after 5 at the age 1"),
        ([[9, 5, 5], [4, np.nan, 3]], "cohort 2024-02, age 2: the age 1 is missing"),
        ([[9, 4.5, 4]], "cohort 2024-01, age 1: survivors = 4.5 is no whole number"),
        ([[np.nan, np.nan]], "no cohort of the triangle has a cell that is seen"),
    ],
)
def test_an_impossible_triangle_is_refused_with_its_cell(active, message):
    with pytest.raises(DataError, match=message):
        clv.RetentionTable.from_triangle(triangle(active))


def test_more_active_customers_than_were_won_are_refused():
    with pytest.raises(DataError, match="cohort 2024-01, age 1: 6 customers are active, of 5 won"):
        triangle([[5, 6]])


def test_a_triangle_of_purchases_is_no_table_of_retention(cdnow_log):
    with pytest.raises(DataError, match=r"of purchases \(cohort 1997-01, age \d+: .*pause and come back.*do not fit"):
        clv.RetentionTable.from_triangle(clv.cohort_triangle(cdnow_log))
    with pytest.raises(DataError, match="this triangle is of purchases: customers pause"):
        clv.RetentionTable.from_triangle(triangle([[5, 4]], contractual=False))


# --- rows ---


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"age": [2.0, 1.5]}, "entry or age is not whole in 1 rows .*row 1"),
        ({"entry": [0.0, 3.0]}, "age is below entry in 1 rows"),
        ({"entry": [0.0, -1.0]}, "entry is negative"),
        ({"lost": [True, True], "entry": [2.0, 0.0]}, "a loss is not after entry in 1 rows"),
        ({"n_customers": [1.0, 0.0]}, "n_customers is no whole number above 0"),
        ({"age": [np.nan, 2.0]}, "age is missing or not finite"),
        ({"price": np.array([1.0, -1.0])}, "price is negative"),
        ({"due": np.array([np.nan, 1.5])}, r"due is not in \(0, 1\]"),
    ],
)
def test_rows_that_cannot_be_are_refused_with_their_place(columns, message):
    plain = {"entry": [0.0, 0.0], "age": [2.0, 2.0], "lost": [True, False], "n_customers": [3.0, 1.0]}
    arrays = {name: np.array(values) for name, values in (plain | columns).items()}
    with pytest.raises(DataError, match=message):
        clv.RetentionTable(customer_id=np.array(["a", "b"], dtype=object), unit="year", **arrays)
