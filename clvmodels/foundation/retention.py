"""Relations that end for all to see: contracts, subscriptions, cohorts with their survivors."""

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from clvmodels.foundation.calendar import Calendar
from clvmodels.foundation.cohorts import CohortTriangle
from clvmodels.foundation.columns import numeric_column
from clvmodels.foundation.errors import DataError
from clvmodels.foundation.patterns import BoolArray, FloatArray, IntArray
from clvmodels.foundation.records import CustomerSummary, IdArray, LedgerLine
from clvmodels.foundation.units import calendar_units, days_per_unit
from clvmodels.foundation.whole import EXACT_COUNTS

if TYPE_CHECKING:  # slow to import and only named here
    import pandas as pd

RetentionClock = Literal["renewals", "continuous"]


@dataclass(frozen=True)
class RetentionTable:
    """How long relations were seen, and how that ended; a row stands for `n_customers` of them alike.

    Ages are counted from the beginning of a relation. With the clock "renewals" they are whole: a customer who was
    lost at age n renewed n - 1 times and not the n-th time, one still there at age n renewed n times. With the
    clock "continuous" they are units of time, and a loss is at that very age.

    Attributes
    ----------
    customer_id : ndarray of text, shape (N,): of the customer, or a label of those that the row counts
    entry : ndarray, shape (N,), age at which the relation came under observation, 0 if from its beginning: that it
        lasted so long is what it takes to be in the table, and no news (left truncation)
    age : ndarray, shape (N,), age of the loss, or at the end of the observation (right censoring)
    lost : ndarray of bool, shape (N,)
    n_customers : ndarray, shape (N,), of counts
    unit : "day", "week", "month" or "year", of ages
    clock : "renewals" or "continuous"
    currency : of prices
    start : ndarray of days, shape (N,), first day of the calendar unit in which the relation began, or None
    price : ndarray, shape (N,), mean price a unit of time (clock "renewals": a renewal), NaN where not known, or None
    due : ndarray, shape (N,), mean time to the next renewal of those still there, more than 0 and at most 1, or None
    reason : ndarray of text or None, shape (N,), why a customer was lost, or None where the data name no reasons
    observation_end : last day seen, or None
    calendar : terms of season and campaigns that retention may depend on, or None
    covariates : column -> ndarray, shape (N,), of numbers or text, that parameters may depend on
    groups : column -> ndarray of text, shape (N,), such as "segment" and "cohort"
    ledger : what became of the rows read
    notes : what a reader should know of the rows used, such as "returned" or "loss_not_due"; not in the balance
    """

    customer_id: IdArray
    entry: FloatArray
    age: FloatArray
    lost: BoolArray
    n_customers: FloatArray
    unit: str
    clock: RetentionClock = "renewals"
    currency: str = "USD"
    start: NDArray[np.datetime64] | None = None
    price: FloatArray | None = None
    due: FloatArray | None = None
    reason: IdArray | None = None
    observation_end: dt.date | None = None
    calendar: Calendar | None = None
    covariates: Mapping[str, NDArray[Any]] = field(default_factory=dict)
    groups: Mapping[str, IdArray] = field(default_factory=dict)
    ledger: tuple[LedgerLine, ...] = field(default=())
    notes: tuple[LedgerLine, ...] = field(default=())

    def __post_init__(self) -> None:
        days_per_unit(self.unit)
        if len(self.customer_id) == 0:
            raise DataError("no customers: the table is empty.")
        entry, age, counts = self.entry, self.age, self.n_customers
        for name in ("entry", "age", "n_customers"):
            self._refuse(~np.isfinite(getattr(self, name)), f"{name} is missing or not finite", "Fill it in.")
        self._refuse(entry < 0, "entry is negative", "It is the age at which they came under observation.")
        self._refuse(age < entry, "age is below entry", "They were seen from entry to age.")
        self._refuse(
            (counts < 1) | (counts != np.floor(counts)), "n_customers is no whole number above 0", "Count them."
        )
        self._refuse(self.lost & (age <= entry), "a loss is not after entry", "Only those still there can be lost.")
        self._refuse(np.cumsum(counts) > EXACT_COUNTS, "n_customers come to more than 2^53", "No count is exact there.")
        if self.clock == "renewals":
            whole = (entry == np.floor(entry)) & (age == np.floor(age))
            self._refuse(~whole, "entry or age is not whole", 'It counts renewals; or give clock="continuous".')
        if self.price is not None:
            self._refuse(self.price < 0, "price is negative", "It is what a customer pays a unit of time.")
        if self.due is not None:
            wrong = ~self.lost & ~((self.due > 0) & (self.due <= 1))
            self._refuse(wrong, "due is not in (0, 1]", "It is the part of a unit to the next renewal.")

    def _refuse(self, bad: BoolArray, what: str, fix: str) -> None:
        if bad.any():
            row = int(np.argmax(bad))
            where = f"customer_id {self.customer_id[row]}, row {row}, entry {self.entry[row]:g}, age {self.age[row]:g}"
            raise DataError(f"{what} in {int(bad.sum())} rows (first: {where}). {fix}")

    def __len__(self) -> int:
        return len(self.customer_id)

    def column(self, name: str) -> FloatArray:
        """A column that formulas read, shape (N,): "age", or "start" as the number of its calendar unit.

        Raises
        ------
        DataError
            If the table does not have it.
        """
        if name == "start":
            if self.start is None:
                raise DataError("the table does not say in which calendar unit each relation began: start is needed.")
            return calendar_units(self.start, self.unit)
        return np.asarray(getattr(self, name), dtype=np.float64)

    def take(self, rows: NDArray[Any]) -> "RetentionTable":
        """Some of the rows, by a mask or their places."""
        arrays = {
            column.name: getattr(self, column.name)[rows]
            for column in fields(self)
            if isinstance(getattr(self, column.name), np.ndarray)
        }
        covariates = {name: values[rows] for name, values in self.covariates.items()}
        return replace(
            self, **arrays, covariates=covariates, groups={name: labels[rows] for name, labels in self.groups.items()}
        )

    def where(self, **groups: str) -> "RetentionTable":
        """The rows of these groups, such as where(segment="Regular").

        Raises
        ------
        DataError
            If there is no such column, or none of its rows has the label.
        """
        rows = np.ones(len(self), dtype=bool)
        for name, label in groups.items():
            if name not in self.groups:
                raise DataError(f'there is no group column "{name}": the table has {", ".join(self.groups) or "none"}.')
            rows &= self.groups[name] == label
        if not rows.any():
            asked = ", ".join(f"{name} = {label}" for name, label in groups.items())
            raise DataError(f"no row of the table has {asked}.")
        return self.take(rows)

    @property
    def active(self) -> "RetentionTable":
        """The rows of those still there.

        Raises
        ------
        DataError
            If all are lost.
        """
        if self.lost.all():
            raise DataError("all customers of the table are lost: there is nobody whose future to tell.")
        return self.take(~self.lost)

    @property
    def newcomers(self) -> "RetentionTable":
        """The same customers at the beginning of their relations, of whom nothing is known yet."""
        none = np.zeros(len(self))
        lost = np.zeros(len(self), dtype=bool)
        return replace(self, entry=none, age=none, lost=lost, due=None, reason=None, observation_end=None)

    def seen_to(self, age: float) -> "RetentionTable":
        """The table as it was when nobody was seen beyond an age: later losses are not known yet.

        Raises
        ------
        DataError
            If nobody was seen before that age.
        """
        seen = self.entry < age
        if not seen.any():
            raise DataError(f"nobody was seen before the age {age:g}.")
        earlier = self.take(seen)
        beyond = earlier.age > age
        reason = None
        if earlier.reason is not None:
            reason = earlier.reason.copy()
            reason[beyond] = None
        return replace(
            earlier,
            age=np.minimum(earlier.age, age),
            lost=earlier.lost & ~beyond,
            reason=reason,
            due=None,
            observation_end=None,
        )

    @classmethod
    def from_survivors(
        cls,
        frame: "pd.DataFrame",
        *,
        unit: str,
        age: str = "age",
        survivors: str = "survivors",
        groups: Sequence[str] = (),
        covariates: Sequence[str] = (),
        currency: str = "USD",
    ) -> "RetentionTable":
        """The table of a frame with the survivors of one or more cohorts at each age.

        Parameters
        ----------
        frame : a row a cohort and age; ages of a cohort are 0, 1, 2, ... without a gap (a first age above 0: the
            cohort was seen from there), and survivors are counts of customers, not shares
        unit : time between two renewals
        age, survivors : names of the columns
        groups : columns that tell cohorts apart, such as "segment" or "cohort", that parameters may be pooled over
        covariates : columns that tell cohorts apart, numbers or text, that parameters may depend on

        Raises
        ------
        DataError
            If a column is missing, a cohort has an age twice or a gap, or survivors are missing, not whole, or
            rise; the message has the cohort and the age.
        """
        keys = [*groups, *covariates]
        _require_columns(frame, [age, survivors, *keys])
        ages, counts = numeric_column(frame, age), numeric_column(frame, survivors)
        labels = [_labels(frame, name) for name in keys]
        cohorts, place = _distinct_rows(labels, len(frame))
        survivors_of = [(_told(cohort, keys), ages[place == i], counts[place == i]) for i, cohort in enumerate(cohorts)]
        for who, seen, _ in survivors_of:
            if len(seen) == 1:
                raise DataError(f"{who}: one age only, {seen[0]:g}: it says nothing of who stays.")
        rows, cohort = _rows(survivors_of)
        first = np.array([int(np.argmax(place == i)) for i in range(len(cohorts))])[cohort]
        return cls(
            **rows,
            unit=unit,
            currency=currency,
            groups={name: _labels(frame, name)[first] for name in groups},
            covariates={name: _covariate(frame, name)[first] for name in covariates},
        )

    @classmethod
    def from_triangle(cls, triangle: CohortTriangle) -> "RetentionTable":
        """The table of a triangle of contracts: the survivors of each cohort up to the last age seen.

        Cohorts are the group "cohort", and the beginning of their unit is `start`. One that was seen at age 0 alone is
        a row of active customers; one whose first unit is not over is left out (in the ledger as "unit_not_over").

        Raises
        ------
        DataError
            If the triangle is of purchases, no cohort is seen, or a cohort's active customers rise or have a gap; the
            message has the cohort and the age.
        """
        if not triangle.contractual:
            raise DataError(
                f"this triangle is of purchases{_first_rise(triangle)}: customers pause and come back, so its rows are "
                'no survivors and models of retention do not fit it. Those of purchases do: fit("bg_nbd", ...).'
            )
        won = triangle.acquired > 0
        seen = triangle.seen.any(axis=1)
        ages = np.arange(triangle.active.shape[1], dtype=np.float64)
        places = np.flatnonzero(won & seen)
        if len(places) == 0:
            raise DataError("no cohort of the triangle has a cell that is seen.")
        rows, cohort = _rows(
            [(f"cohort {triangle.cohorts[i]}", ages[triangle.seen[i]], triangle.active[i][triangle.seen[i]])
             for i in places]
        )  # fmt: skip
        left_out = int(triangle.acquired[won & ~seen].sum())
        lines = (
            LedgerLine("used", int(triangle.acquired[places].sum()), 0.0),
            LedgerLine("unit_not_over", left_out, 0.0),
        )
        return cls(
            **rows,
            unit=triangle.unit,
            currency=triangle.currency,
            start=triangle.start[places][cohort],
            observation_end=triangle.last_date,
            groups={"cohort": np.array(triangle.cohorts, dtype=object)[places][cohort]},
            ledger=tuple(line for line in lines if line.rows),
            notes=triangle.notes,
        )


Customers = CustomerSummary | RetentionTable  # what a model may be fitted to


def _rows(cohorts: Sequence[tuple[str, FloatArray, FloatArray]]) -> tuple[dict[str, Any], IntArray]:
    """The columns of rows that the survivors of cohorts (name, ages, counts) make, and the cohort of each row."""
    parts = [_lives(ages, counts, who) for who, ages, counts in cohorts]
    entry, age, lost, n = (np.concatenate(column) for column in zip(*parts, strict=True))
    cohort = np.repeat(np.arange(len(parts)), [len(part[0]) for part in parts])
    told = [
        f"{who}, {'lost' if gone else 'active'} at {t:g}"
        for (who, _, _), (_, ends, losses, _) in zip(cohorts, parts, strict=True)
        for t, gone in zip(ends, losses, strict=True)
    ]
    ids = np.array(told, dtype=object)
    return {"customer_id": ids, "entry": entry, "age": age, "lost": lost.astype(bool), "n_customers": n}, cohort


def _first_rise(triangle: CohortTriangle) -> str:
    """The first cell in which more customers are active than in the one before, as words."""
    with np.errstate(invalid="ignore"):
        rises = np.argwhere(np.diff(triangle.active, axis=1) > 0)
    if len(rises) == 0:
        return ""
    row, age = rises[0]
    before, after = triangle.active[row, age : age + 2]
    return f" (cohort {triangle.cohorts[row]}, age {age + 1}: {after:g} are active after {before:g})"


def _lives(ages: FloatArray, counts: FloatArray, cohort: str) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
    """entry, age, lost and n_customers of the rows that a cohort's survivors make."""
    order = np.argsort(ages, kind="stable")
    ages, counts = ages[order], counts[order]
    for i, (age, count) in enumerate(zip(ages, counts, strict=True)):
        where = f"{cohort}, age {age:g}"
        if not np.isfinite(age) or age < 0 or age != np.floor(age):
            raise DataError(f"{where}: ages are whole renewals, 0, 1, 2, ... .")
        if i and age == ages[i - 1]:
            raise DataError(
                f"{where}: there are several rows of this age. Name what tells the cohorts apart in groups=."
            )
        if i and age != ages[i - 1] + 1:
            raise DataError(f"{where}: the age {ages[i - 1] + 1:g} is missing. Survivors are needed at every age.")
        if not np.isfinite(count) or count < 0 or count != np.floor(count):
            hint = " It looks like a share: give the number of customers." if 0 < count < 1 else ""
            raise DataError(f"{where}: survivors = {count:g} is no whole number of customers.{hint}")
        if count > EXACT_COUNTS:
            raise DataError(f"{where}: survivors = {count:g} are more than 2^53, where no count is exact.")
        if i and count > counts[i - 1]:
            raise DataError(
                f"{where}: {count:g} survivors after {counts[i - 1]:g} at the age {ages[i - 1]:g}. Survivors cannot "
                "rise: count only those who were there from the beginning."
            )
    if counts[0] == 0:
        raise DataError(f"{cohort}: nobody is there at the first age {ages[0]:g}.")
    entry = np.full(len(ages), ages[0])
    age = np.append(ages[1:], ages[-1])
    n = np.append(counts[:-1] - counts[1:], counts[-1])
    lost = np.append(np.ones(len(ages) - 1), 0.0)
    return entry[n > 0], age[n > 0], lost[n > 0], n[n > 0]


def _require_columns(frame: "pd.DataFrame", names: Sequence[str]) -> None:
    if type(frame).__name__ != "DataFrame":
        raise DataError(f"survivors of type {type(frame).__name__}: expected a data frame with a row a cohort and age.")
    have = [str(name) for name in frame.columns]
    for name in names:
        if have.count(name) != 1:
            what = "is missing" if name not in have else "is there several times"
            raise DataError(f"column {name!r} {what}; the frame has: {', '.join(have)}.")
    if len(frame) == 0:
        raise DataError("the frame of survivors has no row.")


def _labels(frame: "pd.DataFrame", name: str) -> IdArray:
    if frame[name].isna().any():
        raise DataError(
            f"column {name!r} is missing in row {int(np.argmax(frame[name].isna()))}: every row has a value."
        )
    return np.array([str(value) for value in frame[name]], dtype=object)


def _covariate(frame: "pd.DataFrame", name: str) -> NDArray[Any]:
    if frame[name].dtype.kind in "biuf" and not frame[name].isna().any():
        return frame[name].to_numpy(dtype=np.float64)
    return _labels(frame, name)


def _distinct_rows(labels: list[IdArray], size: int) -> tuple[list[tuple[str, ...]], IntArray]:
    """The distinct combinations of labels in order of appearance, and the combination of each row."""
    combined = list(zip(*labels, strict=True)) if labels else [()] * size
    places = {key: i for i, key in enumerate(dict.fromkeys(combined))}
    return list(places), np.array([places[key] for key in combined], dtype=np.int64)


def _told(cohort: tuple[str, ...], keys: Sequence[str]) -> str:
    return ", ".join(f"{key} {label}" for key, label in zip(keys, cohort, strict=True)) or "the cohort"
